#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A run killed by SIGKILL at random instants and resumed each time ends with the bytes of the uninterrupted one."""

import random

from tool import *

tests = Tests()
KILLS = int(os.environ.get("FIXAR_KILLS", "20"))
SEED = int(os.environ.get("FIXAR_KILL_SEED", "1"))


def killed(name, kills, *arguments):
    """Runs again and again until there were enough kills; every run that got through is compared."""
    dice = random.Random(f"{SEED} {name}")
    whole = tests.folder / f"{name}-whole"
    arguments = ["train", *arguments, "--quiet"]
    begin = time.monotonic()
    fixar(*arguments, "--out", whole)
    duration = time.monotonic() - begin
    done = runs = 0
    while done < kills:
        directory = tests.folder / f"{name}-{runs}"
        runs += 1
        while True:
            process = start(*arguments, "--out", directory, "--resume")
            try:
                process.wait(dice.uniform(0, 0.4 * duration) if done < kills else 100)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                done += 1
                continue
            break
        assert process.returncode == 0, f"exit code {process.returncode} after {done} kills"
        same_checkpoint(whole, directory)
        assert deterministic_rows(whole) == deterministic_rows(directory), "metrics differ"
        left = sorted(path.name for path in directory.iterdir() if "tfevents" not in path.name)
        assert left == sorted(path.name for path in whole.iterdir() if "tfevents" not in path.name), left
    print(f"# {done} kills in {runs} run{'s' if runs > 1 else ''} of {duration:.1f} s each")


def hopper():
    if "env-mujoco.so" not in [path.name for path in PLUGINS.glob("*.so")]:
        raise Skip("the MuJoCo plug-in was not built")
    # Its episodes end anywhere, so that checkpoints lie within them; MuJoCo's state, warm start included, is part of them.
    killed("hopper", max(KILLS // 3, 3), "hopper", *SMALL, "--steps", "1500", "--checkpoint-every", "170")


# Checkpoints so often that most kills hit one being written; the replay memory wraps around, and precision switches.
tests.run(killed, "pendulum", KILLS, "pendulum", *SMALL, "--checkpoint-every", "40", "--steps", "1600", "--precision", "qat16",
          "--noise", "ou", "--normalize", "--replay-capacity", "700",
          name=f"Pendulum in qat16, killed {KILLS} times, seed {SEED}")
tests.run(hopper, name="Hopper, killed within its episodes")
tests.finish()
