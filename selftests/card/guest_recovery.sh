# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Part of guest.sh: FAULTS times three clients on the first card, which the host makes fail meanwhile.
# Arguments: the folder of the driver's test programs, the number of faults, rounds of each client.
programs=$1
faults=$2
rounds=$3
trace=/sys/kernel/tracing

# The node of the first card, which may be gone; then the bus is asked again.
node() {
	for entry in /sys/bus/pci/devices/$first/{accel/accel,drm/renderD}*; do
		[ -e "$entry" ] || continue
		case $entry in
		*/accel/*) echo "/dev/accel/${entry##*/}" ;;
		*) echo "/dev/dri/${entry##*/}" ;;
		esac
		return
	done
}

bring_back() {
	[ -e "/sys/bus/pci/devices/$first" ] && echo 1 >/sys/bus/pci/devices/$first/remove
	echo 1 >/sys/bus/pci/rescan
	for _ in $(seq 300); do
		[ "$(node)" ] && return
		sleep 0.1
	done
	give_up "the first card does not come back"
}

echo 500 >/sys/module/fixar/parameters/period_ms
echo 1 >$trace/events/fixar/fixar_rung/enable

for number in $(seq 0 "$faults"); do
	# The host ends the fault before this one.
	pause "$number cleared"
	[ "$(node)" ] && [ -e "$(node)" ] && FIXAR_DEVICE=$(node) "$programs/query_test" -t the_device_is_what_the_contract_allows >/dev/null || bring_back
	echo >$trace/trace
	dmesg -C
	pause "$number armed"
	FIXAR_DEVICE=$(node) "$programs/recovery_clients" "$rounds"
	# What recovery has to do after the last fence.
	sleep 0.3
	sed -n 's/.*fixar_rung: card=\([0-9a-f]*\) rung=\([a-z]*\).*/RUNG \1 \2/p' $trace/trace
	dmesg -t | grep "fixar $first:" | sed 's/^/LOG /'
	dmesg -t | grep "fixar $second:" | sed 's/^/OTHER /'
	echo "DONE $number"
done
rmmod fixar || give_up "rmmod"
echo "END"
