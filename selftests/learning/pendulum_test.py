#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A short training of Pendulum in fixed point solves it: the mean return without exploration reaches -200.

Networks of 128 and 96, so that a run takes seconds, and 15,000 steps: before some 12,500 policies that were good once still
have relapses, in all precisions. The studies in this folder are the long ones. In the fixed-point modes the outcome is the same
to the bit on every machine, so this cannot fail by chance. That of float32 depends on compiler and processor, and now and then
is a policy that still misses some start states: it has to have learned.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("FIXAR_BUILD", "build"))
SOLVED = -200
LEARNED = -500
UNTRAINED = -800  # what a policy that learned nothing stays below: else the bounds above would say little


def fixar(*arguments):
    return subprocess.run([BUILD / "fixar", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def mean_return(directory):
    return json.loads(fixar("eval", directory, "--episodes", "20", "--seed", "77", "--json"))["mean_return"]


def train(precision, seed, steps, directory):
    """Trains on one thread and answers the policy's mean return."""
    fixar("train", "pendulum", "--precision", precision, "--seed", str(seed), "--steps", str(steps), "--delay", "7500",
          "--hidden", "128,96", "--threads", "1", "--quiet", "--out", directory)
    return mean_return(directory)


def main():
    cases = [(precision, seed, 15000) for precision in ("float32", "fixed32", "qat16") for seed in (0, 1)]
    cases.insert(0, ("fixed32", 0, 1000))  # the warm-up alone: nothing is trained
    failed = 0
    print(f"KTAP version 1\n1..{len(cases)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, (precision, seed, steps) in enumerate(cases, 1):
            answer = train(precision, seed, steps, f"{folder}/{precision}-{seed}-{steps}")
            if steps == 1000:
                good, name = answer < UNTRAINED, f"an untrained policy stays below {UNTRAINED}"
            elif precision == "float32":
                good, name = answer > LEARNED, f"{precision} seed {seed} learns Pendulum in {steps} steps"
            else:
                good, name = answer > SOLVED, f"{precision} seed {seed} solves Pendulum in {steps} steps"
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} {name}\n# mean return {answer:.1f}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
