#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Studies: a tiny matrix, killed and resumed, unfinished, summed up; the statistics against numbers worked out by hand."""

import json
import math

from tool import *

tests = Tests()
TINY = {
    "name": "tiny",
    "environments": [{"name": "pendulum", "steps": 1000, "margin": 2000}],
    "precisions": ["float32", "fixed32", "qat16"],
    "seeds": 2,
    "delay": 0.5,
    "hidden": [24, 16],
    "batch": 16,
    "warm_up": 200,
    "checkpoint_every": 100,
    "evaluation": {"episodes": 3, "seed": 77},
}


def write(file, **changes):
    path = tests.folder / f"{file}.json"
    path.write_text(json.dumps({key: value for key, value in {**TINY, **changes}.items() if value is not None}))
    return path


def state(name):
    return environment(FIXAR_STUDY_DIR=tests.folder / name)


def results(name, study="tiny"):
    return json.loads((tests.folder / name / study / "results.json").read_text())


def complete():
    """A study runs every cell, and writes a table, results.json and figures."""
    done = fixar("study", write("tiny"), env=state("whole"))
    says(done.stdout, "6 of 6 runs finished", r"\| float32 \| 2 of 2 \|", r"\| qat16 \| 2 \|", "not inferior",
         r"\| qat16, seed 1 \| finished \| -\d")
    folder = tests.folder / "whole/tiny"
    assert (folder / "results.md").read_text() == done.stdout
    assert (folder / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    says((folder / "curves.svg").read_text(), "<svg", "float32", "qat16")
    answer = results("whole")
    assert answer["complete"] is True and answer["runs"] == answer["finished"] == 6, answer
    runs = answer["environments"][0]["runs"]
    assert [(run["precision"], run["seed"]) for run in runs] == [
        (precision, seed) for seed in (0, 1) for precision in TINY["precisions"]], runs
    assert all(run["state"] == "finished" and run["environment_steps"] == 1000 and run["critic_loss"] > 0 for run in runs), runs


def same_starts():
    """All arms of a seed are evaluated on the same start states, whose seed follows from the seed alone."""
    seeds = {}
    for path in (tests.folder / "whole/tiny").glob("*/evaluation.json"):
        seeds.setdefault(path.parent.name[-5:], set()).add(json.loads(path.read_text())["seed"])
    assert seeds == {"seed0": {77}, "seed1": {78}}, seeds


def statistics():
    """Means, paired differences, the one-sided bound and p are what the t distribution says."""
    answer = results("whole")["environments"][0]
    returns = {(run["precision"], run["seed"]): run["mean_return"] for run in answer["runs"]}
    for arm in answer["arms"]:
        values = [returns[arm["precision"], seed] for seed in (0, 1)]
        assert math.isclose(arm["mean_return"], sum(values) / 2), arm
        if arm["precision"] == "float32":
            assert "difference" not in arm
            continue
        difference = arm["difference"]
        a, b = (returns[arm["precision"], seed] - returns["float32", seed] for seed in (0, 1))
        mean, deviation = (a + b) / 2, abs(a - b) / math.sqrt(2)
        # One degree of freedom: t at 0.95 is tan(0.45 pi), and the distribution is Cauchy's.
        error = deviation / math.sqrt(2)
        assert math.isclose(difference["mean"], mean) and math.isclose(difference["std"], deviation), (difference, a, b)
        assert math.isclose(difference["lower_bound"], mean - math.tan(0.45 * math.pi) * error), difference
        assert math.isclose(difference["p_value"], 0.5 - math.atan((mean + 2000) / error) / math.pi), difference
        assert difference["non_inferior"] == (difference["lower_bound"] > -2000), difference


def killed():
    """A study killed again and again, and its runs with it, gives the same results."""
    path = write("tiny")
    for number in range(6):
        process = start("study", path, env=state("killed"))
        try:
            process.wait(0.3 + 0.15 * number)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    fixar("study", path, env=state("killed"))
    same(tests.folder / "whole/tiny/results.json", tests.folder / "killed/tiny/results.json", "results")
    for run in (tests.folder / "whole/tiny").glob("*-seed?"):
        same_checkpoint(run, tests.folder / "killed/tiny" / run.name)


def interrupted():
    """Ctrl-C saves all runs and says how to go on; --report calls them unfinished, and leaves none out."""
    path = write("interrupted", seeds=1, environments=[{"name": "pendulum", "steps": 1000000, "margin": 10}])
    process = start("study", path, env=state("interrupted"), stderr=subprocess.PIPE, text=True)
    folder = tests.folder / "interrupted/tiny"
    wait_for(lambda: len(list(folder.glob("*/checkpoint.safetensors"))) >= min(2, os.cpu_count()), "checkpoints")
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60 * SLOW)[1]
    assert process.returncode == 130, errors
    says(errors, "interrupted and saved", f"fixar study {path}")
    done = fixar("study", path, "--report", env=state("interrupted"))
    says(done.stdout, "0 of 3 runs finished", "not complete", r"float32, seed 0 \| unfinished \([\d,]+ steps\)")
    answer = results("interrupted")
    assert answer["complete"] is False and answer["finished"] == 0, answer
    runs = answer["environments"][0]["runs"]
    assert len(runs) == 3 and {run["state"] for run in runs} <= {"unfinished", "not started"}, runs
    assert all(run["mean_return"] is None for run in runs), runs


def failed_run():
    """A run that fails is named, the others go on, and the exit code is 1."""
    folder = tests.folder / "failed/tiny"
    folder.mkdir(parents=True)
    (folder / "pendulum-fixed32-seed0").mkdir()
    (folder / "pendulum-fixed32-seed0/letter.txt").write_text("Dear reader")
    done = fixar("study", write("failed", seeds=1), env=state("failed"), code=1)
    says(done.stderr, "pendulum-fixed32-seed0: failed with exit code 1; see .*pendulum-fixed32-seed0.log")
    says(done.stdout, "2 of 3 runs finished", "fixed32, seed 0 | not started")
    says((folder / "pendulum-fixed32-seed0.log").read_text(), "config.json")


def default_place():
    """Without FIXAR_STUDY_DIR the state lies in XDG_STATE_HOME, else in the home directory."""
    path = write("place", seeds=1, precisions=["fixed32"], environments=[{"name": "pendulum", "steps": 10}])
    xdg, home = tests.folder / "xdg", tests.folder / "home"
    fixar("study", path, env=environment(XDG_STATE_HOME=xdg, HOME=home))
    assert (xdg / "fixar/tiny/results.json").exists()
    fixar("study", path, env=environment(XDG_STATE_HOME=None, HOME=home))
    assert (home / ".local/state/fixar/tiny/results.json").exists()


def out():
    """--out puts the report elsewhere."""
    folder = tests.folder / "report"
    fixar("study", write("tiny"), "--report", "--out", folder, env=state("whole"))
    assert {path.name for path in folder.iterdir()} == {"results.json", "results.md", "curves.png", "curves.svg"}
    same(folder / "results.json", tests.folder / "whole/tiny/results.json")


def refused(changes, *expected):
    done = fixar("study", write("refused", **changes), env=state("refused"), code=2)
    says(done.stderr, "refused.json", *expected)


def committed():
    """The studies of the project can be read."""
    for path in sorted((SOURCE / "selftests/learning").glob("*.json")):
        done = fixar("study", path, "--report", env=state("committed"))
        says(done.stdout, r"(?m)^0 of \d+ runs finished")


tests.run(complete)
tests.run(same_starts)
tests.run(statistics)
tests.run(killed)
tests.run(interrupted)
tests.run(failed_run)
tests.run(default_place)
tests.run(out)
for what, *expected in [
    ({"name": "a/b"}, "name"),
    ({"seeds": 0}, "seeds", "from 1"),
    ({"seeds": None}, "seeds", "missing"),
    ({"precisions": ["int8"]}, "precisions"),
    ({"precisions": ["fixed32", "fixed32"]}, "twice"),
    ({"reference": "float32", "precisions": ["fixed32"]}, "reference"),
    ({"environments": []}, "environments"),
    ({"environments": [{"steps": 3}]}, "name"),
    ({"environments": [{"name": "pendulum"}] * 2}, "label"),
    ({"environments": [{"name": "pendulum", "margin": -1}]}, "margin"),
    ({"delay": 5000}, "share"),
    ({"batch": 0}, 'batch is "0"'),
    ({"seed": 3}, "seed"),
    ({"speed": 3}, 'unknown setting "speed"'),
    ({"environments": [{"name": "pendulum", "published": [{"label": "x"}]}]}, "published"),
]:
    tests.run(refused, what, *expected, name=f"a study with {json.dumps(what)[:60]} is refused")
tests.run(committed)
tests.finish()
