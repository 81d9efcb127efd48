#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""plot and info: pictures that are pictures, answers that are JSON."""

import json
import xml.etree.ElementTree

from tool import *

tests = Tests()
runs = [tests.folder / f"{precision}-{seed}" for precision in ("float32", "qat16") for seed in (0, 1)]
for path in runs:
    precision, seed = path.name.split("-")
    fixar("train", "pendulum", *SMALL, "--steps", "1000", "--precision", precision, "--seed", seed, "--out", path)


def png():
    """A PNG of one run and of several."""
    for number, chosen in enumerate(([runs[0]], runs)):
        picture = tests.folder / f"{number}.png"
        done = fixar("plot", *chosen, "-o", picture)
        data = picture.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND" and len(data) > 5000, len(data)
        assert not done.stdout and not done.stderr, done


def svg():
    """An SVG is XML, and names the curves: seeds are gathered, precisions are not."""
    picture = tests.folder / "all.svg"
    fixar("plot", *runs, "-o", picture)
    root = xml.etree.ElementTree.parse(picture).getroot()
    assert root.tag.endswith("}svg"), root.tag
    text = "\n".join(root.itertext())
    says(text, r"float32 \(2 seeds\)", r"qat16 \(2 seeds\)", "environment steps", "pendulum")


def folder_of_runs():
    """A folder of runs stands for all of them."""
    picture = tests.folder / "folder.svg"
    fixar("plot", tests.folder, "-o", picture)
    assert picture.read_bytes() == (tests.folder / "all.svg").read_bytes()


def labels():
    """What curves differ in, and nothing else, is in their labels."""
    other = tests.folder / "other-batch"
    fixar("train", "pendulum", *SMALL, "--batch", "8", "--steps", "600", "--precision", "qat16", "--out", other)
    picture = tests.folder / "labels.svg"
    fixar("plot", runs[2], other, "-o", picture)
    text = "\n".join(xml.etree.ElementTree.parse(picture).getroot().itertext())
    says(text, r"qat16, batch 16", r"qat16, batch 8")
    assert "hidden" not in text, text
    shutil.rmtree(other)


def terminal():
    """Without -o the curves are drawn as text."""
    says(fixar("plot", *runs).stdout, "pendulum", "environment steps", r"\*\*\*", r"float32 \(2 seeds\)")


def metrics():
    """--metric draws any column; an unknown one is named with the known ones."""
    says(fixar("plot", runs[0], "--metric", "critic_loss").stdout, "critic_loss|environment steps")
    says(fixar("plot", runs[0], "--metric", "speed", code=2).stderr, '"speed"', "columns are: .*critic_loss")


def plot_errors():
    """What cannot be drawn is named."""
    says(fixar("plot", code=2).stderr, "which runs")
    says(fixar("plot", runs[0], "-o", "curves.pdf", code=2).stderr, "curves.pdf", ".png or .svg")
    says(fixar("plot", runs[0], "-o", tests.folder / "no/such/a.png", code=1).stderr, "a.png", "No such file")
    says(fixar("plot", tests.folder / "nowhere", code=1).stderr, "nowhere", "No such file")
    (tests.folder / "empty").mkdir()
    says(fixar("plot", tests.folder / "empty", code=1).stderr, "no run in .*empty")
    (tests.folder / "empty").rmdir()
    broken = tests.folder / "broken"
    shutil.copytree(runs[0], broken)
    (broken / "metrics.csv").write_text("step,return\n1,2,3\n")
    says(fixar("plot", broken, code=1).stderr, "metrics.csv, line 2")
    shutil.rmtree(broken)


def info():
    """info names version, engines, processors and environments, and cards or that there are none."""
    answer = json.loads(fixar("info", "--json").stdout)
    assert "scalar" in answer["engines"] and answer["processors"] >= 1 and isinstance(answer["cards"], list), answer
    pendulum = answer["environments"][0]
    assert pendulum["name"] == "pendulum" and pendulum["observation_dim"] == 3 and pendulum["action_dim"] == 1, pendulum
    says(fixar("info").stdout, r"^fixar \d", r"(?m)^engines .*\(chosen\)", r"(?m)^cards +none|^card [0-9a-f:.]+: ", "pendulum")


tests.run(png)
tests.run(svg)
tests.run(folder_of_runs)
tests.run(labels)
tests.run(terminal)
tests.run(metrics)
tests.run(plot_errors)
tests.run(info)
tests.finish()
