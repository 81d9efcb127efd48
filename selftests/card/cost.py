# SPDX-License-Identifier: MIT
"""What a submission costs: registers, from the card's log; allocations, mappings and changes of context, from the guest's trace.

The client waits for each round, so nothing overlaps, and each interrupt's reads stand together in the log.
"""

import json
import statistics

# driver/HARDWARE.md, sections 5, 11 and 16. (BAR, offset), here as they are read.
CORE = {(1, 0x2004): "user enable", (0, 0x1008): "INT_STATUS", (0, 0x1018): "COMPLETED_SEQ"}
CHANNEL = {0x44: "status", 0x48: "completed count"}
SINGLE = {(1, 0x2044): "channel requests", (1, 0x2040): "user requests"}


def handler_reads(access):
    """Whether a read is one of an interrupt handler, and whose."""
    place = access["bar"], access["offset"]
    if place in CORE:
        return "core"
    if place in SINGLE:
        return "single"
    if access["bar"] == 1 and access["offset"] < 0x2000 and access["offset"] & 0xff in CHANNEL:
        return f"{'c2h' if access['offset'] >= 0x1000 else 'h2c'}{access['offset'] >> 8 & 0xf}"
    return None


def runs(reads, first):
    """The numbers of reads from one that begins a handler to the next."""
    numbers = []
    for access in reads:
        if (access["bar"], access["offset"]) in first:
            numbers.append(0)
        if numbers:
            numbers[-1] += 1
    return numbers


class Cost:
    def __init__(self, card, line):
        self.trace = json.loads(line.split(" ", 1)[1])
        answer = card.ask("accesses 65536")
        self.complete = answer["total"] == len(answer["accesses"])
        self.reads = [access for access in answer["accesses"] if access["kind"] == "read"]
        self.writes = [access for access in answer["accesses"] if access["kind"] == "write"]
        status = card.ask("status")
        self.messages = sum(status["interrupts"])
        self.commands = sum(status["commands"].values())
        self.single = any(handler_reads(access) == "single" for access in self.reads)
        self.submissions = self.trace["submissions"]

    def foreign(self):
        """Reads that no handler makes: these would be a submission's."""
        return sorted({f"BAR{access['bar']} {access['offset']:#x}" for access in self.reads if not handler_reads(access)})

    def handlers(self):
        """The reads of each interrupt."""
        if self.single:
            return runs(self.reads, {(1, 0x2044)})
        numbers = runs([access for access in self.reads if handler_reads(access) == "core"], {(1, 0x2004)})
        for channel in {handler_reads(access) for access in self.reads} - {"core", None}:
            own = [access for access in self.reads if handler_reads(access) == channel]
            numbers += runs(own, {(1, own[0]["offset"] & ~0xff | 0x44)})
        return numbers

    def of(self, key):
        """Of the submissions behind the first ones, in which buffers are mapped: least, median, most."""
        numbers = [submission[key] for submission in self.submissions[4:]]
        return min(numbers), statistics.median(numbers), max(numbers)

    def complaints(self):
        wrong = []
        most = 6 if self.single else 4
        numbers = self.handlers()
        if not self.complete or self.trace["lost"]:
            wrong.append("the logs are not complete")
        if len(self.submissions) < 100 or self.commands < 100:
            wrong.append(f"{len(self.submissions)} submissions, {self.commands} commands")
        if self.foreign():
            wrong.append(f"reads that no handler makes: {', '.join(self.foreign())}")
        # A read in the submission path would be one more than there are interrupts.
        if len(numbers) > self.messages or sum(numbers) != len(self.reads):
            wrong.append(f"{len(self.reads)} reads, {sum(numbers)} of them in {len(numbers)} handlers, for {self.messages} interrupts")
        if max(numbers, default=0) > most:
            wrong.append(f"a handler reads {max(numbers)} registers, and {most} are allowed")
        if self.of("maps")[2]:
            wrong.append(f"a submission maps memory: {self.of('maps')}")
        if self.of("switches")[2]:
            wrong.append(f"a submission waits: {self.of('switches')}")
        half = len(self.submissions) // 2
        if max(submission["allocations"] for submission in self.submissions[half:]) > \
                max(submission["allocations"] for submission in self.submissions[4:half]) + 2:
            wrong.append("allocations grow with time")
        return wrong

    def table(self):
        count = len(self.submissions)
        numbers = self.handlers()

        def row(name, value):
            return f"| {name} | {value} |"

        def spread(key):
            low, middle, high = self.of(key)
            return f"{middle:g} ({low} to {high})"

        return ["| " + ("one MSI vector" if self.single else "an MSI-X vector each") + " | |", "| --- | --- |",
                row("submissions (ACT and TRAIN, each with its copies)", count),
                row("register reads in a submission", 0 if not self.foreign() else "some"),
                row("register writes per submission", f"{len(self.writes) / count:.1f}"),
                row("interrupts per submission", f"{self.messages / count:.2f}"),
                row("register reads of a handler", f"{statistics.mean(numbers):.2f}, at most {max(numbers)}"),
                row("allocations in SUBMIT", spread("allocations")), row("bytes of them", spread("bytes")),
                row("DMA mappings in SUBMIT, once buffers are mapped", spread("maps")),
                row("changes of context in SUBMIT", spread("switches")),
                row("changes of context per submission, its wait included", f"{self.trace['waits'] / count:.2f}")]
