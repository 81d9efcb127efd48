#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of searches (selftests/quantize/study.py): trains, searches, goes on where it was, and its figures are right."""

import json

from tool import *

tests = Tests()
STATE, FILE = tests.folder / "state", tests.folder / "networks.json"
FILE.write_text(json.dumps({
    "note": "A note.", "hardware": "reram", "metric": "energy", "limit": 0.8, "seeds": 2, "searches": ["ppo", "ddpg", "random"],
    "networks": [
        {"name": "small", "train": ["pendulum", "--precision", "qat16", "--steps", "600", "--warm-up", "200", "--hidden", "8,8",
                                    "--batch", "16"],
         "widths": "2,4,8", "budget": 12, "episodes": 1, "exhaustive": 729},
        {"name": "its-critic", "of": "small", "network": "critic", "widths": "4,8", "budget": 4, "episodes": 1},
        {"name": "later", "train": ["pendulum"], "widths": "2-8", "budget": 12, "episodes": 1}]}))


def study(*arguments, code=0):
    done = subprocess.run([SOURCE / "selftests/quantize/study.py", FILE, "--fixar", FIXAR, "--state", STATE, *arguments],
                          capture_output=True, text=True, env=environment(), timeout=200 * SLOW)
    assert done.returncode == code, done.stderr
    return done.stdout


def executed():
    """Networks are trained and searched; what is not asked for is said to be not started."""
    text = study("--only", "small,its-critic")
    says(text, "## small", "every combination", r"\| ppo \| 2 \|", "## its-critic", "Below the optimum")
    says(study("--report"), "## later\n\nNot started")
    assert study("--report", "--only", "small,its-critic") == text


def figures():
    """Cost at the same quality, and the distance from the optimum, as computed here from the results."""
    folder = STATE / "small-searches"
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    uniform, every = results["uniform"], results["exhaustive"]
    scale = max(uniform["widest_quality"] - uniform["narrowest_quality"], 0.01 * abs(uniform["widest_quality"]))
    good = [found >= uniform["widest_quality"] - 0.01 * scale for _, found in uniform["points"]]
    cost, quality = uniform["points"][0 if all(good) else 1 if good[1] else 2]
    assert abs(every["limit"] - max(0.8 * cost, uniform["points"][0][0])) < 1e-9, (every["limit"], cost)
    row = next(line for line in study("--report", "--only", "small").splitlines() if line.startswith("| every combination"))
    cheapest = min((point[0] for point in every["points"] if point[1] >= quality - 0.01 * scale), default=None)
    said = row.split("|")[5].strip()
    assert said.startswith(f"{100 * cheapest / cost:.1f} %" if cheapest else "-"), (row, cheapest, cost)
    for name in ("ppo-seed0", "ddpg-seed1", "random-seed0"):
        assert results[name]["score"] <= every["score"] + 1e-12 and results[name]["cost"] <= every["limit"], name


def resumed():
    """A result that is there is not searched for again; one that is missing is, and comes out the same."""
    result = STATE / "small-searches/ppo-seed1.json"
    before = {path: path.stat().st_mtime_ns for path in STATE.rglob("*-seed*.json")}
    found = json.loads(result.read_text())
    result.unlink()
    study("--only", "small,its-critic")
    again = json.loads(result.read_text())
    assert again["layers"] == found["layers"] and again["points"] == found["points"], again
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path != result), "searched again"


for test in (executed, figures, resumed):
    tests.run(test)
tests.finish()
