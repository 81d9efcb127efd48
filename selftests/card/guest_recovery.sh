# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# Part of guest.sh: one row of recovery_test.py after the other, on the first card, which the host makes fail meanwhile.
# Arguments: the folder of the driver's test programs, rounds of each client.
programs=$1
rounds=$2
trace=/sys/kernel/tracing
driver=/sys/bus/pci/drivers/fixar

works() {
	usable $first && FIXAR_DEVICE=$(node $first) "$programs/query_test" -t the_device_is_what_the_contract_allows >/dev/null
}

# The bus is asked again.
bring_back() {
	[ -e "/sys/bus/pci/devices/$first" ] && echo 1 >/sys/bus/pci/devices/$first/remove
	echo 1 >/sys/bus/pci/rescan
	await 60 usable $first
}

# Three clients.
clients() {
	FIXAR_DEVICE=$(node $first) "$programs/recovery_clients" "$rounds"
	# What recovery has to do after the last fence: the work is done when its queue says nothing new.
	before=
	while [ "$before" != "$(cat $trace/trace; dmesg)" ]; do
		before=$(cat $trace/trace; dmesg)
		sleep 0.3
	done
}

# The driver meets the card.
probe() {
	bound=0
	echo $first 2>/dev/null >$driver/bind && bound=1
	there=0
	[ "$(node $first)" ] && there=1
	sensors=$(find /sys/bus/pci/devices/$first/hwmon -name 'temp*_input' 2>/dev/null | wc -l)
	[ $bound = 1 ] && "$FIXAR" train pendulum --quiet --steps 10 --device $first --out /tmp/refused 2>&1 | sed 's/^/SAID /'
	rm -rf /tmp/refused
	echo "PROBE bound=$bound node=$there sensors=$sensors"
}

echo 500 >/sys/module/fixar/parameters/period_ms
echo 1 >$trace/events/fixar/fixar_rung/enable

# The host ends the fault before this one, and says what comes next.
while pause cleared && [ "$said" != end ]; do
	what=$said
	works || bring_back
	[ "$what" = probe ] && echo $first >$driver/unbind
	echo >$trace/trace
	dmesg -C
	pause armed
	$what
	sed -n 's/.*fixar_rung: card=\([0-9a-f]*\) rung=\([a-z]*\).*/RUNG \1 \2/p' $trace/trace
	dmesg -t | sed -n "s/.*fixar $first:/LOG &/p; s/.*fixar $second:/OTHER &/p"
	[ "$what" = probe ] && [ $bound = 1 ] && echo $first >$driver/unbind
	echo "DONE"
done
rmmod fixar || give_up "rmmod"
echo "END"
