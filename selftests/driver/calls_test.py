#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the driver calls on the way to a fence: nothing that waits, and nothing that allocates.

    selftests/driver/calls_test.py [KERNEL]...        (default: 6.12; all with FIXAR_TEST_FULL=1)

Read from the compiled module: all functions of it that can be reached from run_job, an interrupt handler or the end of a job, and
what those call in the kernel. That must be in a short list, so that a call that nobody has thought of fails the test, too. A
trace point's probe, an indirect call, is not followed.
"""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "selftests"))

from machine import kernels, modules  # noqa: E402
from machine.callgraph import Module  # noqa: E402
from machine.common import Failure  # noqa: E402

# What compilers and the kernel's configuration put in, and what a trace point needs.
PLUMBING = re.compile(r"__fentry__|__x86_\w+thunk\w*|__stack_chk_fail|__(ubsan|asan)\w*|__SC[TK]__\w+|__preempt_count\w*|pcpu_hot"
                      r"|__cpu_online_mask|cpu_number|__tracepoint_\w+|__traceiter_\w+|\.\w+|refcount_warn_saturate|rcu_\w+"
                      r"|__rcu_read_\w+|trace_\w+|preempt_schedule_notrace\w*|__warn\w*|_printk|fixar_\w+")
# Locks that spin, clocks, and what hands work to somebody else.
ANYWHERE = {"_raw_spin_lock", "_raw_spin_unlock", "_raw_spin_lock_irqsave", "_raw_spin_unlock_irqrestore", "ktime_get", "queue_work_on",
            "mod_delayed_work_on", "queue_delayed_work_on", "__msecs_to_jiffies", "drm_dev_enter", "drm_dev_exit", "sg_next",
            "memset", "__memset", "memcpy", "__memcpy", "dma_fence_signal", "dma_fence_release", "__wake_up"}
# The mutex of those who write descriptors and command slots, around which nothing waits or allocates (fixar_device.h).
FILL = {"mutex_lock", "mutex_unlock"}
PATHS = {
    "fixar_core_run_job": ANYWHERE | FILL,
    "fixar_copy_run_job": ANYWHERE | FILL,
    "fixar_irq_core": ANYWHERE,
    "fixar_irq_channel": ANYWHERE,
    "fixar_irq_single": ANYWHERE,
    "fixar_done_callback": ANYWHERE,
    "fixar_gate_callback": ANYWHERE,
}
# That the test would see a wait: these do.
WAITING = {"fixar_core_soft_reset": "usleep_range_state", "fixar_ctx_create_ioctl": "schedule"}

count = failures = 0


def report(good, name, said=""):
    global count, failures
    count += 1
    failures += not good
    print(f"{'' if good else 'not '}ok {count} - {name}", flush=True)
    if not good:
        for line in str(said).splitlines():
            print(f"# {line}")


def main():
    print("KTAP version 1")
    series = [kernel.series() for kernel in kernels.installed() if kernel.series() in kernels.SERIES]
    for name in sys.argv[1:] or (series if os.environ.get("FIXAR_TEST_FULL") == "1" else [kernels.DEFAULT]):
        kernel = kernels.choose(name)
        module = Module(modules.fixar(kernel))
        for start, allowed in PATHS.items():
            if start not in module.calls:
                report(False, f"Linux {kernel.release}: {start}", "there is no such function")
                continue
            _, outside = module.reached(start, taken=True)
            wrong = [f"{function} calls {name}" for name, function in sorted(outside.items())
                     if name not in allowed and not PLUMBING.fullmatch(name)]
            report(outside and not wrong, f"Linux {kernel.release}: {start} neither waits nor allocates", "\n".join(wrong))
        for start, wait in WAITING.items():
            _, outside = module.reached(start, taken=True)
            report(wait in outside, f"Linux {kernel.release}: {start} is seen to wait ({wait})", " ".join(sorted(outside)))
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"Bail out! {failure}")
        sys.exit(1)
