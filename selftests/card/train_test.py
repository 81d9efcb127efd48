#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training on the emulated card and on the CPU, in one guest: the same bytes, alone and two at a time, and nothing but what the card
did made them.

What the card did is read from the card: commands, bytes, descriptors. The descriptors' addresses are those of the pages that the
program has mapped, byte for byte. A bit that is flipped in the card in the middle of a run, in a weight or in a mode register, is found
in the checkpoint; one of the parallelism register costs cycles and no bit.

FIXAR_VM_KERNELS names the kernels (default: 6.12; with FIXAR_TEST_FULL=1 all). FIXAR_CARD_STEPS: steps of the long runs, default 1000.
"""

import json
import os
import struct

from ktap import program, report
from vm import KERNELS, SLOW, Failed, Machine

STEPS = int(os.environ.get("FIXAR_CARD_STEPS") or 1000)
FLIP_STEPS = 250
WARM_UP, BATCH, HIDDEN, OBSERVATION, ACTION = 50, 16, (32, 32), 3, 1
EPISODE = 200
GRANULE = 65536
PAGE = 4096

# ---- What must move: driver/HARDWARE.md sections 7 and 8 ----


def up64(size):
    return (size + 63) // 64 * 64


def layers(inputs, outputs):
    widths = [inputs, *HIDDEN, outputs]
    return list(zip(widths, widths[1:]))


def tables():
    """Offsets of quantizers and ranges and of what follows them, the sizes of both."""
    entries = 2 * (len(HIDDEN) + 1) * 3
    quantizers = up64(8) + up64(80) + up64(32) + up64(8) + up64(4 * ACTION)
    ranges = quantizers + up64(12 * entries)
    return quantizers, ranges, ranges + up64(8 * entries), 12 * entries, 8 * entries


def state_bytes():
    networks = layers(OBSERVATION, ACTION), layers(OBSERVATION + ACTION, 1)
    size = tables()[2]
    for tensors in (3, 1):
        for network in networks:
            size += sum(tensors * (up64(4 * k * n) + up64(4 * n)) for k, n in network)
    return size + up64(4 * 3 * (len(HIDDEN) + 1))  # gradient_maxima


def batch_bytes():
    return 2 * up64(4 * BATCH * OBSERVATION) + up64(4 * BATCH * ACTION) + up64(4 * BATCH) + up64(BATCH)


STATE = up64(4096 + state_bytes())  # header and state, as they are uploaded
STATISTICS = 128
ARENA = STATE + batch_bytes() + up64(4 * BATCH * OBSERVATION) + up64(4 * BATCH * ACTION) + STATISTICS


def expected(steps, switches):
    """Commands, bytes to the card, bytes from it (without states that are read) of a run."""
    trainings = actions = steps - WARM_UP
    _, _, _, quantizers, ranges = tables()
    up = (ARENA + GRANULE - 1) // GRANULE * GRANULE  # zeros
    up += STATE + trainings * batch_bytes() + actions * 4 * OBSERVATION
    down = STATISTICS * (1 + trainings + actions) + actions * 4 * ACTION
    if switches:
        up += quantizers
        down += ranges + STATISTICS + quantizers + STATISTICS
    return trainings, actions, up, down


def check_counts(card, precision):
    status = card.ask("status")
    trainings, actions, up, down = expected(STEPS, precision == "qat16")
    moved = {way: sum(channel["bytes"] for name, channel in status["channels"].items() if name.startswith(way))
             for way in ("h2c", "c2h")}
    commands = status["commands"]
    report(commands["train"] == trainings and commands["act"] == actions,
           f"{precision}: the card did {trainings} training steps and as many actions", commands)
    report(commands["reload"] == 1 + (precision == "qat16") and commands["read_ranges"] == (precision == "qat16"),
           f"{precision}: the agent was loaded once, and the switch did the rest", commands)
    report(moved["h2c"] == up, f"{precision}: {up} bytes went to the card", f"{moved['h2c']} bytes")
    # The whole state: at the start, at the end of each episode, before and with the checkpoint, at the end.
    states = 4 + STEPS // EPISODE
    report(moved["c2h"] == down + states * state_bytes(), f"{precision}: {down} bytes and {states} states came from it",
           f"{moved['c2h']} bytes: {(moved['c2h'] - down) / state_bytes()} states")
    report(status["strict"] == 0 and status["command_errors"] == 0, f"{precision}: the card saw nothing doubtful",
           card.ask("strict"))


# ---- Descriptors ----


def pages_of(lines):
    """Buffers by their size: what selftests/card/guest_pages.py said."""
    return {size: frames for size, frames in (json.loads(line.split(" ", 1)[1]) for line in lines)}


def wrong_pieces(place, size, host, frames):
    """Pages of a copy whose host address is not where the buffer has them: `size` bytes at `place` of the buffer."""
    end = place + size
    while place < end:
        piece = min(PAGE - place % PAGE, end - place)
        if place // PAGE >= len(frames) or host != frames[place // PAGE] * PAGE + place % PAGE:
            yield place
        place, host = place + piece, host + piece


def check_descriptors(card, precision, buffers, arena):
    """Every byte moved between the arena and the page that the program has mapped for it: no copy in between, none elsewhere."""
    def whole(size):
        return (size + PAGE - 1) // PAGE * PAGE

    mirror, work = buffers.get(whole(STATE)), buffers.get(whole(ARENA - STATE))
    report(len(buffers) == 2 and mirror and work and 0 not in mirror + work, f"{precision}: the program maps a buffer for the state and "
           "one for the work", f"{ {size: len(frames) for size, frames in buffers.items()} }, expected {whole(STATE)}, {whole(ARENA - STATE)}")
    if not mirror or not work:
        return
    answer = card.ask("descriptors 65536")
    descriptors, ours, wrong, zeros = answer["descriptors"], set(mirror + work), [], 0
    to_zero = (ARENA + GRANULE - 1) // GRANULE * GRANULE
    used = set()
    for one in descriptors:
        offset = one["card"] - arena
        if zeros < to_zero:
            # Before anything else the driver zeroes the arena, from memory of its own.
            zeros += one["bytes"]
            if one["host"] // PAGE in ours or not one["channel"].startswith("h2c"):
                wrong.append(f"zeros from {one}")
            continue
        frames, place = (mirror, offset) if offset < STATE else (work, offset - STATE)
        if list(wrong_pieces(place, one["bytes"], one["host"], frames)):
            wrong.append(f"arena offset {offset:#x}: {one}")
        used.update(range(one["host"] // PAGE, (one["host"] + one["bytes"] - 1) // PAGE + 1))
    report(answer["total"] == len(descriptors) and zeros == to_zero and not wrong,
           f"{precision}: the addresses in {len(descriptors)} descriptors are those of the buffers' own pages",
           f"{answer['total']} descriptors, {len(wrong)} wrong ones, {zeros} zeros\n" + "\n".join(wrong[:5]))
    report(ours == used, f"{precision}: all {len(ours)} pages were used", f"{len(ours - used)} were not")


# ---- Flips ----


def find_arena(card):
    for granule in range(256):
        if card.peek(granule * GRANULE, 4) == b"FXAG":
            return granule * GRANULE
    raise Failed("no arena has a header")


def flip_weight(card):
    place = find_arena(card) + 4096 + tables()[2]
    value, = struct.unpack("<I", card.peek(place, 4))
    card.poke(place, struct.pack("<I", value ^ 1 << 20))


# What is forced, after how many trainings, and what puts it right again: the driver writes a register only when its own value of it
# changes. The run switches its precision after 120 steps, which is 70 trainings; both registers of that it writes itself.
FLIPS = {
    "nothing": (lambda card: None, 30, None),
    "parallelism": (lambda card: card.ask("reg 0x2008 1"), 30, "reg 0x2008 0"),
    "weight": (flip_weight, 30, None),
    "noise": (lambda card: card.ask("reg 0x200c 0"), 30, "reg 0x200c 1"),
    "quantization": (lambda card: card.ask("reg 0x2004 0"), 5, None),
    "precision": (lambda card: card.ask("reg 0x2000 0"), 90, None),
    "nothing-again": (lambda card: None, 30, None),
}


class Flip:
    """Flips after a number of trainings, between two commands: the next one is held until that is done, so nothing overwrites it."""

    def __init__(self, card, what):
        self.card, (self.act, self.after, _) = card, FLIPS[what]
        self.holding = self.done = False

    def __call__(self):
        if self.done:
            return
        if not self.holding:
            if self.card.ask("status")["commands"]["train"] >= self.after:
                self.card.ask("fault core-stall")
                self.holding = True
        elif next(fault for fault in self.card.ask("faults")["faults"] if fault["name"] == "core-stall")["struck"]:
            self.act(self.card)
            self.card.ask("unfault core-stall")
            self.done = True


def next_pause(machine, name):
    machine.until(f"PAUSE {machine.pauses + 1} {name}")
    machine.cards[0].ask("clear")


def run(kernel):
    machine = Machine("guest_train.sh", STEPS, FLIP_STEPS, kernel=kernel)
    card = machine.cards[0]
    try:
        for precision in ("fixed32", "qat16"):
            next_pause(machine, precision)
            # The program is held in the middle until somebody has looked at its pages.
            card.ask("fault core-stall after=20")
            machine.go_on()
            lines = []
            while (line := machine.until(("PAGES", "MAPPED"))).startswith("PAGES"):
                lines.append(line)
            arena = find_arena(card)
            card.ask("unfault core-stall")
            machine.until(f"DONE {precision}")
            check_counts(card, precision)
            check_descriptors(card, precision, pages_of(lines), arena)
            line = machine.until(("SAME", "OTHER"))
            report(line == f"SAME card-{precision}", f"{precision}: the checkpoint of {STEPS} steps on the card is the CPU's", line)
        next_pause(machine, "together")
        machine.go_on()
        machine.until("DONE together")
        lines = [machine.until(("SAME", "OTHER")) for _ in range(2)]
        report(lines == ["SAME both-fixed32", "SAME both-qat16"], "two processes at once in different modes: both are the CPU's",
               lines)
        status = card.ask("status")
        trained, windows = status["commands"]["train"], status["registers"]["bars"][0]["writes"].get("0x01040", 0)
        report(trained == 2 * (STEPS - WARM_UP), "the card did the training steps of both", trained)
        report(windows > STEPS / 4, "it went from one to the other and back all the time", f"{windows} writes of the window's base")
        cycles = {}
        for what in FLIPS:
            next_pause(machine, what)
            flip = Flip(card, what)
            machine.go_on()
            cycles[what] = int(machine.until(f"DONE {what}", meanwhile=flip).split()[2])
            line = machine.until(("SAME", "OTHER"))
            if FLIPS[what][2]:
                card.ask(FLIPS[what][2])
            if what in ("nothing", "parallelism", "nothing-again"):
                report(flip.done and line == f"SAME card-flip-{what}", f"{what} flipped: the checkpoint is the CPU's", line)
            else:
                report(flip.done and line == f"OTHER card-flip-{what}", f"{what} flipped: the checkpoint is another one", line)
        report(cycles["nothing"] == cycles["nothing-again"] == cycles["weight"] != cycles["parallelism"],
               "the array's cycles are those of the commands, and others with another parallelism", cycles)
        status, last = machine.end()
        report(status == 0, f"the guest ended in order, with a clean log: {last[-1]}", "\n".join(last))
    except Failed as failed:
        report(False, f"Linux {kernel}", failed)
    finally:
        machine.stop()


def main():
    for kernel in KERNELS:
        run(kernel)


if __name__ == "__main__":
    program(main)
