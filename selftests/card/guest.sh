#!/bin/bash
# SPDX-License-Identifier: MIT
# In the guest: loads the driver, and runs one of the scripts beside this file: guest.sh BUILD SCRIPT [ARGUMENT...]
# Lines that the host waits for begin with a word in capitals.
build=$1
script=$2
shift 2
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
# The driver probes asynchronously.
for card in $first $second; do
	for _ in $(seq 300); do
		compgen -G "/sys/bus/pci/devices/$card/accel/accel*" >/dev/null && break
		compgen -G "/sys/bus/pci/devices/$card/drm/renderD*" >/dev/null && break
		sleep 0.1
	done
done

# Waits until the host says so, with the number of the pause and perhaps more, which is in $said then.
for entry in /sys/class/virtio-ports/*; do
	[ "$(cat "$entry/name")" = org.fixar.in ] && exec 9<"/dev/${entry##*/}"
done
pauses=0
pause() {
	pauses=$((pauses + 1))
	echo "PAUSE $pauses $*"
	read -r -t 3600 -u 9 number said && [ "$number" = $pauses ] || give_up "nobody says to go on from pause $pauses"
}

. "$(dirname "$0")/$script"
