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

# Waits until the host says so: the second card has one degree more for each pause.
pauses=0
pause() {
	pauses=$((pauses + 1))
	echo "PAUSE $pauses $*"
	for _ in $(seq 6000); do
		[ "$(cat /sys/bus/pci/devices/$second/hwmon/hwmon*/temp1_input 2>/dev/null)" = ${pauses}000 ] && return
		sleep 0.2
	done
	give_up "nobody says to go on from pause $pauses"
}

. "$(dirname "$0")/$script"
