#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench: what it answers, and what it refuses. No test here asks how fast anything is."""

import json
import subprocess

from tool import *

PRECISIONS = ["float32", "fixed32", "qat16", "qat16x16"]
QUICK = ["--hidden", "16,16", "--rounds", "3", "--seconds", "0.01", "--quiet"]


def answer(*arguments):
    return json.loads(fixar("bench", *arguments, *QUICK, "--json").stdout)


def rows():
    """bench --json has a row for each precision, batch and number of threads."""
    got = answer("--batch", "8,16", "--threads", "1,2", "--shape", "3,1")
    keys = {(row["precision"], row["batch"], row["threads"]) for row in got["rows"]}
    assert keys == {(p, b, t) for p in PRECISIONS for b in (8, 16) for t in (1, 2)}, keys
    for row in got["rows"]:
        assert 0 < row["slowest"] <= row["steps_per_second"] <= row["fastest"], row
        assert abs(row["ips"] - row["batch"] * row["steps_per_second"]) < 1e-6 * row["ips"], row
        assert row["steps_per_processor_second"] > 0, row
    assert {row["precision"] for row in got["acting"]} == set(PRECISIONS), got
    assert all(row["batch"] == 1 and row["actions_per_second"] > 0 and row["actions_per_processor_second"] > 0
               for row in got["acting"]), got
    assert got["observation_dim"] == 3 and got["action_dim"] == 1 and got["hidden"] == [16, 16] and got["rounds"] == 3, got


def traffic():
    """Bytes of a step grow with the batch by what its samples take, and are fewer with 16-bit operands."""
    got = answer("--batch", "64,128,192", "--threads", "1", "--shape", "17,6")
    size = {(row["precision"], row["batch"]): row["bytes_per_step"] for row in got["rows"]}
    for precision in PRECISIONS:
        first, second = size[precision, 128] - size[precision, 64], size[precision, 192] - size[precision, 128]
        assert first > 0 and abs(first - second) < 1e-9 * first, (precision, first, second)
        assert size[precision, 64] > first, "parameters cost as well"
    assert size["qat16x16", 64] < size["qat16", 64], size


def kernels():
    """bench --kernels has each product of each path, as a share of limits that it measured."""
    got = answer("--kernels", "--batch", "8,64")
    paths = {(row["path"], row["product"], row["batch"]) for row in got["kernels"]}
    full = {("full", product, batch) for product in ("forward", "dX", "dW") for batch in (8, 64)}
    assert paths >= full and (paths == full or ("16x16", "dX", 64) in paths and ("half", "dX", 8) not in paths), paths
    for row in got["kernels"]:
        for rate in (row["gmacs"], row["gmacs_with_forms"]):
            assert 0 < rate["lowest"] <= rate["median"] <= rate["highest"], row
        assert ("share" in row) == bool(got["limits"]), row
        assert "share" not in row or (0 < row["share"] and 0 < row["share_with_forms"] and 0 < row["gmacs_limit"]["median"]), row
        assert "byte_products" not in row or (got["device"], row["path"]) == ("amx", "full"), row
    assert all(limit["instructions"] and limit["gmacs"]["median"] > 0 for limit in got["limits"]), got["limits"]
    assert got["inputs"] == 16 and got["outputs"] == 16, got
    text = fixar("bench", "--kernels", "--batch", "8", "--engine", "scalar", *QUICK).stdout
    says(text, r"(?m)^full +forward +8 ", r"(?m)^full +dW +8 ")
    assert "16x16" not in text and "%" not in text, "the scalar engine has no narrow products, and no limit was measured for it"


def byte_limit():
    """bench --kernels compares products of bytes with as many products of bytes as the operands need."""
    if "amx" not in json.loads(fixar("info", "--json").stdout)["engines"]:
        raise Skip("this processor has no amx")
    case = ["--kernels", "--hidden", "32,64", *QUICK[2:]]
    got = json.loads(fixar("bench", *case, "--batch", "1,64", "--engine", "amx", "--json").stdout)
    limits = {limit["operands"]: limit for limit in got["limits"]}
    assert limits["32x32"]["instructions"].startswith("tdpb") and limits["32x32 in vectors"]["instructions"].startswith("vpmuldq"), limits
    for row in got["kernels"]:
        if row["path"] == "full":
            # All operands of the bench fit 24 bits. Nothing of one row goes into tiles.
            assert row.get("byte_products") == (9 if row["batch"] == 64 else None), row
    text = fixar("bench", *case, "--batch", "64", "--engine", "amx").stdout
    says(text, "16 products of bytes are counted as one", r"(?m)^full +dX +64 .* 9$")
    for engine in ("avx512", "scalar"):
        text = fixar("bench", *case, "--batch", "64", "--engine", engine).stdout
        assert "bytes" not in text and "tdpb" not in text, text


def platform():
    """bench --platform says where the time of the loop goes; shares add up to all of it."""
    got = answer("--platform=pendulum", "--batch", "16", "--threads", "1,2")
    keys = {(row["precision"], row["batch"], row["threads"]) for row in got["platform"]}
    assert keys == {(p, 16, t) for p in PRECISIONS for t in (1, 2)}, keys
    assert got["environment"] == "pendulum" and got["paper_platform_ips"] == 25293.3, got
    for row in got["platform"]:
        assert set(row["shares"]) == {"act", "environment", "store", "sample", "train", "other"}, row
        assert all(0 <= share <= 1 for share in row["shares"].values()) and row["shares"]["train"] > 0, row
        assert abs(sum(row["shares"].values()) - 1) < 1e-9, row
        assert 0 < row["slowest"] <= row["steps_per_second"] <= row["fastest"] and row["ips"] > 0, row
        if row["precision"] == "float32":
            assert row["card_train_seconds"] is None and row["ips_with_card"] is None, row
        else:
            assert 0 < row["card_act_seconds"] < row["card_train_seconds"] and row["ips_with_card"] > 0, row
    says(fixar("bench", "--platform=pendulum", "-p", "fixed32", "-b", "16", "--threads", "1", *QUICK).stdout,
         r"(?m)^precision .* act environment ", r"(?m)^fixed32 +16 +1 ", r"25,293\.3")


def model_agrees():
    """What --platform says of a card is what fixar model says."""
    got = answer("--platform=pendulum", "--batch", "16", "--threads", "1", "-p", "fixed32,qat16,qat16x16")
    model = json.loads(fixar("model", "--env", "pendulum", "--hidden", "16,16", "--batch", "16", "--json").stdout)
    for row in got["platform"]:
        cycles = next(m["cycles"] for m in model["training"] if m["precision"] == row["precision"])
        seconds = cycles / (model["array"]["clock_mhz"] * 1e6)
        assert abs(row["card_train_seconds"] - seconds) < 1e-9 * seconds, (row, seconds)


def model_precisions():
    """fixar model has fewer cycles the narrower the operands, and all products of qat16x16 on the half datapath."""
    model = json.loads(fixar("model", "--batch", "64", "--json").stdout)
    cycles = {row["precision"]: row["cycles"] for row in model["training"]}
    assert list(cycles) == ["fixed32", "qat16", "qat16x16"] and cycles["fixed32"] > cycles["qat16"] > cycles["qat16x16"], cycles
    for precision, lanes in (("fixed32", {1}), ("qat16", {1, 2}), ("qat16x16", {2})):
        model = json.loads(fixar("model", "--precision", precision, "--batch", "64", "--json").stdout)
        found = {row["macs_per_pe_cycle"] for row in model["step"]["operations"] if row["macs"]}
        assert found == lanes, (precision, model["step"]["operations"])
    says(fixar("model", "--precision", "float32", code=2).stderr, "fixed32, qat16, qat16x16")


def scaling():
    """bench --scaling has each precision on each axis, and draws them."""
    picture = tests.folder / "scaling.svg"
    got = answer("--scaling", "--threads", "1,2", "-p", "fixed32,qat16x16", f"--out={picture}")
    axes = {}
    for row in got["scaling"]:
        axes.setdefault((row["axis"], row["precision"]), []).append(row["value"])
        for cost in (row["milliseconds"], row["processor_milliseconds"]):
            assert 0 < cost["lowest"] <= cost["median"] <= cost["highest"], row
    assert set(axes) == {(axis, precision) for axis in ("batch", "width", "depth", "threads") for precision in ("fixed32", "qat16x16")}
    assert all(values == sorted(values) and len(values) > 1 for values in axes.values()), axes
    assert axes["threads", "fixed32"] == [1, 2], axes
    says(picture.read_text(), "<svg", "qat16x16", "depth")


def text():
    """bench prints a table."""
    says(fixar("bench", "-p", "fixed32", "-b", "8", "--hidden", "8", "--rounds", "1", "--seconds", "0").stdout,
         r"precision +batch +threads +steps/s", r"(?m)^fixed32 +8 +\d", "actions/s")


def only():
    """bench --only measures training or acting."""
    got = answer("--only=training", "-p", "fixed32", "-b", "8", "--threads", "1")
    assert len(got["rows"]) == 1 and not got["acting"], got
    got = answer("--only=acting", "-p", "fixed32")
    assert len(got["acting"]) == 1 and not got["rows"], got
    says(fixar("bench", "--only=resting", code=2).stderr, '"resting"', "training or acting")


def errors():
    """bench refuses what it cannot measure, and says what it expected."""
    says(fixar("bench", "-p", "int8", code=2).stderr, '"int8"', "float32, fixed32, qat16 or qat16x16")
    says(fixar("bench", "--shape", "17", code=2).stderr, '"17"', "17,6")
    says(fixar("bench", "--engine", "sse9", code=2).stderr, "sse9")
    says(fixar("bench", "--batch", "0", code=2).stderr, '"0"')
    says(fixar("bench", "--kernels", "--platform", code=2).stderr, "one of them")
    says(fixar("bench", "--device", "cpu", code=2).stderr, "--platform")
    says(fixar("bench", "--out", "x.svg", code=2).stderr, "--scaling")
    says(fixar("bench", "--platform=moonlander", code=1).stderr, "moonlander")
    says(fixar("bench", "--platform=pendulum", "--device", "/dev/accel/accel99", "-p", "fixed32", code=1).stderr, "accel99")
    says(fixar("bench", "--platform=pendulum", "--device", "cpu", "-p", "float32", code=2).stderr, "no float32")


def interrupt():
    """An interrupt ends it at once with code 130."""
    for what in ([], ["--kernels"], ["--platform=pendulum"]):
        process = start("bench", *what, "--seconds", "30", "--rounds", "50", "-q", "-b", "8", "--hidden", "8,8")
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, (what, process.returncode)


def comparison():
    """selftests/bench/compare.py refuses what it cannot compare with."""
    program = [sys.executable, str(SOURCE / "selftests/bench/compare.py")]
    for arguments, complaint in ((["--build", "/nonexistent"], "build it first"), (["--rounds", "0"], "at least one round"),
                                 (["--python", "/nonexistent", "--build", str(BUILD), "--rltools", "/nonexistent"], "no checkout of RLtools")):
        done = subprocess.run(program + arguments, capture_output=True, text=True)
        assert done.returncode in (1, 2), done
        says(done.stderr, complaint)


tests = Tests()
for test in (rows, traffic, kernels, byte_limit, platform, model_agrees, model_precisions, scaling, text, only, errors, interrupt, comparison):
    tests.run(test)
tests.finish()
