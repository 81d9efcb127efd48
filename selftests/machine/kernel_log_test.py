#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which lines of a kernel log fail a run. The lines are as Linux 6.12 prints them, with times, as they come over the console."""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from machine.kernel_log import Log  # noqa: E402

BAD = {
    "use after free": "BUG: KASAN: slab-use-after-free in fixar_bo_free+0x1c/0x40 [fixar]",
    "slab's own checks": "BUG kmalloc-64 (Tainted: G           O      ): Right Redzone overwritten",
    "undefined behaviour": "UBSAN: array-index-out-of-bounds in drivers/accel/x.c:12:3",
    "lock order": "WARNING: possible circular locking dependency detected",
    "recursive lock": "WARNING: possible recursive locking detected",
    "lock in interrupts": "WARNING: inconsistent lock state",
    "irq inversion": "WARNING: possible irq lock inversion dependency detected",
    "lock kept": "WARNING: lock held when returning to user space!",
    "RCU": "WARNING: suspicious RCU usage",
    "lock that nobody initialized": "INFO: trying to register non-static key.",
    "lockdep's memory": "BUG: MAX_LOCKDEP_ENTRIES too low!",
    "sleep in atomic context": "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585",
    "atomic": "BUG: scheduling while atomic: insmod/123/0x00000002",
    "leaked mapping": "DMA-API: pci 0000:01:00.0: device driver has pending DMA allocations while released from device [count=1]",
    "unmap of nothing": "DMA-API: fixar 0000:01:00.0: device driver tries to free DMA memory it has not allocated",
    "DMA debugging gone": "DMA-API: debugging out of memory - disabling",
    "DMA tracking gone": "DMA-API: cacheline tracking ENOMEM, dma-debug disabled",
    "leaked memory": "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "leaked object": "kmemleak: unreferenced object 0xffff888102f5e000 (size 256):",
    "kmemleak gone": "kmemleak: Kernel memory leak detector disabled",
    "objects": "ODEBUG: free active (active state 0) object: 0000 object type: timer_list hint: x+0x0/0x10\n"
               "WARNING: CPU: 1 PID: 10 at lib/debugobjects.c:514 debug_print_object+0x1/0x2",
    "oops": "Oops: Oops: 0000 [#1] PREEMPT SMP KASAN",
    "null pointer": "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "fault": "general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1]",
    "reference count": "refcount_t: underflow; use-after-free.",
    "hung task": "INFO: task fixar:123 blocked for more than 300 seconds.",
    "stall": "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "soft lockup": "watchdog: BUG: soft lockup - CPU#1 stuck for 130s! [insmod:123]",
    "interrupt": "irq 24: nobody cared (try booting with the \"irqpoll\" option)",
    "IOMMU": "DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0xfffff000 [fault reason 0x05] PTE Write access is not set",
    "bounce buffers": "fixar 0000:01:00.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 0 (slots)",
    "a watcher that is off": "fixar-vm: WARNING: lockdep is off",
}

GOOD = [
    "DMA-API: preallocated 65536 debug entries",
    "DMA-API: debugging enabled by kernel config",
    "DMA-API: dma_debug_entry pool grown to 131072 (200%)",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 31526)",
    "kmemleak: Automatic memory scanning thread started",
    "kmemleak: Cannot allocate a scan area, scanning the full object",
    "kasan: KernelAddressSanitizer initialized",
    "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "fixar 0000:01:00.0: warning: something that a driver says at its own level",
    "DMAR: IOMMU enabled",
    "DMAR: Intel(R) Virtualization Technology for Directed I/O",
    "software IO TLB: mapped [mem 0x000000003b000000-0x000000003f000000] (64MB)",
]


def log(line):
    return Log("".join(f"[    1.234567] {each}\r\n" for each in line.split("\n")))


def main():
    results = [(f"fails: {name}", bool(log(line).complaints)) for name, line in BAD.items()]
    # With CONFIG_PRINTK_CALLER there is one field more.
    results.append(("counts lines with a caller, too", Log("[    1.234567][    T1] BUG: x\n").scanned == 1))
    results += [(f"passes: {line}", not log(line).complaints) for line in GOOD]
    print(f"KTAP version 1\n1..{len(results)}")
    for number, (name, passed) in enumerate(results, 1):
        print(f"{'ok' if passed else 'not ok'} {number} {name.replace('#', '')}")
    return 0 if all(passed for _name, passed in results) else 1


if __name__ == "__main__":
    sys.exit(main())
