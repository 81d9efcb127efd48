#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The whole loop of training with the emulated card as the device, beside what the cycle model says of the card.

A guest trains through the driver on fixar-emu --timing=FACTOR: each of the core's commands takes the modelled time, so many times
over. The guest is emulated too, without help of the processor, so that host and bus are many times slower than real ones; the factor
slows the card down likewise, and keeps it from being faster than what computes its bits. The card says how many of its commands came
late nevertheless.

    selftests/bench/card_loop.py [--timing FACTOR] [--batch N,N] [--precision NAME,NAME] [--environment NAME] [--rounds N]
                                 [--seconds S] [--kernel V] [--json]
"""

import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "card"))

from vm import Failed, Machine  # noqa: E402

PHASES = ("act", "environment", "store", "sample", "train", "other")
COUNTS = ("commands", "late", "model_seconds", "late_seconds")


class Loop:
    def __init__(self, machine, options):
        self.machine, self.card, self.options = machine, machine.cards[0], options

    def case(self, precision, batch):
        """One case's object of fixar bench, and what the card counted meanwhile."""
        self.machine.until("PAUSE")
        before = self.card.ask("status")["timing"]
        self.machine.go_on(f"--precision {precision} --batch {batch} --rounds {self.options.rounds} --seconds {self.options.seconds}")
        line = self.machine.until("BENCH ")
        after = self.card.ask("status")["timing"]
        case = json.loads(line.removeprefix("BENCH "))["platform"][0]
        case["card"] = {name: after[name] - before[name] for name in COUNTS}
        case["model_seconds"] = self.options.timing * (case["card_act_seconds"] + case["card_train_seconds"])
        return case


def describe(case):
    """A row: milliseconds of a step as the model has them and as they were, and where they went."""
    step, card = 1 / case["steps_per_second"], case["card"]
    cells = [case["precision"], case["batch"], f"{1e3 * case['model_seconds']:.1f}", f"{1e3 * step:.1f}",
             *(f"{1e3 * step * case['shares'][name]:.1f}" for name in PHASES), f"{100 * case['model_seconds'] / step:.0f} %",
             f"{100 * card['late'] / max(card['commands'], 1):.1f} %",
             f"{100 * card['late_seconds'] / max(card['model_seconds'], 1e-9):.1f} %"]
    return "| " + " | ".join(map(str, cells)) + " |"


def main():
    parser = argparse.ArgumentParser(description="The training loop on the emulated card, beside the cycle model.")
    parser.add_argument("--timing", type=float, default=20, help="the card's commands take so many times the modelled time (default 20)")
    parser.add_argument("--batch", default="64,512", help="batches (default 64,512)")
    parser.add_argument("--precision", default="fixed32,qat16,qat16x16", help="precisions (default fixed32,qat16,qat16x16)")
    parser.add_argument("--environment", default="halfcheetah", help="default halfcheetah")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case; their median counts (default 3)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round (default 10)")
    parser.add_argument("--kernel", help="the guest's (default 6.12)")
    parser.add_argument("--json", action="store_true", help="all that was measured, instead of the table")
    options = parser.parse_args()
    if options.timing <= 0:
        parser.error(f"--timing: {options.timing} is not above 0")

    cases, machine = [], None
    try:
        machine = Machine("guest_bench.sh", options.environment, kernel=options.kernel, options=[f"--card-options=--timing={options.timing}"])
        loop = Loop(machine, options)
        for batch in options.batch.split(","):
            for precision in options.precision.split(","):
                print(f"{precision}, batch {batch} ...", file=sys.stderr, flush=True)
                cases.append(loop.case(precision, batch))
        machine.until("PAUSE")
        machine.go_on("end")
        status, last = machine.end()
        if status:
            raise Failed("the guest did not end well:\n" + "\n".join(last))
    except Failed as failed:
        sys.exit(f"card_loop.py: {failed}")
    finally:
        if machine:
            machine.stop()

    if options.json:
        print(json.dumps({"timing": options.timing, "environment": options.environment, "kernel": machine.release, "cases": cases}, indent=1))
        return
    print(f"{options.environment} on Linux {machine.release} in a guest, the emulated card {options.timing:g} times slower than the modelled one. "
          "Milliseconds of one step of the loop:\n")
    print("| precision | batch | model: act and train | measured | " + " | ".join(PHASES) + " | the model's share | late commands | late by |")
    print("|" + " --- |" * (len(PHASES) + 7))
    for case in cases:
        print(describe(case))


if __name__ == "__main__":
    main()
