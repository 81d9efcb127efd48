#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Precision schedules from the command line: stages, resuming within one, array cycles, studies of them, what is refused."""

import csv
import json

from tool import *

tests = Tests()
# Five stages within 1,200 steps: a look at the training every 20.
STAGED = [*SMALL, "--precision", "qat16", "--steps", "1200", "--schedule-observe", "60", "--schedule-interval", "20"]


def rows(directory):
    with open(pathlib.Path(directory) / "metrics.csv") as file:
        return list(csv.DictReader(file))


def trained(name, *arguments):
    directory = tests.folder / name
    done = fixar("train", "pendulum", *arguments, "--out", directory, "--json", "--quiet")
    return directory, json.loads(done.stdout.splitlines()[-1])


def stages():
    """muppet goes through its stages, to the bits of a run killed within them; config.json has the settings."""
    directory, result = trained("muppet", *STAGED, "--schedule", "muppet")
    assert result["switches"] >= 2 and result["quantized"], result
    config = json.loads((directory / "config.json").read_text())
    assert (config["schedule"], config["schedule_widths"], config["schedule_interval"]) == ("muppet", "default", 20), config
    switches = [int(row["switches"]) for row in rows(directory)]
    assert switches == sorted(switches) and switches[-1] == result["switches"], switches


def resumed(schedule, *arguments):
    """A run killed again and again within its stages ends with the bytes of the uninterrupted one."""
    whole, result = trained(f"{schedule}-whole", *STAGED, *arguments, "--schedule", schedule, "--checkpoint-every", "30")
    assert result["switches"] >= 1, result
    directory = tests.folder / f"{schedule}-killed"
    command = ["train", "pendulum", *STAGED, *arguments, "--schedule", schedule, "--checkpoint-every", "30", "--quiet", "--out",
               directory, "--resume"]
    marks = []
    for target in (300, 600, 900):
        process = start(*command)
        wait_for(lambda: process.poll() is not None or saved_steps(directory) >= target, f"step {target}")
        process.kill()
        process.wait()
        marks.append(saved_steps(directory))
    assert marks[0] < 1200, f"never killed before the end: {marks}"
    fixar(*command)
    same_checkpoint(whole, directory)
    assert deterministic_rows(whole) == deterministic_rows(directory), "metrics differ"


def saved_steps(directory):
    """From the header of the checkpoint, which is replaced as a whole."""
    try:
        with open(directory / "checkpoint.safetensors", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return int(header["__metadata__"]["run.environment_steps"])
    except FileNotFoundError:
        return 0


def widths():
    """Widths of one's own: one stage of 4 bits has more saturations than one of 16."""
    saturations = []
    for width in (4, 16):
        _, result = trained(f"widths-{width}", *STAGED, "--schedule", "fractrain", "--schedule-widths", width)
        assert result["switches"] == 1, result
        saturations.append(result["saturations"])
    assert saturations[0] > saturations[1], saturations


def cycles():
    """Array cycles are those of `fixar model` for every step, before and after the switch; eval reports them, too."""
    model = json.loads(fixar("model", "--env", "pendulum", "--hidden", "24,16", "--batch", "16", "--json").stdout)
    acting = {row["precision"]: row["cycles"] for row in model["acting"] if row["batch"] == 1}
    training = {row["precision"]: row["cycles"] for row in model["training"]}
    # The model acts without noise; exploring adds one element to one action, and waits for its result.
    noise = model["array"]["update_latency"] + 1
    full, half = (acting[precision] + noise + training[precision] for precision in ("fixed32", "qat16"))
    assert half < full, model
    directory, result = trained("cycles", *SMALL, "--steps", "700", "--precision", "qat16", "--delay", "300")
    assert result["array_cycles"] == 100 * full + 400 * half, (result, full, half)
    assert json.loads(fixar("eval", directory, "--json").stdout)["array_cycles"] == result["array_cycles"]
    last = rows(directory)[-1]
    assert last["step"] == "600" and int(last["array_cycles"]) == 100 * full + 300 * half, last
    _, result = trained("float", *SMALL, "--steps", "300", "--precision", "float32")
    assert result["array_cycles"] is None, result


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def earlier():
    """A run of before there were schedules and cycles goes on, in the columns that it has; its cycles are not known."""
    directory, _ = trained("earlier", *SMALL, "--steps", "450", "--precision", "qat16")
    path = directory / "checkpoint.safetensors"
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = whole[8:end].decode()
    for key in ("options.schedule", "options.schedule_width", "options.schedule_observe", "options.schedule_interval",
                "run.array_cycles"):
        assert f'"{key}":' in header, key
        header = re.sub(rf'"{key}":"[^"]*",', "", header)
    start_of_crc = len('{"__metadata__":{"crc32c":"')
    header = (header[:start_of_crc] + "00000000" + header[start_of_crc + 8:]).ljust(end - 8).encode()
    crc = f"{crc32c(whole[:8] + header + whole[end:]):08x}".encode()
    path.write_bytes(whole[:8] + header[:start_of_crc] + crc + header[start_of_crc + 8:] + whole[end:])
    metrics = directory / "metrics.csv"
    metrics.write_text("".join(",".join(line.split(",")[:-2]) + "\n" for line in metrics.read_text().splitlines()))
    for events in directory.glob("events.*"):
        events.unlink()
    done = fixar("train", "--resume", "--out", directory, "--steps", "700", "--json", "--quiet")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["environment_steps"] == 700 and result["array_cycles"] is None, result
    assert len(rows(directory)) == 3 and "switches" not in rows(directory)[-1], rows(directory)


def studied():
    """A study makes an arm of qat16 for each schedule and reports their array cycles."""
    path = tests.folder / "study.json"
    path.write_text(json.dumps({
        "name": "scheduled", "environments": [{"name": "pendulum", "steps": 600}], "precisions": ["fixed32", "qat16"],
        "schedules": ["delay", "muppet", "fractrain"], "reference": "fixed32", "seeds": 1, "hidden": [24, 16], "batch": 16,
        "warm_up": 200, "schedule_observe": 40, "schedule_interval": 10, "evaluation": {"episodes": 1, "seed": 3}}))
    done = fixar("study", path, env=environment(FIXAR_STUDY_DIR=tests.folder / "studies"))
    says(done.stdout, "4 of 4 runs finished", "Array cycles", r"\| qat16-muppet \| 1 of 1 \|", r"qat16-fractrain, seed 0 \| finished")
    folder = tests.folder / "studies/scheduled"
    arms = json.loads((folder / "results.json").read_text())["environments"][0]["arms"]
    cycles = {arm["arm"]: arm["array_cycles"] for arm in arms}
    assert list(cycles) == ["fixed32", "qat16", "qat16-muppet", "qat16-fractrain"], cycles
    # The delay narrows half of the 600 steps; muppet and fractrain all that is trained but the first 40.
    assert cycles["fixed32"] > cycles["qat16"] > cycles["qat16-fractrain"], cycles
    config = json.loads((folder / "pendulum-qat16-muppet-seed0/config.json").read_text())
    assert config["schedule"] == "muppet" and config["schedule_interval"] == 10, config
    assert json.loads((folder / "pendulum-qat16-seed0/config.json").read_text())["schedule_interval"] == 0


def refused(arguments, *expected):
    directory = tests.folder / "refused"
    done = fixar("train", "pendulum", *SMALL, *arguments, "--out", directory, code=None)
    assert done.returncode in (1, 2), done
    says(done.stderr, *expected)
    assert not directory.exists()


def refused_study(changes, *expected):
    path = tests.folder / "refused.json"
    path.write_text(json.dumps({"name": "refused", "environments": [{"name": "pendulum", "steps": 600}],
                                "precisions": ["fixed32", "qat16"], "seeds": 1, **changes}))
    done = fixar("study", path, code=2, env=environment(FIXAR_STUDY_DIR=tests.folder / "studies"))
    says(done.stderr, "refused.json", *expected)


def changed():
    """A run does not change its schedule when it goes on."""
    done = fixar("train", "--resume", "--out", tests.folder / "muppet", "--schedule", "fractrain", code=2)
    says(done.stderr, "started with schedule muppet; it cannot go on with fractrain")


def with_bits():
    """Widths of single layers and a schedule exclude each other."""
    bits = tests.folder / "bits.json"
    bits.write_text('[{"network": "actor", "layer": 0, "weight": 8}]')
    refused(["--precision", "qat16", "--schedule", "muppet", "--bits", bits], "bits: schedule muppet has widths of its own")


tests.run(stages)
tests.run(resumed, "muppet", name="muppet: a run killed within its stages ends with the bytes of the uninterrupted one")
tests.run(resumed, "fractrain", "--actor-rate", "1e-5", "--critic-rate", "1e-5",
          name="fractrain: a run killed within its stages ends with the bytes of the uninterrupted one")
tests.run(widths)
tests.run(cycles)
tests.run(earlier)
tests.run(studied)
for arguments, *expected in [
    (["--schedule", "later"], 'schedule is "later"; expected delay, muppet or fractrain'),
    (["--schedule", "muppet"], "muppet is for precision qat16, not for fixed32"),
    (["--precision", "qat16x16", "--schedule", "fractrain"], "fractrain is for precision qat16, not for qat16x16"),
    (["--precision", "qat16", "--schedule-interval", "5"], "belong to muppet and fractrain"),
    (["--precision", "qat16", "--schedule", "muppet", "--schedule-widths", "8,4"], "stage 1 has 4 bits, expected ascending"),
    (["--precision", "qat16", "--schedule", "muppet", "--schedule-widths", "20"], "stage 0 has 20 bits"),
    (["--precision", "qat16", "--schedule", "muppet", "--schedule-widths", "1"], 'schedule-widths is "1"; expected up to 8'),
    (["--precision", "qat16", "--schedule", "muppet", "--schedule-widths", "2,3,4,5,6,7,8,9,10"], "schedule-widths"),
]:
    tests.run(refused, arguments, *expected, name=f"train {' '.join(arguments)} is refused")
for what, *expected in [
    ({"schedules": ["later"]}, "schedules"),
    ({"schedules": []}, "schedules"),
    ({"schedules": "muppet"}, "schedules"),
    ({"schedules": ["muppet"], "precisions": ["fixed32"]}, "of qat16"),
    ({"schedules": ["muppet", "muppet"]}, "twice"),
    ({"schedules": ["muppet"], "reference": "qat16"}, "reference"),
    ({"schedule": "muppet"}, 'unknown key "schedule"'),
]:
    tests.run(refused_study, what, *expected, name=f"a study with {json.dumps(what)[:60]} is refused")
tests.run(changed)
tests.run(with_bits)
tests.finish()
