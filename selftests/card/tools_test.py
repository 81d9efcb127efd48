#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools for cards on two emulated cards, in one guest: info, mode, dma, top, conform with and without driver, and training on a
card that loses its memory. What they say is compared with the guest's own files and with what the cards saw. What a submission costs.
conform without driver once more in a guest with an IOMMU.

The first card has a single MSI vector, the second five of MSI-X.

FIXAR_VM_KERNELS names the kernels (default: 6.12). FIXAR_TEST_FULL=1: all kernels and all golden vectors.
"""

from cost import Cost
from ktap import program, report
from vm import FULL, KERNELS, Failed, Machine


IOMMU = ["--iommu", "intel", "--append", "iommu.strict=1"]


class Run:
    def __init__(self, kernel, options=()):
        self.machine = Machine("guest_tools.sh", kernel=kernel, options=["--card-options=--msi", *options])
        self.first, self.second = self.machine.cards

    def stage(self, word, before=None):
        """Lets the guest do one stage; passes its results on."""
        self.machine.until("PAUSE")
        for card in (self.first, self.second):
            card.ask("clear")
        if before:
            before()
        start = len(self.machine.said)
        self.machine.go_on(word)
        self.machine.until(f"DONE {word}")
        lines, results = self.machine.said[start:], []
        for line in lines:
            if line.startswith("RESULT "):
                results.append((line.split()[1] == "ok", line.split(" ", 2)[2], []))
            elif line.startswith("WHY ") and results:
                results[-1][2].append(line[4:])
        for result in results:
            report(*result)
        if not results and word.split()[0] not in ("bind", "unbind", "rmmod", "cost", "vfio"):
            report(False, f"the stage {word} has results", lines)

    def sensors(self):
        self.first.ask("sensor fpga-temperature 71")
        self.first.ask("sensor 12v-pex 10000")

    def all(self):
        self.stage("idle", self.sensors)
        for name, card in (("first", self.first), ("second", self.second)):
            channels = card.ask("status")["channels"]
            report(all(channel["bytes"] for channel in channels.values()), f"dma: all four channels of the {name} card moved bytes",
                   [str(channels)])
        self.stage("busy")
        status = self.second.ask("status")
        report(not any(status["commands"].values()), "top: the other card did nothing meanwhile", [str(status["commands"])])
        self.stage("vectors")
        for name, card in (("first", self.first), ("second", self.second)):
            commands = card.ask("status")["commands"]
            report(commands["train"] and commands["act"] and commands["read_ranges"] and commands["reload"],
                   f"conform: the {name} card trained, acted, read ranges and loaded agents", [str(commands)])
        if FULL:
            self.stage("all-vectors")
        doubts = [card.ask("strict") for card in (self.first, self.second)]
        report(not any(doubt["total"] for doubt in doubts), "the cards saw nothing doubtful", [str(doubts)])

        for name, card in (("first", self.first), ("second", self.second)):
            self.stage(f"cost {name}")
            line = next((line for line in reversed(self.machine.said) if line.startswith("COST ")), None)
            cost = Cost(card, line) if line else None
            wrong = cost.complaints() if cost else ["the guest does not say"] + self.machine.said[-20:]
            vectors = "one MSI vector" if name == "first" else "MSI-X"
            report(not wrong and cost.single == (name == "first"),
                   f"a submission with {vectors}: no register is read, nothing mapped, nothing waited for; handlers read few",
                   wrong + (cost.table() if cost else []))
            if cost and not wrong:
                for line in cost.table():
                    print(f"#   {line}", flush=True)

        # A command of the run is the one that fails: of the agent's creation, before the first checkpoint, after it.
        self.stage("sound")
        for word, after in (("lost-at-once", 0), ("lost-early", 40), ("lost-late", 120)):
            self.stage(word, lambda after=after: self.first.ask(f"fault memory-epoch after={after}"))
            struck = next(fault for fault in self.first.ask("faults")["faults"] if fault["name"] == "memory-epoch")
            report(struck["struck"] == 1 and not struck["armed"], f"{word}: the card's memory was lost, once", [str(struck)])

        self.stage("unbind")
        self.raw()
        self.stage("raw-fault", lambda: self.second.ask("fault core-result after=20"))
        self.stage("bind")
        self.stage("rmmod")
        self.stage("without")
        self.end()

    def behind_an_iommu(self):
        self.stage("unbind")
        self.stage("raw-alone")
        report(not self.second.ask("descriptors")["total"], "conform --raw behind an IOMMU, alone: nothing was copied")
        self.stage("vfio")
        self.raw()
        # The guest has no memory there.
        hosts = [one["host"] for one in self.second.ask("descriptors 65536")["descriptors"]]
        report(hosts and min(hosts) >= 1 << 32, "and the card was given addresses of the IOMMU's", [f"{min(hosts, default=0):#x}"])
        self.end()

    def raw(self):
        self.stage("raw")
        status = self.second.ask("status")
        report(status["commands"]["train"] > 10 and status["resets"]["soft_reset"] > 3, "conform --raw: the card did the work",
               [str(status["commands"]), str(status["resets"])])

    def end(self):
        self.machine.until("PAUSE")
        self.machine.go_on("end")
        status, last = self.machine.end()
        report(status == 0, "the guest ended in order, with a clean log", last)


def on(kernel, what, options=()):
    run = None
    try:
        run = Run(kernel, options)
        what(run)
    except Failed as failed:
        report(False, f"Linux {kernel}", str(failed).splitlines())
    finally:
        if run:
            run.machine.stop()


def main():
    for kernel in KERNELS:
        on(kernel, Run.all)
        on(kernel, Run.behind_an_iommu, IOMMU)


if __name__ == "__main__":
    program(main)
