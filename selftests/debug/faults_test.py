#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each kind of mistake that the debug kernel is there to find fails a run of the virtual machine, and a run without one passes.

The mistakes are made on purpose by fixar_faults.c. Needs what `selftests/vm provision --debug` makes.
"""

import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "selftests"))

from machine import debug_kernel, modules, run  # noqa: E402

HERE = SOURCE / "selftests/debug"

# A mistake, the exit status that it must lead to, and what must be said on the way.
FAULTS = [
    ("none", 0, r"log lines scanned [1-9]\d\d"),
    ("use_after_free", run.COMPLAINED, r"\| .*BUG: KASAN: slab-use-after-free in use_after_free.*fixar_faults"),
    ("lock_inversion", run.COMPLAINED, r"\| .*possible circular locking dependency detected"),
    ("leaked_mapping", run.COMPLAINED, r"\| .*DMA-API: .* 0000:00:1f.3: device driver has pending DMA allocations"),
    ("leaked_memory", run.COMPLAINED, r"\| .*kmemleak: unreferenced object"),
]

# What tests expect of the debug kernel and do not find otherwise: faults on request, and coverage.
EXPECTED = """
for file in /sys/kernel/debug/kcov /sys/kernel/debug/failslab/probability /sys/kernel/debug/fail_page_alloc/probability \\
	/sys/kernel/debug/fail_usercopy/probability /sys/kernel/debug/fail_function/inject /proc/self/fail-nth \\
	/sys/kernel/debug/kmemleak /proc/lockdep_stats /sys/kernel/debug/dma-api/num_errors; do
	[ -e $file ] || echo "there is no $file"
done
grep -q '^ *debug_locks: *1' /proc/lockdep_stats || echo "lockdep is off"
[ "$(cat /sys/kernel/debug/dma-api/disabled)" = N ] || echo "DMA debugging is off"
"""


def vm(*command):
    result = subprocess.run([str(SOURCE / "selftests/vm"), "run", "--kernel", "debug", "--cards", "0", "--", *command],
                            cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    return result.returncode, result.stdout, result.stderr


def main():
    print(f"KTAP version 1\n1..{len(FAULTS) + 1}", flush=True)
    folder = modules.build(debug_kernel.choose(), "faults", [HERE / "Kbuild", HERE / "fixar_faults.c"])
    failures = 0

    def report(number, passed, name, seen):
        nonlocal failures
        failures += not passed
        print(f"{'ok' if passed else 'not ok'} {number} {name}", flush=True)
        if not passed:
            print("\n".join(f"# {line}" for line in seen.splitlines()), flush=True)

    for number, (fault, expected, words) in enumerate(FAULTS, 1):
        # A machine takes its time to boot, so the first one is asked two things.
        also = EXPECTED if fault == "none" else ""
        status, out, said = vm("sh", "-ec", f"insmod {folder}/fixar_faults.ko fault={fault}; rmmod fixar_faults; echo done\n{also}")
        first, _, missing = out.partition("\n")
        passed = status == expected and first == "done" and re.search(words, said)
        report(number, passed, f"{fault}: exit status {expected}", f"exit status {status}\n{out}{said}")
        if also:
            asked = first == "done" and missing == ""
            missing_said = out + said
    report(len(FAULTS) + 1, asked, "faults on request, coverage and the watchers are there", missing_said)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
