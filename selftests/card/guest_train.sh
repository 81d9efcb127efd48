# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# The guest's part of train_test.py: guest_train.sh STEPS FLIP_STEPS
steps=$1
flip_steps=$2
cd /tmp || exit 1
# The host holds a command for a while.
echo 30000 >/sys/module/fixar/parameters/period_ms

train() { # NAME DEVICE [OPTION...]
	"$FIXAR" train pendulum --quiet --hidden 32,32 --batch 16 --warm-up 50 --seed 3 --device "$2" --out "/tmp/$1" "${@:3}" ||
		echo "FAILED train $*"
}

cycles() {
	"$FIXAR" top --device $first --once --interval 0.05 --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["counters"]["array_cycles"])'
}

compare() { # NAME OTHER
	if cmp -s "/tmp/$1/checkpoint.safetensors" "/tmp/$2/checkpoint.safetensors"; then
		echo "SAME $1"
	else
		echo "OTHER $1"
	fi
}

for precision in fixed32 qat16; do
	train cpu-$precision cpu --steps "$steps" --precision $precision --engine scalar
	train flip-$precision cpu --steps "$flip_steps" --precision $precision --engine scalar --delay 120
done

for precision in fixed32 qat16; do
	pause $precision
	python3 "$(dirname "$0")/guest_pages.py" watch || echo "FAILED to probe"
	train card-$precision $first --steps "$steps" --precision $precision &
	python3 "$(dirname "$0")/guest_pages.py"
	wait
	echo "DONE $precision"
	compare card-$precision cpu-$precision
done

pause together
for precision in fixed32 qat16; do
	train both-$precision $first --steps "$steps" --precision $precision &
done
wait
echo "DONE together"
for precision in fixed32 qat16; do
	compare both-$precision cpu-$precision
done

# The host flips a bit somewhere in the middle of these.
for what in nothing parallelism weight noise quantization precision nothing-again; do
	precision=qat16
	pause $what
	before=$(cycles)
	train card-flip-$what $first --steps "$flip_steps" --precision $precision --delay 120
	echo "DONE $what $(($(cycles) - before))"
	compare card-flip-$what flip-$precision
done
