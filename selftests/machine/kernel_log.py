# SPDX-License-Identifier: MIT
"""Judges the kernel log of a run. The whole log counts, from the first line that the kernel prints."""

import re

# What a sound kernel does not say. Case matters: "warning" in a driver's own message is no WARNING.
COMPLAINTS = re.compile("|".join([
    r"\bWARNING\b", r"\bBUG\b", r"\bKASAN\b", r"\bKCSAN\b", r"\bKFENCE\b", r"\bUBSAN\b", r"\bOops\b",
    r"Kernel panic", r"kernel BUG at", r"general protection fault", r"unable to handle", r"Unable to handle",
    r"------------\[ cut here \]", r"Call Trace:",
    # lockdep and its relatives
    r"possible (circular|recursive|irq) lock", r"INFO: possible ", r"inconsistent lock state", r"suspicious RCU usage",
    r"held lock freed", r"lock held when returning", r"locks held when returning", r"bad unlock balance",
    r"non-static key", r"lock order inversion", r"Invalid wait context", r"sleeping function called", r"scheduling while atomic",
    # hangs
    r"INFO: task .* blocked for more than", r"self-detected stall", r"detected stalls", r"soft lockup", r"[Hh]ard LOCKUP",
    r"workqueue lockup", r"nobody cared", r"rcu_\w+ kthread starved",
    # memory; a scan area that could not be had (tests let allocations fail) makes kmemleak look at more memory, not at less
    r"kmemleak: (?!Kernel memory leak detector initialized|Automatic memory scanning|Cannot allocate a scan area)", r"unreferenced object",
    r"suspected memory leak", r"Bad page", r"page allocation failure", r"list_(add|del) corruption", r"refcount_t:", r"use-after-free",
    r"Out of memory",
    # DMA, and an IOMMU that refused it; also debugging that ran out of memory and went off
    r"DMA-API:(?! preallocated| debugging (?:enabled by|disabled on)| dma_debug_entry pool grown)",
    r"DMAR:.*\bfault\b", r"DMAR:.*DMA (Read|Write)",
    r"virtio_iommu.*\bfault\b", r"swiotlb buffer is full",
]))

# Lines of an untroubled boot that would match.
KNOWN = [r"RCU callback double-/use-after-free debug is enabled"]  # the debug kernel says so at its start

PREFIX = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


class Log:
    """`complete` says whether the marks of the guest's programs are there: a log that lost its end proves nothing."""

    def __init__(self, text):
        self.lines = [line.rstrip("\r") for line in text.split("\n") if line.strip("\r")]
        # Firmware and QEMU may write to the console, too; the kernel's lines have a time.
        self.scanned = sum(1 for line in self.lines if PREFIX.match(line))
        self.complete = any("fixar-vm: end" in line for line in self.lines)
        self.booted = any("fixar-vm: begin" in line for line in self.lines)
        self.complaints = [line for line in self.lines
                           if COMPLAINTS.search(line) and not any(re.search(known, line) for known in KNOWN)]

    def excerpts(self, before=1, after=30, limit=200):
        """The complaints with what the kernel says after them, such as traces."""
        wanted = set()
        for number, line in enumerate(self.lines):
            if COMPLAINTS.search(line) and not any(re.search(known, line) for known in KNOWN):
                wanted.update(range(max(number - before, 0), min(number + after + 1, len(self.lines))))
        shown = [self.lines[number] for number in sorted(wanted)]
        if len(shown) > limit:
            shown = shown[:limit] + [f"... and {len(shown) - limit} lines more"]
        return shown

    def last(self, number=25):
        return self.lines[-number:]
