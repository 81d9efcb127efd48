#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantize: searches keep the limit, go on where they were, and their widths give the same return in eval."""

import json

from tool import *

tests = Tests()
RUN = tests.folder / "run"
# Switches late, so that training has observed ranges and the policy is one of full precision.
fixar("train", "pendulum", *SMALL, "--steps", "1200", "--precision", "qat16", "--delay", "1000000", "--out", RUN)
HERE = ["--threads", "1", "--device", "cpu"]
SHORT = ["--episodes", "2", "--budget", "30", "--widths", "2-8"]


def quantize(*arguments, **options):
    return fixar("quantize", RUN, *HERE, *SHORT, *arguments, **options)


def result(folder, name, without=()):
    found = json.loads((folder / f"result-{name}.json").read_text())
    return {key: value for key, value in found.items() if key not in without}


TIMES = ("seconds", "seconds_to_best")  # differ from run to run, and are rounded in evaluations.csv


def searches():
    """Every search keeps limit and budget, on crossbars."""
    out = tests.folder / "reram"
    done = quantize("--hardware", "reram", "--limit", "energy=60%", "--search", "uniform,random,greedy,ppo,ddpg", "--out", out)
    says(done.stdout, r"actor\.2 +16 +1 +1 ", "in all", "ppo, reram energy at most")
    for name in ("uniform", "random", "greedy", "ppo", "ddpg"):
        found = result(out, name)
        assert found["cost"] <= found["limit"] and found["evaluations"] <= 30, (name, found)
        assert abs(sum(layer["cost"] for layer in found["layers"]) - found["cost"]) < 1e-9, name
    says(done.stdout, "cheapest uniform width of this quality, of those evaluated: [2-8] bits")
    found, uniform = result(out, "ppo"), result(out, "uniform")["points"]
    scale = found["widest_quality"] - found["narrowest_quality"]
    cheapest = min(cost for cost, quality in uniform if quality >= found["quality"] - 0.01 * scale)
    assert abs(found["same_quality_uniform_cost"] - cheapest) < 1e-9, (found, uniform)
    assert (out / "pareto.png").read_bytes()[:4] == b"\x89PNG"
    says((out / "pareto.svg").read_text(), "<svg", "ppo", "greedy")


def array():
    """The array's memory, with a limit in KiB and the answer as JSON."""
    out = tests.folder / "array"
    lines = quantize("--hardware", "array", "--limit", "memory=0.4", "--search", "greedy", "--json", "--out", out).stdout
    answer = json.loads(lines)
    bits = sum(layer["inputs"] * layer["outputs"] * layer["weight"] for layer in answer["layers"])
    assert abs(answer["cost"] - bits / 8 / 1024) < 1e-12 and answer["cost"] <= 0.4, answer


def loaded_again():
    """A file of widths gives in eval the very return that the search had."""
    out = tests.folder / "reram"
    for name in ("ppo", "uniform"):
        again = json.loads(fixar("eval", RUN, *HERE, "--episodes", "2", "--bits", out / f"bits-{name}.json", "--json").stdout)
        assert abs(again["mean_return"] - result(out, name)["quality"]) < 1e-9 * abs(again["mean_return"]), name


def used_in_training():
    """The same file is taken by train."""
    fixar("train", "pendulum", *SMALL, "--steps", "600", "--precision", "qat16", "--delay", "400", "--bits",
          tests.folder / "reram" / "bits-ppo.json", "--out", tests.folder / "trained")
    bits = json.loads((tests.folder / "trained/config.json").read_text())["bits"]
    assert bits == json.loads((tests.folder / "reram/bits-ppo.json").read_text()), bits


def known_answers():
    """A second search on the same folder evaluates nothing twice and finds the same; a torn line is left out."""
    out = tests.folder / "reram"
    before, journal = result(out, "ppo", TIMES), out / "evaluations.csv"
    text = journal.read_text()
    journal.write_text(text + "2,2,2,2,2")
    arguments = ["--hardware", "reram", "--limit", "energy=60%", "--search", "ppo", "--out", out]
    assert "known already" in quantize(*arguments).stderr
    assert journal.read_text() == text, "something was evaluated again"
    assert result(out, "ppo", TIMES) == before


def interrupted():
    """Ctrl-C keeps what was evaluated; the same command then finds what an uninterrupted search finds."""
    out, whole = tests.folder / "interrupted", tests.folder / "whole"
    arguments = ["quantize", RUN, *HERE, "--episodes", "4", "--budget", "60", "--hardware", "reram", "--limit", "energy=40%",
                 "--search", "ppo"]
    process = start(*arguments, "--out", out)
    wait_for(lambda: (out / "evaluations.csv").exists() and (out / "evaluations.csv").read_text().count("\n") > 8,
             "evaluations")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (130, 0)
    fixar(*arguments, "--out", out)
    fixar(*arguments, "--out", whole)
    assert result(out, "ppo", TIMES) == result(whole, "ppo", TIMES)


def fine_tuning():
    """Training a little with the widths gives another return and changes nothing in the run."""
    before = (RUN / "checkpoint.safetensors").read_bytes()
    quantize("--hardware", "reram", "--limit", "energy=60%", "--search", "uniform", "--fine-tune", "50", "--out",
             tests.folder / "tuned")
    tuned = result(tests.folder / "tuned", "uniform")
    assert tuned["fine_tuned_quality"] is not None and tuned["fine_tuned_quality"] != tuned["quality"], tuned
    assert (RUN / "checkpoint.safetensors").read_bytes() == before


def critic():
    """A critic's widths are judged by the return after training with them; the run stays as it is, and train takes the file."""
    before, out = (RUN / "checkpoint.safetensors").read_bytes(), tests.folder / "critic"
    arguments = ["--hardware", "array", "--limit", "memory=70%", "--network", "critic", "--tune-steps", "40", "--search",
                 "uniform,random", "--budget", "8", "--widths", "2,4,8", "--out", out]
    says(quantize(*arguments).stdout, r"critic\.0 +4 +24 +1 ")
    found = result(out, "uniform")
    # Different widths of the critic train different actors; the same ones the same.
    assert len({quality for _, quality in found["points"]}) == 3, found["points"]
    journal = (out / "evaluations.csv").read_text()
    (out / "evaluations.csv").unlink()
    quantize(*arguments)
    rows = [[line.split(",")[:-1] for line in text.splitlines()[1:]] for text in (journal, (out / "evaluations.csv").read_text())]
    assert rows[0] == rows[1], rows
    assert (RUN / "checkpoint.safetensors").read_bytes() == before
    fixar("train", "pendulum", *SMALL, "--steps", "500", "--precision", "qat16", "--delay", "400", "--bits",
          out / "bits-random.json", "--out", tests.folder / "trained-critic")
    bits = json.loads((tests.folder / "trained-critic/config.json").read_text())["bits"]
    assert all(entry["network"] == "critic" for entry in bits), bits


def unseen():
    """A result is tested on start states that no search has seen: those of eval with another seed, five times as many."""
    out = tests.folder / "reram"
    again = json.loads(fixar("eval", RUN, *HERE, "--episodes", "10", "--seed", "2000000", "--bits", out / "bits-ppo.json",
                             "--json").stdout)
    assert abs(again["mean_return"] - result(out, "ppo")["test_quality"]) < 1e-9 * abs(again["mean_return"]), again


def variation():
    """Cells that vary change the return, the same way each time, and have evaluations of their own."""
    out = [tests.folder / f"noisy-{i}" for i in range(3)]
    for folder, seed in zip(out, (1, 1, 2)):
        quantize("--hardware", "reram", "--limit", "energy=60%", "--search", "uniform", "--variation", "0.2", "--noise-seed",
                 seed, "--out", folder)
    clean = result(tests.folder / "reram", "uniform")["points"]
    noisy = [result(folder, "uniform")["points"] for folder in out]
    assert noisy[0] == noisy[1] and noisy[0] != noisy[2] and noisy[0] != clean
    done = quantize("--hardware", "reram", "--limit", "energy=60%", "--out", out[0], code=1)
    says(done.stderr, "evaluations of something else", "varying by 0.2")


def levels():
    """Cells of few levels change the return; those that have one for each code (two bits, here) change nothing."""
    clean = result(tests.folder / "reram", "uniform")["points"]
    for number in (2, 4):
        folder = tests.folder / f"levels-{number}"
        quantize("--hardware", "reram", "--limit", "energy=60%", "--search", "uniform", "--levels", number, "--out", folder)
        points = result(folder, "uniform")["points"]
        assert (points == clean) == (number == 4), (number, points, clean)


def exhaustive():
    """Every combination, and an error for too many."""
    out = tests.folder / "all"
    common = ["--hardware", "reram", "--limit", "energy=70%", "--search", "exhaustive", "--out", out]
    fixar("quantize", RUN, *HERE, "--episodes", "1", "--widths", "4,8", "--budget", "64", *common)
    found = result(out, "exhaustive")
    assert found["proposals"] == 64 and found["evaluations"] < 64, found
    says(fixar("quantize", RUN, *HERE, "--episodes", "1", "--widths", "4,8", "--budget", "63", *common, code=1).stderr,
         "64 combinations are more than the budget of 63")


def impossible():
    """A limit that cannot be met is refused with the one that can, which is then met."""
    out = ["--out", tests.folder / "least"]
    done = quantize("--hardware", "reram", "--limit", "energy=0.001", "--search", "greedy", *out, code=1)
    least = re.search(r"2 bits everywhere it is ([0-9.]+) nJ", done.stderr)
    assert least, done.stderr
    # Six digits are printed: the last one up.
    quantize("--hardware", "reram", "--limit", f"energy={float(least[1]) * 1.00001}", "--search", "greedy", *out)
    assert all(layer["weight"] == 2 for layer in result(tests.folder / "least", "greedy")["layers"])


def errors():
    """Bad arguments say what was expected."""
    reram = ["--hardware", "reram"]
    for arguments, pattern in (
        ([*reram, "--limit", "watts=3"], "crossbars, energy, latency, area"),
        ([*reram, "--limit", "energy=-3"], "METRIC=NUMBER"),
        ([*reram, "--limit", "energy=50%", "--search", "annealing"], 'no search "annealing"'),
        ([*reram, "--limit", "energy=50%", "--widths", "1-8"], "from 2 to 16"),
        ([*reram, "--limit", "energy=50%", "--variation", "-1"], "from 0 to 1"),
        (["--hardware", "gpu", "--limit", "energy=50%"], "reram or array"),
        (["--hardware", "array", "--limit", "cycles=50%", "--variation", "0.1"], "only the cells of --hardware reram"),
        (["--hardware", "array", "--limit", "cycles=50%", "--levels", "3"], "only the cells of --hardware reram have levels"),
        ([*reram, "--limit", "energy=50%", "--levels", "1"], "from 2 to 256"),
        ([*reram, "--limit", "energy=50%", "--parameters", "/none"], "/none: No such file"),
        (reram, "--hardware and --limit are needed"),
    ):
        says(fixar("quantize", RUN, *HERE, *arguments, code=2).stderr, pattern)
    says(fixar("quantize", tests.folder, *HERE, *reram, "--limit", "energy=50%", code=1).stderr, "no checkpoint in")
    full = tests.folder / "fixed32"
    fixar("train", "pendulum", *SMALL, "--steps", "300", "--precision", "fixed32", "--out", full)
    says(fixar("quantize", full, *HERE, *reram, "--limit", "energy=50%", code=1).stderr, "trained in fixed32; only training in qat16")


for test in (searches, array, loaded_again, used_in_training, known_answers, interrupted, fine_tuning, critic, unseen, variation, levels, exhaustive,
             impossible, errors):
    tests.run(test)
tests.finish()
