#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: with --timing the emulated core's commands take the time of the cycle model"""

import time

import arena
import core
import golden
from core import TRAIN
from core_train_test import Agent
from emulator import Card
from report import check, expect, finish, run, wait

BUSY_CYCLES = 0x3008  # section 5, counters


def timed(card, case):
    """a training step lasts its cycles times the factor, by the core's own count of busy cycles; the request says so"""
    agent = Agent(card, case, 1 << 20)
    clock = card.user(core.CLOCK) * 1000
    before, busy = card.ask("status")["timing"], card.user64(BUSY_CYCLES)
    agent.train(0)
    cycles = agent.figures()["cycles"]
    after, busy = card.ask("status")["timing"], card.user64(BUSY_CYCLES) - busy
    factor = after["factor"]
    expect(after["commands"] - before["commands"], 1, "commands that were timed")
    model = after["model_seconds"] - before["model_seconds"]
    check(abs(model - factor * cycles / clock) < 1e-6, f"{cycles} cycles, factor {factor}: {model} s")
    # The largest factor is far more than any host needs, so the step was not late.
    check(after["late"] == before["late"], f"late: {after}")
    check(busy >= 0.999 * factor * cycles, f"busy for {busy} cycles, {cycles} times {factor} expected")


def late(card, case):
    """what computes longer than the modelled card is late, and is counted"""
    agent = Agent(card, case, 1 << 20)
    before = card.ask("status")["timing"]
    for step in range(3):
        agent.train(step)
    after = card.ask("status")["timing"]
    expect(after["late"] - before["late"], 3, f"late commands: {after}")
    check(after["late_seconds"] > before["late_seconds"], f"{after}")


def untimed(card, case):
    """without the option nothing is timed"""
    Agent(card, case, 1 << 20).train(0)
    expect(card.ask("status")["timing"], {"factor": 0.0, "commands": 0, "late": 0, "model_seconds": 0.0, "late_seconds": 0.0}, "timing")


def reset_ends(card, case):
    """a soft reset ends the wait of a command that would last for many seconds"""
    agent = Agent(card, case, 1 << 20)
    agent.put(agent.input, arena.batch(*case.inputs(0)))
    agent.device.submit(TRAIN, count=case.batch, input=agent.input, statistics=agent.statistics)
    time.sleep(1)
    check(card.user(core.STATUS) & core.BUSY, "the command has ended already")
    card.user_write(core.CONTROL, core.SOFT_RESET)
    wait(lambda: not card.user(core.STATUS) & (core.RESETTING | core.BUSY), "the reset does not end the command", 5)


def main():
    case = golden.cases()[0]
    for options, test in ((["--timing=20000"], timed), (["--timing=0.001"], late), ([], untimed), (["--timing=1000000"], reset_ends)):
        card = Card(*options)
        run(test, card, case)
        card.close()
    finish()


if __name__ == "__main__":
    main()
