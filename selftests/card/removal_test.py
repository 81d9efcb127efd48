#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A card goes away at any moment: while the driver probes it, while programs train on it, while the driver is removed from it.

All-ones: the card is gone before its k-th register access, the k-th descriptor's data or the k-th interrupt message of a trace
(probe, three clients that train, remove), for every k, or for POINTS of them that lie evenly if there are more. Then it is
removed from the bus and comes back, is found again, and works: the clients have, byte for byte, the results of before.
Pulled: its slot's button is pressed under three clients, and later it is plugged in again. Killed: its emulator dies.

    selftests/card/removal_test.py [points|pulled|killed]...    (default: some of each; with FIXAR_TEST_FULL=1 all)

FIXAR_TEST_SEED: for other points of the trace. FIXAR_VM_KERNELS names the kernels; otherwise it is 6.12, with FIXAR_TEST_FULL=1 all.
"""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from ktap import program, report  # noqa: E402
from vm import BUILD, FULL, KERNELS, SLOW, Card, Failed, Machine  # noqa: E402
from machine import cards, debug_kernel, modules  # noqa: E402
from machine.common import end, start  # noqa: E402

POINTS, PULLED, KILLED = (300, 20, 5) if FULL else (8, 1, 0)
ROUNDS = 2  # of each of three clients
PARTS = sys.argv[1:] or ["points", "pulled", "killed"]
KINDS = ("removal-access", "removal-transfer", "removal-interrupt")

LINE = re.compile(r"(\w+)=(\S+)")


class Monitor:
    """QEMU's, for plugging in and out."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120 * SLOW)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.events = []
        self.ask("qmp_capabilities")

    def read(self):
        try:
            line = self.file.readline()
        except TimeoutError:
            raise Failed("the guest does not let go of the card") from None
        if not line:
            raise Failed("QEMU is gone")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            message = self.read()
            if "error" in message:
                raise Failed(f"QEMU, {command}: {message['error']['desc']}")
            if "return" in message:
                return

    def unplug(self, device):
        """Presses the button, and waits until the guest has let go."""
        self.events.clear()
        self.ask("device_del", id=device)
        while not any(event["event"] == "DEVICE_DELETED" and event["data"].get("device") == device for event in self.events):
            self.read()


class Emulator:
    """The first card's process, which this test kills."""

    def __init__(self, folder):
        self.folder, self.started = folder, None
        self.place = pathlib.Path(folder, "card0")

    def kill(self):
        if self.started:
            self.started.kill()
            self.started.wait()
            return
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"fixar-emu") and str(self.place).encode() in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)
                return
        raise Failed("the first card has no process")

    def start(self):
        self.place.unlink(missing_ok=True)
        self.started = start([str(BUILD / "fixar-emu"), "--socket", str(self.place), "--control", f"{self.place}.control", "--msi"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 60 * SLOW
        while not self.place.exists():
            if time.monotonic() > limit or self.started.poll() is not None:
                raise Failed("the first card does not come up again")
            time.sleep(0.05)

    def stop(self):
        if self.started:
            end(self.started)


class Part:
    """What the guest said about one part."""

    def __init__(self, lines, card):
        self.clients = [dict(LINE.findall(line)) for line in lines if line.startswith("CLIENT")]
        self.rungs = [line.split()[2] for line in lines if line.startswith(f"RUNG {card}")]
        self.bound = "BOUND" in lines
        self.stays = [line for line in lines if line.startswith("STAYS")]
        self.lines = lines

    def crcs(self):
        return sorted(client["crc"] for client in self.clients)

    def broken(self):
        return [client for client in self.clients if client["crc"] == "00000000"]


def wrong_with(part, sound, gone_for_all=False):
    """Clients have either the right bits, or were told that the card is gone."""
    wrong = list(part.stays)
    if len(part.clients) != 3:
        wrong.append(f"{len(part.clients)} clients came to an end")
    for client in part.clients:
        if client["crc"] != "00000000" and client["crc"] not in sound:
            wrong.append(f"a client has other bits: {client['crc']}")
    for client in part.broken():
        if client["state"] != "gone":
            wrong.append(f"a client failed, but the card is not gone for it: {client}")
    if gone_for_all and len(part.broken()) != 3:
        wrong.append("a client did not fail")
    if part.bound and part.broken() and part.rungs[-1:] != ["unplug"]:
        wrong.append(f"the card was not given up: {' '.join(part.rungs) or 'no rung'}")
    return wrong


class Test:
    def __init__(self, machine):
        self.machine = machine
        self.first, self.second = machine.cards
        self.emulator = Emulator(machine.folder)
        self.sound = []

    def ask(self, what, card="00000200"):
        """One part, from its beginning to its end."""
        self.machine.until("PAUSE")
        return self.go(what, card)

    def go(self, what, card="00000200"):
        before = len(self.machine.said)
        self.machine.go_on(what)
        self.machine.until("DONE")
        return Part(self.machine.said[before:], card)

    def revive(self):
        self.machine.until("PAUSE")
        self.second.ask("unfault all")
        if self.second.ask("status")["gone"]:
            self.second.ask("plug")
        return self.go("revived")

    def trace(self):
        """The trace without a removal. Returns how many accesses, descriptors and interrupts it has."""
        self.machine.until("PAUSE")
        self.second.ask("clear")
        part = self.go("traced")
        status = self.second.ask("status")
        counts = (status["registers"]["reads"] + status["registers"]["writes"],
                  sum(channel["descriptors"] for channel in status["channels"].values()), sum(status["interrupts"]))
        self.sound = part.crcs()
        fine = part.bound and not part.broken() and not part.rungs and not part.stays and len(set(self.sound)) == 3
        trace = f"{counts[0]} register accesses, {counts[1]} descriptors, {counts[2]} interrupts"
        report(fine, f"Linux {self.machine.release}: without a removal all is well: {trace}", [] if fine else part.lines)
        self.judge_revived("and once more", self.revive())
        return counts

    def judge_revived(self, name, part):
        wrong = wrong_with(part, self.sound)
        if part.broken():
            wrong.append("a client failed")
        report(not wrong, name, wrong + part.lines if wrong else [])

    def point(self, kind, k):
        """The trace is not of the same length each time: memory has more or fewer pieces. Where it is too short, an earlier point is taken."""
        while not self.strikes(kind, k):
            k //= 2

    def strikes(self, kind, k):
        self.machine.until("PAUSE")
        before = self.struck(kind)
        self.second.ask(f"fault {kind} after={k}")
        part = self.go("traced")
        struck = self.struck(kind) > before
        wrong = wrong_with(part, self.sound)
        if not struck and (part.broken() or not part.bound):
            wrong.append("the card was not gone, and something failed")
        revived = self.revive()
        wrong += [f"afterwards: {line}" for line in wrong_with(revived, self.sound)]
        if revived.broken() or revived.rungs:
            wrong.append("afterwards: the card does not work")
        if struck or wrong or not k:
            seen = "the probe failed" if not part.bound else f"{len(part.broken())} of 3 clients without card"
            if not struck:
                seen = "the fault did not strike"
                wrong.append("the fault did not strike")
            report(not wrong, f"{kind} before number {k + 1}: {seen}", wrong + part.lines + revived.lines if wrong else [])
            return True
        return False

    def struck(self, kind, card=None):
        return next(fault["struck"] for fault in (card or self.second).ask("faults")["faults"] if fault["name"] == kind)

    def pull(self, monitor, name, dead=False):
        self.machine.until("PAUSE")
        before = len(self.machine.said)
        self.machine.go_on("pulled")
        self.machine.until("PAUSE")
        steps = self.first.ask("status")["training_steps"]
        self.machine.until_true(lambda: self.first.ask("status")["training_steps"] > steps)
        if dead:
            # QEMU 11.1 aborts (error_setv) if the connection breaks while it sends, so the card dies while nobody speaks to it:
            # the core stands still with a job, and the driver waits.
            self.first.ask("fault core-stall")
            self.machine.until_true(lambda: self.struck("core-stall", self.first))
            self.emulator.kill()
        else:
            monitor.unplug("card0")
        self.machine.go_on("dead" if dead else "pulled")
        self.machine.until("PAUSE")
        if dead:
            monitor.unplug("card0")
            self.emulator.start()
            self.first = Card(f"{self.emulator.place}.control")
        self.machine.go_on()
        self.machine.until("PAUSE")
        monitor.ask("device_add", **cards.device(self.machine.folder, 0))
        self.machine.go_on()
        self.machine.until("DONE")
        lines = self.machine.said[before:]
        middle = next(number for number, line in enumerate(lines) if line.endswith(" to come"))
        gone, back = Part(lines[:middle], "00000100"), Part(lines[middle:], "00000100")
        wrong = wrong_with(gone, self.sound, gone_for_all=True) + [f"afterwards: {line}" for line in wrong_with(back, self.sound)]
        if back.broken():
            wrong.append("afterwards: the card does not work")
        if back.rungs != (["unplug"] if dead else []):
            wrong.append(f"rungs: {' '.join(back.rungs) or 'none'}")
        report(not wrong, name, wrong + lines if wrong else [])


def spread(counts, generator):
    """At most POINTS of all points of the trace, evenly: one somewhere in each of so many parts. A quarter is of each of the rarer kinds."""
    points, left = [], POINTS
    for kind, number in reversed(list(zip(KINDS, counts))):
        some = min(number, left if kind == KINDS[0] else POINTS // 4)
        points += [(kind, generator.randrange(i * number // some, (i + 1) * number // some)) for i in range(some)]
        left -= some
    return points


def on_kernel(kernel, generator):
    machine = Machine("guest_removal.sh", modules.kselftests(), ROUNDS, kernel=kernel, options=["--card-options=--msi"], timeout=20000)
    test = None
    try:
        test = Test(machine)
        points = spread(test.trace(), generator)
        if "points" in PARTS:
            for kind, k in points:
                test.point(kind, k)
        # The debug kernel's configuration has no PCIe hot plug.
        hotplug = kernel != debug_kernel.SERIES
        monitor = Monitor(f"{machine.folder}/qmp")
        for number in range(PULLED if hotplug and "pulled" in PARTS else 0):
            test.pull(monitor, f"pulled {number + 1}: the slot's button is pressed, and the card plugged in again")
        for number in range(KILLED if hotplug and "killed" in PARTS else 0):
            test.pull(monitor, f"killed {number + 1}: the card's process dies, and another is plugged in", dead=True)
        machine.until("PAUSE")
        before = len(machine.said)
        machine.go_on("end")
        machine.until("END")
        last = Part(machine.said[before:], "00000100")
        report(last.crcs() == test.sound, "the first card works at the end", last.lines if last.crcs() != test.sound else [])
        status, rest = machine.end()
        report(status == 0, "the machine ended well, and the kernel has nothing to complain about", rest if status else [])
    finally:
        machine.stop()
        if test:
            test.emulator.stop()


def main():
    if unknown := set(PARTS) - {"points", "pulled", "killed"}:
        raise Failed(f"there is no part {' '.join(unknown)}")
    seed = int(os.environ.get("FIXAR_TEST_SEED") or (random.randrange(1 << 32) if FULL else 1))
    print(f"# seed {seed}", flush=True)
    for kernel in KERNELS:
        on_kernel(kernel, random.Random(seed))


if __name__ == "__main__":
    program(main)
