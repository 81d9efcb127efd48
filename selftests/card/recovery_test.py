#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each fault that the emulated card can have, at a random point under three clients.

The rows are the card's own list of faults (request `faults`). For each: what the driver logged, what each client saw, which rungs
were taken according to the driver (trace point fixar_rung) and to the card (its counts of resets). Clients that did not fail have,
byte for byte, the results of a run without a fault. The documented rung is taken; a rung that no fault led to is a failure.

    selftests/card/recovery_test.py [FAULT]...         (default: one for each rung; with FIXAR_TEST_FULL=1 all)

FIXAR_TEST_SEED: for other random points; they differ from run to run only with FIXAR_TEST_FULL=1. FIXAR_VM_KERNELS: the first of them is the kernel.
"""

import os
import random
import re
import sys

import faults
from vm import BUILD, Failed, Machine
from machine import modules

sys.dont_write_bytecode = True

FULL = os.environ.get("FIXAR_TEST_FULL") == "1"
QUICK = ["write-slave", "channel-stall", "channel-stuck", "interrupt-lost", "core-header", "core-stall", "memory-epoch", "removal-access"]
ROUNDS = 12  # of each of three clients
# A fault strikes at the n-th occasion, n from 1 to this; of each of which the clients make more.
OCCASIONS = {"descriptor": 40, "run": 40, "command": 40, "interrupt": 40, "register access": 300}

# The driver's names of the rungs that the card documents.
RUNGS = {"poll": "poll", "resume": "resume", "channel-stop": "channel", "soft-reset": "core", "bus-reset": "bus"}
# What leads to a state only together with another fault: nobody soft-resets a sound core.
TOGETHER = {"core-reset-stuck": ["core-stall"]}
# The card is lost, whatever its list says about how it comes back.
GONE = {"cattrip", "removal-access", "removal-transfer", "removal-interrupt"}
# These strike when the driver looks for the card, so selftests/card/probe_test.py has them.
AT_PROBE = re.compile(r"identity-|cms-dead")
LOST = {"memory-epoch"}

LINE = re.compile(r"(\w+)=(\S+)")
count = failures = 0


def report(passed, name, explanation=()):
    global count, failures
    count += 1
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {count} {name}", flush=True)
    if not passed:
        for line in explanation:
            print(f"# {line}")


class Row:
    """What happened with one fault."""

    def __init__(self, lines, events):
        # In the order of their numbers, not of their ends.
        self.clients = [dict(LINE.findall(line)) for line in sorted(lines) if line.startswith("CLIENT")]
        self.rungs = [line.split()[2] for line in lines if line.startswith("RUNG 00000100")]
        self.others = [line for line in lines if line.startswith(("OTHER", "RUNG 00000200"))]
        self.log = [line.split(": ", 1)[1] for line in lines if line.startswith("LOG")]
        self.events = events

    def broken(self):
        return [client for client in self.clients if client["crc"] == "00000000"]

    def text(self):
        seen = "; ".join("ok" if client not in self.broken() else
                         " ".join(f"{key}={client[key]}" for key in ("submit", "wait", "fence", "state", "fault", "core_error", "dma_status")
                                  if client[key] not in ("0", "0x0")) for client in self.clients)
        return [f"rungs: {' '.join(self.rungs) or 'none'}; card: {' '.join(self.events) or 'nothing'}", f"clients: {seen}",
                *(f"log: {line}" for line in self.log)]


def judge(fault, row, sound):
    """Everything that is wrong with a row."""
    name, wrong = fault["name"], []
    if len(row.clients) != 3:
        return [f"{len(row.clients)} clients came to an end"]
    broken = row.broken()
    for client in row.clients:
        expected = sound[row.clients.index(client)]
        if client not in broken and client["crc"] != expected["crc"]:
            wrong.append(f"a client has {client['crc']} instead of {expected['crc']}")
    if name in GONE:
        if not broken or any(client["state"] != "gone" for client in broken):
            wrong.append("the card was not given up for all clients")
        if row.rungs[-1:] != ["unplug"]:
            wrong.append("no unplug")
    elif name in LOST:
        if any(client["state"] != "2" for client in broken) or not broken:
            wrong.append("no context is lost")
    else:
        if len(broken) > 1:
            wrong.append(f"{len(broken)} clients failed")
        for client in broken:
            if client["state"] != "1" or client["fault"] == "0" or (client["fence"] == "0" and client["submit"] == "0"):
                wrong.append("a client failed and was not told why")
        rung = RUNGS.get(fault["rung"])
        if rung and rung not in row.rungs:
            wrong.append(f"the driver did not take the rung {rung}")
        if fault["rung"] == "none" and row.rungs:
            wrong.append("a rung was taken for nothing")
        # A channel that an error has ended is not stopped once more.
        told = ("resume", "soft-reset", "bus-reset") + (("channel-stop",) if fault["type"] == "state" else ())
        if fault["rung"] in told and fault["rung"] not in row.events:
            wrong.append(f"the card saw no {fault['rung']}")
    # One lost interrupt is found once. Were the core's line left up, all behind it would be lost, too.
    if row.rungs.count("poll") > 1:
        wrong.append(f"{row.rungs.count('poll')} interrupts were lost")
    if row.others:
        wrong.append("the other card was disturbed: " + row.others[0])
    return wrong


class Run:
    def __init__(self, machine, generator):
        self.machine, self.card, self.random = machine, machine.cards[0], generator

    def one(self, names, needs):
        """Clears what was, arms, lets the clients run, and returns the row."""
        self.machine.until("PAUSE")
        self.card.ask("unfault all")
        if self.card.ask("status")["gone"]:
            self.card.ask("plug")
        self.machine.go_on()
        self.machine.until("PAUSE")
        resets = self.card.ask("status")["resets"]
        for name in names:
            after = self.random.randint(1, OCCASIONS.get(needs[name], 1))
            self.card.ask(f"fault {name} after={after}")
        self.machine.go_on()
        before = len(self.machine.said)
        self.machine.until("DONE")
        now = self.card.ask("status")["resets"]
        events = [name.replace("_", "-") for name, number in now.items() if number > resets[name]]
        return Row(self.machine.said[before:], events)


def main():
    kernel = (os.environ.get("FIXAR_VM_KERNELS", "").split() or [None])[0]
    # One random point is tried again and again by `make check`, which ends each change; others come with FIXAR_TEST_FULL.
    seed = int(os.environ.get("FIXAR_TEST_SEED") or (random.randrange(1 << 32) if FULL else 1))
    print(f"KTAP version 1\n# seed {seed}", flush=True)
    # How many there are is known before the machine runs: the card says so.
    listed = [fault for fault in faults.listed(BUILD) if not AT_PROBE.match(fault["name"]) and not fault["needs"]]
    chosen = sys.argv[1:] or (None if FULL else QUICK)
    if chosen:
        listed = [fault for fault in listed if fault["name"] in chosen]
    needs = {fault["name"]: fault["after_counts"] for fault in listed}
    needs.setdefault("core-stall", "command")
    machine = Machine("guest_recovery.sh", modules.kselftests(), len(listed), ROUNDS, kernel=kernel, timeout=7000)
    taken = set()
    try:
        run = Run(machine, random.Random(seed))
        sound = run.one([], needs)
        report(len(sound.clients) == 3 and not sound.broken() and not sound.rungs, "without a fault all is well", sound.text())
        for fault in listed:
            row = run.one([*TOGETHER.get(fault["name"], []), fault["name"]], needs)
            taken.update(row.rungs)
            wrong = judge(fault, row, sound.clients)
            report(not wrong, f"{fault['name']}: {fault['meaning']}", wrong + row.text())
            if not wrong:
                for line in row.text():
                    print(f"#     {line}", flush=True)
        if not sys.argv[1:]:
            missing = {*RUNGS.values(), "unplug"} - taken
            report(not missing, "every rung was taken", [f"not taken: {' '.join(sorted(missing))}"])
        status, last = machine.end()
        report(status == 0, "the machine ended well, and the kernel has nothing to complain about", last)
    finally:
        machine.stop()
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        print(f"Bail out! {failed}")
        sys.exit(1)
