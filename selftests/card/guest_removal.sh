# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# Part of guest.sh: what removal_test.py asks for, one thing after the other. The first card has MSI and is plugged in and out,
# the second vanishes. Arguments: the folder of the driver's test programs, rounds of each client.
programs=$1
rounds=$2
trace=/sys/kernel/tracing
devices=/sys/bus/pci/devices
driver=/sys/bus/pci/drivers/fixar

clients() { # ADDRESS ROUNDS
	FIXAR_DEVICE=$(node "$1") "$programs/recovery_clients" "$2"
}

away() { # ADDRESS
	[ ! -e "$devices/$1" ]
}

# What the driver leaves behind, if it leaves something behind.
stays() { # ADDRESS
	[ -e "$driver/$1" ] && echo "STAYS driver"
	[ "$(node "$1")" ] && echo "STAYS node"
	[ -e "/sys/kernel/debug/fixar-$1" ] && echo "STAYS debugfs"
	[ -e "$devices/$1/hwmon" ] && echo "STAYS hwmon"
}

# The second card vanishes somewhere in here.
traced() {
	echo $second 2>/dev/null >$driver/bind && echo "BOUND"
	clients $second "$rounds"
	[ -e $driver/$second ] && echo $second >$driver/unbind
	stays $second
	echo 1 >$devices/$second/remove
	await 60 away $second
}

# It is there again. Whoever finds it gives it to its driver.
revived() {
	echo 1 >/sys/bus/pci/rescan
	await 120 usable $second
	clients $second "$rounds"
	echo $second >$driver/unbind
	stays $second
}

# With programs at work, the first card is pulled: by its slot's button, or its emulator dies.
pulled() {
	clients $first 1000000 &
	pause "about to go"
	wait
	[ "$said" = dead ] && echo 1 >$devices/$first/remove
	pause "gone"
	await 120 away $first
	pause "to come"
	await 120 usable $first
	clients $first "$rounds"
}

echo 500 >/sys/module/fixar/parameters/period_ms
echo 1 >$trace/events/fixar/fixar_rung/enable
echo $second >$driver/unbind

while pause ready && [ "$said" != end ]; do
	echo >$trace/trace
	dmesg -C
	$said
	sed -n 's/.*fixar_rung: card=\([0-9a-f]*\) rung=\([a-z]*\).*/RUNG \1 \2/p' $trace/trace
	dmesg -t | sed -n "s/.*fixar $first:/FIRST &/p; s/.*fixar $second:/SECOND &/p"
	echo "DONE"
done
clients $first "$rounds"
rmmod fixar || give_up "rmmod"
echo "END"
