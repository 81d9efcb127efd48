#!/bin/bash
# SPDX-License-Identifier: MIT
# In the guest: loads the driver, and runs one of the scripts beside this file: guest.sh BUILD SCRIPT [ARGUMENT...]
# Lines that the host waits for begin with a word in capitals.
build=$1
script=$2
shift 2
# shellcheck disable=SC2034 # of the other script
FIXAR=$build/fixar

give_up() {
	echo "GIVE-UP $*"
	exit 1
}

for module in drm_shmem_helper gpu-sched; do
	modprobe $module || give_up "modprobe $module"
done
module=$build/modules/$(uname -r)/fixar/fixar.ko # of selftests/machine/modules.py, otherwise of make driver
[ -e "$module" ] || module=$build/driver/$(uname -r)/fixar.ko
insmod "$module" || give_up "insmod $module"

first=0000:01:00.0
second=0000:02:00.0

# The node of a card, if it is there.
node() { # ADDRESS
	for entry in "/sys/bus/pci/devices/$1"/{accel/accel,drm/renderD}*; do
		[ -e "$entry" ] || continue
		case $entry in
		*/accel/*) echo "/dev/accel/${entry##*/}" ;;
		*) echo "/dev/dri/${entry##*/}" ;;
		esac
		return
	done
}

usable() { # ADDRESS
	[ "$(node "$1")" ] && [ -e "$(node "$1")" ]
}

await() { # SECONDS CONDITION...
	local tries=$(($1 * 10))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || give_up "not so: $*"
		sleep 0.1
	done
}

# The driver probes asynchronously.
await 60 usable $first
await 60 usable $second

# Waits until the host says so, with the number of the pause and perhaps more, which is in $said then.
for entry in /sys/class/virtio-ports/*; do
	[ "$(cat "$entry/name")" = org.fixar.in ] && exec 9<"/dev/${entry##*/}"
done
pauses=0
pause() {
	pauses=$((pauses + 1))
	echo "PAUSE $pauses $*"
	# shellcheck disable=SC2034
	if ! read -r -t 3600 -u 9 number said || [ "$number" != $pauses ]; then
		give_up "nobody says to go on from pause $pauses"
	fi
}

# shellcheck disable=SC1090
. "$(dirname "$0")/$script"
