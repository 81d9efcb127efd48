#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A driver for XDMA that other people wrote works on the emulated card: mainline's, drivers/dma/xilinx/xdma.c.

It is built from the kernel's own source package, unchanged, with the glue beside this file; that moves data both ways on both
cards and compares it. Meanwhile the cards note every doubtful act of a driver, and must have noted none.

Runs on 6.12, with FIXAR_TEST_FULL=1 also on the newest kernel (6.1 has no such driver); FIXAR_VM_KERNELS, a list with blanks
between, names others. Needs what `selftests/vm provision` fetches.
"""

import os
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "selftests"))

from machine import cards, debug_kernel, kernels, modules, sources  # noqa: E402
from machine.common import Failure  # noqa: E402

HERE = SOURCE / "selftests/foreign"
OURS = ["Kbuild", "foreign.h", "foreign_card.c", "foreign_transfers.c"]
# As they lie to each other in the kernel's source: xdma.c includes "../virt-dma.h", and that "dmaengine.h".
THEIRS = {"drivers/dma/dmaengine.h": "dmaengine.h", "drivers/dma/virt-dma.h": "virt-dma.h",
          "drivers/dma/xilinx/xdma.c": "xilinx/xdma.c", "drivers/dma/xilinx/xdma-regs.h": "xilinx/xdma-regs.h"}
TESTS = 5  # of foreign_transfers.c, for each card

# Built into Debian's kernels, and modules of others.
GUEST = """
set -e
modprobe virt-dma
modprobe regmap-mmio
insmod "$0/xilinx/xdma.ko"
insmod "$0/fixar_foreign.ko"
for card in /sys/kernel/debug/fixar_foreign/*; do
	cat "$card"
done
grep -E 'xdma|fixar' /proc/interrupts | sed 's/^/# /'
rmmod fixar_foreign
rmmod xdma
echo "# unloaded"
"""


def build(kernel):
    source = sources.of_kernel(kernel)
    if not source:
        raise Failure(f"the source of Linux {kernel.release} is not fetched: run  selftests/vm provision")
    theirs = []
    for path, copy in THEIRS.items():
        part = source.part(path)
        if not part:
            raise Failure(f"{source.name} {source.version} has no {path}")
        theirs.append((part, copy))
    return modules.build(kernel, "foreign", [HERE / file for file in OURS] + theirs)


def on(name, iommu):
    """The results of one kernel: pairs of success and text, and everything that was said."""
    kernel = debug_kernel.choose() if name == debug_kernel.SERIES else kernels.choose(name)
    folder = build(kernel)
    command = [str(SOURCE / "selftests/vm"), "run", "--kernel", name, "--iommu", iommu, "--strict", "--timeout", "1800",
               "--", "sh", "-c", GUEST, str(folder)]
    result = subprocess.run(command, cwd=SOURCE, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    said = result.stdout + result.stderr
    results = [(not failed, text) for failed, text in re.findall(r"^(not )?ok \d+ (.*)$", result.stdout, re.M)]
    wanted = cards.CARDS * TESTS
    results.append((len(results) == wanted, f"{wanted} results"))
    results.append((result.returncode == 0 and result.stdout.endswith("# unloaded\n"),
                    "the drivers unload, the kernel has no complaint, and no card saw a doubtful act"))
    return [(passed, f"Linux {kernel.release}, IOMMU {iommu}: {text}") for passed, text in results], said


def main():
    print("KTAP version 1", flush=True)
    count = failures = 0
    usual = f"{kernels.DEFAULT} {kernels.NEWEST}" if os.environ.get("FIXAR_TEST_FULL") == "1" else kernels.DEFAULT
    names = (os.environ.get("FIXAR_VM_KERNELS") or usual).split()
    # With an IOMMU the card reaches no byte that was not mapped for it.
    for name, iommu in [(name, iommu) for name in names for iommu in ("none", "intel")]:
        try:
            results, said = on(name, iommu)
        except Failure as failure:
            results, said = [(False, f"Linux {name}, IOMMU {iommu}")], str(failure)
        for passed, text in results:
            count += 1
            failures += not passed
            print(f"{'ok' if passed else 'not ok'} {count} {text}", flush=True)
        if not all(passed for passed, _text in results):
            print("\n".join(f"# {line}" for line in said.splitlines()), flush=True)
    print(f"1..{count}")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
