#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each fault that the emulated card can have, at a random point under three clients.

The rows are the card's own list of faults (request `faults`). For each: what the driver logged, what each client saw, which rungs
were taken according to the driver (trace point fixar_rung) and to the card (its counts of resets). Clients that did not fail have,
byte for byte, the results of a run without a fault. The documented rung is taken; a fault without a row, or a rung that no fault
led to, is a failure. faults.py has what is expected. The rows are written to recovery-KERNEL.md in the folder of the build.

    selftests/card/recovery_test.py [FAULT]...         (default: one for each rung and those of the probe; with FIXAR_TEST_FULL=1 all)

FIXAR_TEST_SEED: for other random points; they differ from run to run only with FIXAR_TEST_FULL=1. FIXAR_VM_KERNELS names the
kernels; otherwise it is 6.12, with FIXAR_TEST_FULL=1 all.
"""

import errno
import os
import random
import re
import sys

sys.dont_write_bytecode = True

import faults  # noqa: E402
from ktap import program, report  # noqa: E402
from vm import BUILD, FULL, KERNELS, Failed, Machine  # noqa: E402
from machine import modules  # noqa: E402

QUICK = ["write-slave", "channel-stall", "channel-stuck", "interrupt-lost", "core-header", "core-stall", "memory-epoch", "memory-epoch-silent",
         "memory-not-ready", "removal-access", *faults.AT_PROBE]
ROUNDS = 12  # of each of three clients
# A fault strikes at the n-th occasion, n from 1 to this; of each of which the clients make more. Of other kinds at the first.
OCCASIONS = {"descriptor": 40, "run": 40, "command": 40, "interrupt": 40, "register access": 300}

STATES = {"0": "OK", "1": "FAULTED", "2": "LOST", "gone": "no answer but -ENODEV"}
FAULTS = ("NONE", "CORE", "TIMEOUT", "RESET", "COPY", "MEMORY")

LINE = re.compile(r"(\w+)=(\S+)")


def error_name(number):
    return "-" + errno.errorcode.get(-int(number), number.lstrip("-"))


class Row:
    """What happened with one fault."""

    def __init__(self, lines, events, struck):
        # In the order of their numbers, not of their ends.
        self.clients = [dict(LINE.findall(line)) for line in sorted(lines) if line.startswith("CLIENT")]
        self.rungs = [line.split()[2] for line in lines if line.startswith("RUNG 00000100")]
        self.others = [line for line in lines if line.startswith(("OTHER", "RUNG 00000200"))]
        self.log = [line.split(": ", 1)[1] for line in lines if line.startswith("LOG")]
        self.said = [line.removeprefix("SAID ") for line in lines if line.startswith("SAID")]
        self.probe = dict(LINE.findall(next((line for line in lines if line.startswith("PROBE")), "")))
        self.events, self.struck = events, struck

    def broken(self):
        return [client for client in self.clients if client["crc"] == "00000000"]

    def seen_by(self, client):
        """What a client was told: the first call that failed, then the state of its context."""
        if client not in self.broken():
            return "the right bits"
        call = next((f"{error_name(client[call])} from {text}" for call, text in
                     (("submit", "a submission"), ("wait", "a wait"), ("fence", "a fence"), ("query", "CTX_QUERY")) if client[call] != "0"),
                    "no error but in CTX_QUERY")
        details = [f"{key} {client[key]}" for key in ("core_error", "dma_status") if client[key] not in ("0", "0x0")]
        if client["fault"] != "0":
            details.insert(0, FAULTS[int(client["fault"])])
        return f"{call}; {STATES.get(client['state'], client['state'])}{' (' + ', '.join(details) + ')' if details else ''}"

    def rung_names(self):
        return ", ".join(self.rungs) or "none"

    def text(self):
        if self.probe:
            seen = ["the probe " + ("takes the card" if self.probe["bound"] == "1" else "refuses the card")
                    + f", {self.probe['sensors']} temperatures", *(f"a program: {line}" for line in self.said)]
        else:
            seen = [f"client {number}: {self.seen_by(client)}" for number, client in enumerate(self.clients)]
        return [f"rungs: {self.rung_names()}; card: {', '.join(self.events) or 'nothing'}", *seen, *(f"log: {line}" for line in self.log)]

    def table_line(self, fault):
        """A line of the table in Markdown. Clients that saw the same are counted."""
        if self.probe:
            seen = [self.text()[1], *self.said]
        else:
            told = [self.seen_by(client) for client in self.clients]
            seen = [f"{told.count(text)} x {text}" for text in sorted(set(told))]
        cells = [f"`{fault['name']}`", fault["type"], fault["rung"], "<br>".join(self.log) or "nothing", "<br>".join(seen), self.rung_names(),
                 ", ".join(self.events) or "nothing"]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


class Run:
    def __init__(self, machine, generator, listed):
        self.machine, self.card, self.random = machine, machine.cards[0], generator
        self.counts = {fault["name"]: fault["after_counts"] for fault in listed}

    def struck(self, names):
        return {fault["name"]: fault["struck"] for fault in self.card.ask("faults")["faults"] if fault["name"] in names}

    def one(self, names, what="clients"):
        """Clears what was, arms, lets the clients run or the driver probe, and returns the row."""
        self.machine.until("PAUSE")
        self.card.ask("unfault all")
        if self.card.ask("status")["gone"]:
            self.card.ask("plug")
        self.machine.go_on(what)
        self.machine.until("PAUSE")
        resets, struck = self.card.ask("status")["resets"], self.struck(names)
        for name in names:
            after = self.random.randrange(OCCASIONS.get(self.counts[name], 1))
            self.card.ask(f"fault {name} after={after}")
        before = len(self.machine.said)
        self.machine.go_on()
        self.machine.until("DONE")
        now = self.card.ask("status")["resets"]
        events = [name.replace("_", "-") for name, number in now.items() if number > resets[name]]
        return Row(self.machine.said[before:], events, all(number > struck[name] for name, number in self.struck(names).items()))


def write_table(rows, kernel, release, seed):
    lines = [f"Linux {release}, seed {seed}, {len(rows)} rows, {ROUNDS} rounds of each client.", "",
             "| Fault | Type | Documented rung | Log | What the three clients saw | Rungs (driver) | Rungs (card) |",
             "| --- | --- | --- | --- | --- | --- | --- |", *(row.table_line(fault) for fault, row in rows)]
    (BUILD / f"recovery-{kernel}.md").write_text("\n".join(lines) + "\n")


def on_kernel(kernel, listed, chosen, seed):
    """All rows on one kernel."""
    machine = Machine("guest_recovery.sh", modules.kselftests(), ROUNDS, kernel=kernel, options=["--card-options=--ecc"], timeout=7000)
    rows = []
    try:
        run = Run(machine, random.Random(seed), listed)
        sound = run.one([])
        good = len(sound.clients) == 3 and not sound.broken() and not sound.rungs
        report(good, f"Linux {machine.release}: without a fault all is well", sound.text(), always=True)
        for fault, names in faults.rows(listed):
            if fault["name"] not in chosen:
                continue
            row = run.one(names, "probe" if fault["name"] in faults.AT_PROBE else "clients")
            rows.append((fault, row))
            wrong = faults.judge(fault, row, sound.clients)
            report(not wrong, f"{fault['name']}: {fault['meaning']}", wrong + row.text(), always=True)
        if not sys.argv[1:]:
            missing = {*faults.RUNGS.values(), "unplug"} - {rung for _, row in rows for rung in row.rungs}
            report(not missing, "every rung was taken", [f"not taken: {' '.join(sorted(missing))}"] if missing else [])
        if FULL and not sys.argv[1:]:
            without = {fault["name"] for fault in listed} - {fault["name"] for fault, _ in rows}
            report(not without, "every fault has a row", [f"without: {' '.join(sorted(without))}"] if without else [])
        machine.until("PAUSE")
        machine.go_on("end")
        status, last = machine.end()
        report(status == 0, "the machine ended well, and the kernel has nothing to complain about", last if status else [])
        write_table(rows, kernel, machine.release, seed)
    finally:
        machine.stop()


def main():
    # One random point is tried again and again by `make check`, which ends each change; others come with FIXAR_TEST_FULL.
    seed = int(os.environ.get("FIXAR_TEST_SEED") or (random.randrange(1 << 32) if FULL else 1))
    print(f"# seed {seed}", flush=True)
    # How many there are is known before the machine runs: the card says so.
    listed = faults.listed(BUILD)
    known = [fault["name"] for fault, _ in faults.rows(listed)]
    chosen = sys.argv[1:] or [name for name in known if FULL or name in QUICK]
    if unknown := set(chosen) - set(known):
        raise Failed(f"the card has no fault {' '.join(unknown)}")
    for kernel in KERNELS:
        on_kernel(kernel, listed, chosen, seed)


if __name__ == "__main__":
    program(main)
