# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# The guest's part of selftests/bench/card_loop.py: `fixar bench --platform` on the first card, once for each list of arguments that
# the host gives. BENCH and the JSON object in one line.
while true; do
	pause bench
	[ "$said" = end ] && break
	# shellcheck disable=SC2086 # words
	if object=$("$FIXAR" bench "--platform=$1" --device "$first" --json $said); then
		echo "BENCH ${object//$'\n'/ }"
	else
		give_up "fixar bench --platform $said"
	fi
done
