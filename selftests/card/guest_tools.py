#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In the guest: what the tools say of two cards. guest_tools.py STAGE runs the stage's checks and prints a line for each:
RESULT ok NAME, or RESULT FAILED NAME with lines WHY after it."""

import grp
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

FIXAR, FIRST, SECOND = (os.environ[name] for name in ("FIXAR", "first", "second"))
FIELDS = ["precision", "quantization", "parallelism", "noise", "noise_sigma", "noise_theta", "discount", "tau", "beta1",
          "one_minus_beta2", "actor_rate_mantissa", "critic_rate_mantissa", "actor_rate_exponent", "critic_rate_exponent",
          "actor_gradient_scale", "critic_gradient_scale"]


# A copy of the program that other users reach: the build's folder may be closed to them (below /root, say).
OPEN_COPY = pathlib.Path("/tmp/fixar-for-all")


def fixar(*arguments, code=0, **options):
    if "user" in options:
        if not OPEN_COPY.exists():
            shutil.copy(FIXAR, OPEN_COPY)
        options["executable"] = OPEN_COPY
    done = subprocess.run([FIXAR, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
                          **options)
    said = "\n".join(re.findall("(?m)^FAILED.*$", done.stdout)) or done.stdout[-1500:]
    assert done.returncode == code, f"exit status {done.returncode}, expected {code}\n{said}\n{done.stderr[-1500:]}"
    # What went wrong is one line or two, and never half an answer.
    assert code == 0 or not done.stdout or "FAILED" in done.stdout or '"conforms"' in done.stdout, done.stdout
    assert code in (0, 130) or done.stderr or done.stdout, "it failed and said nothing"
    return done


def answer(*arguments, **options):
    done = fixar(*arguments, "--json", **options)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, f"{len(lines)} lines"
    return json.loads(lines[0])


def says(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text), f"/{pattern}/ is not in:\n{text}"


def node_of(address):
    for pattern, folder in (("accel/accel*", "/dev/accel"), ("drm/renderD*", "/dev/dri")):
        for path in pathlib.Path(f"/sys/bus/pci/devices/{address}").glob(pattern):
            return f"{folder}/{path.name}"
    return None


# ---- Cards that nobody uses ----

def info():
    """info: both cards with driver, node, link, BARs, core, memory and sensors, as the machine has them"""
    cards = answer("info")["cards"]
    assert [card["address"] for card in cards] == [FIRST, SECOND], cards
    for card in cards:
        assert (card["driver"], card["node"], card["problem"]) == ("fixar", node_of(card["address"]), None), card
        assert card["id"] == "10ee:903f, subsystem 10ee:f150", card["id"]
        sysfs = pathlib.Path("/sys/bus/pci/devices") / card["address"]
        regions = [[int(number, 0) for number in line.split()] for line in (sysfs / "resource").read_text().splitlines()[:6]]
        assert [(bar["number"], bar["base"], bar["bytes"]) for bar in card["bars"]] == \
            [(i, first, last - first + 1) for i, (first, last, _) in enumerate(regions) if last], card["bars"]
        assert [bar["bytes"] for bar in card["bars"]] == [1 << 20, 64 << 10], card["bars"]
        link = card["link"]
        assert f"{link['speed']:.1f} GT/s PCIe" == (sysfs / "current_link_speed").read_text().strip(), link
        assert link["width"] == int((sysfs / "current_link_width").read_text()), link
        assert (link["card_speed"], link["card_width"]) == (8, 16) and link["limit"] in ("nothing", "slot", "training"), link
        device = card["device"]
        assert device["state"] == "ok" and device["version"] == "1.0" and device["arena_schema"] >= 2, device
        assert {"windows", "sensors"} <= set(device["capabilities"]), device
        assert device["dma"] == {"h2c_channels": 2, "c2h_channels": 2}, device
        assert device["interrupts"] == ({"mode": "MSI", "vectors": 1} if card["address"] == FIRST else {"mode": "MSI-X", "vectors": 5}), device
        core = device["core"]
        assert (core["cores"], core["rows"], core["columns"], core["clock_mhz"]) == (2, 16, 16, 164), core
        memory = card["memory"]
        assert memory["total"] == memory["free"] == memory["largest"] and memory["contexts"] == 0, memory
        assert len({(sensor["name"], sensor["unit"]) for sensor in card["sensors"]}) == len(card["sensors"]) >= 5, card["sensors"]
    # The host has put 71 degrees and 10 V into the first.
    first, second = ({(sensor["name"], sensor["unit"]): sensor["value"] for sensor in card["sensors"]} for card in cards)
    assert first["FPGA", "C"] == 71 and second["FPGA", "C"] != 71, (first, second)
    watts = [value for (_, unit), value in first.items() if unit == "W"]
    assert len(watts) == 1 and abs(watts[0] - (10.0 * 1.85 + 3.29 * 0.42)) < 0.05, first


def info_text():
    """info in words"""
    out = fixar("info").stdout
    says(out, rf"(?m)^card {FIRST}: .*\(10ee:903f", rf"(?m)^card {SECOND}: ", rf"driver +fixar, node {node_of(SECOND)}\n",
         r"link +[\d.]+ GT/s x\d+, (all|less)", r"BARs +0: 1 MiB at 0x\w+, [12]: 64 KiB at", "array +2 cores of 16x16 PEs at 164 MHz",
         r"DMA +2 \+ 2 channels, 1 MSI vector\n", r"DMA +2 \+ 2 channels, 5 MSI-X vectors\n", r"memory +(\S+ GiB), \1 free, 0 contexts", r"sensors +.*71 C")
    assert out.count("capable of") == 2, out


def mode():
    """mode: the registers and the defaults of each card; what is set on one is not on the other"""
    before = [answer("mode", "--device", card) for card in (FIRST, SECOND)]
    for one, address in zip(before, (FIRST, SECOND)):
        assert (one["address"], one["node"], one["contexts"]) == (address, node_of(address), 0), one
        assert list(one["registers"]) == list(one["defaults"]) == FIELDS, one
    fixar("mode", "--device", SECOND, "--set", "noise=ou", "--set", "noise_sigma=0.25", "--set", "actor_gradient_scale=-2")
    after = [answer("mode", "--device", node_of(card)) for card in (FIRST, SECOND)]
    assert after[0] == before[0], after[0]
    changed = {name for name in FIELDS if after[1]["defaults"][name] != before[1]["defaults"][name]}
    assert changed == {"noise", "noise_sigma", "actor_gradient_scale"}, after[1]
    assert (after[1]["defaults"]["noise"], after[1]["defaults"]["noise_sigma"]) == (2, 1 << 20), after[1]
    assert after[1]["defaults"]["actor_gradient_scale"] == -2, after[1]
    assert after[1]["registers"] == before[1]["registers"], "defaults are none of the card's registers"
    out = fixar("mode", "--device", SECOND).stdout
    says(out, rf"card {SECOND}, node {node_of(SECOND)}: 0 contexts", r"noise  .* ou\n", r"noise_sigma .* 0\.25 \(1048576\)\n",
         r"actor_gradient_scale .* -2\n", r"discount .* 0\.99 \(2126008812\)\n")
    fixar("mode", "--device", SECOND, *(f"--set={name}={before[1]['defaults'][name]}" for name in sorted(changed)))
    assert answer("mode", "--device", SECOND) == before[1]


def mode_wrong():
    """mode: values out of range, names that are none, not root"""
    for text, code, pattern in (("noise=7", 1, "noise is 7, which is out of its range"), ("tau=0", 1, "out of its range"),
                                ("colour=1", 2, r'set is "colour=1"; expected NAME=VALUE'), ("noise", 2, "expected noise=a word"),
                                ("noise=loud", 2, "expected noise=a word"), ("tau=1e", 2, "expected tau=a number")):
        says(fixar("mode", "--device", FIRST, "--set", text, code=code).stderr, pattern)
    says(fixar("mode", "--device", FIRST, "--set", "noise=1", code=1, user=65534, group=65534).stderr, "root's to set")


def dma():
    """dma: every pair of channels, odd sizes and offsets; a rate for each channel"""
    got = answer("dma", "--device", SECOND, "--seconds", "0.02", "--offset", "63", "1", "63", "4097", "300K")
    assert (got["address"], got["node"]) == (SECOND, node_of(SECOND)), got
    rows = [(row["size"], row["queue"], row["channel"]) for row in got["rows"]]
    assert rows == [(size, queue, channel) for size in (1, 63, 4097, 300 << 10) for queue in ("h2c", "c2h") for channel in (0, 1)], rows
    for row in got["rows"]:
        assert row["copies"] >= 1 and row["seconds_per_copy"] > 0, row
        assert abs(row["bytes_per_second"] * row["seconds_per_copy"] / row["size"] - 1) < 1e-6, row


def dma_text():
    """dma in words, by node"""
    out = fixar("dma", "--device", node_of(FIRST), "--seconds", "0", "4K").stdout
    says(out, r"(?m)^ +size +channel +copies +us each +rate$", *(rf"(?m)^ +4 KiB +{name} +1 +[\d.]+ +\S+ \S+/s$"
                                                                  for name in ("h2c0", "h2c1", "c2h0", "c2h1")),
         "All bytes arrived")


def dma_wrong():
    """dma: sizes that are none, more than there is, a card that is none, no permission"""
    for arguments, code, pattern in ((["0"], 2, 'size is "0"'), (["12Q"], 2, 'size is "12Q"; expected bytes'), (["-5"], 2, "option"),
                                     (["--seconds", "-1", "64"], 2, "seconds is"), (["--offset", "9999999", "64"], 2, "offset"),
                                     (["900G"], 1, "no memory for them, here or on the card"),
                                     (["--device", "0000:00:00.0", "64"], 1, "0000:00:00.0 .*no FIXAR card"),
                                     (["--device", "/dev/null", "64"], 1, "/dev/null is no node of a card"),
                                     (["--device", "0000:77:00.0", "64"], 1, "no PCI function at 0000:77:00.0")):
        says(fixar("dma", *(arguments if "--device" in arguments else ["--device", FIRST, *arguments]), code=code).stderr, pattern)
    says(fixar("dma", "--device", FIRST, "64", code=1, user=65534, group=65534).stderr, f"no permission to open {node_of(FIRST)}")


def udev():
    """udev's rule: nodes are of the group render, 0660, and have a name by their place"""
    rules = pathlib.Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).resolve().parents[2] / "driver/71-fixar.rules", rules)
    daemon = subprocess.Popen(["/lib/systemd/systemd-udevd"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        limit = time.monotonic() + 60
        while not pathlib.Path("/run/udev/control").exists():
            assert daemon.poll() is None and time.monotonic() < limit, "udevd does not start: " + daemon.stderr.read()
            time.sleep(0.1)
        nodes = {card: pathlib.Path(node_of(card)) for card in (FIRST, SECOND)}
        before = {card: node.stat() for card, node in nodes.items()}
        subprocess.run(["udevadm", "trigger", "--action=add", "--subsystem-match=accel", "--subsystem-match=drm"], check=True, timeout=120)
        subprocess.run(["udevadm", "settle", "--timeout=100"], check=True, timeout=120)
        for card, node in nodes.items():
            now = node.stat()
            assert before[card].st_mode & 0o777 != 0o660, "it was so before"
            assert now.st_mode & 0o777 == 0o660 and grp.getgrgid(now.st_gid).gr_name == "render", f"{node}: {now}"
            assert (pathlib.Path("/dev/fixar/by-path") / card).resolve() == node, os.listdir("/dev/fixar/by-path")
        says(fixar("dma", "--device", FIRST, "64", code=1, user=65534, group=65534).stderr, "its users are the group render")
        fixar("dma", "--device", FIRST, "--seconds", "0", "64", user=65534, group=grp.getgrnam("render").gr_gid)
    finally:
        daemon.terminate()
        daemon.wait(60)


# ---- With clients ----

def top():
    """top: a client that trains is on its card and not on the other; engines, rates, memory, watts"""
    client = subprocess.Popen([FIXAR, "train", "pendulum", "--quiet", "--hidden", "16", "--batch", "8", "--warm-up", "20", "--steps",
                               "100000", "--device", FIRST, "--out", "/tmp/client"], stdin=subprocess.DEVNULL)
    try:
        # Until a whole step is within a look, which on a busy machine may take some.
        limit, interval = time.monotonic() + 300, 0.5
        while True:
            busy = answer("top", "--device", FIRST, "--once", "--interval", interval)
            if busy["samples_per_second"] > 0 and all(engine["busy_percent"] > 0 for engine in busy["engines"]):
                break
            assert time.monotonic() < limit and client.poll() is None, busy
            interval += 0.5
        idle = answer("top", "--device", SECOND, "--once", "--interval", "0.05")
        assert (busy["address"], busy["node"]) == (FIRST, node_of(FIRST)), busy
        assert [(one["pid"], one["command"]) for one in busy["clients"]] == [(client.pid, "fixar")], busy["clients"]
        assert busy["clients"][0]["arena_bytes"] == busy["memory"]["used"] > 0 and busy["memory"]["contexts"] == 1, busy
        assert all(0 < busy["clients"][0][f"{name}_percent"] <= 100 for name in ("core", "h2c", "c2h")), busy["clients"]
        assert [engine["name"] for engine in busy["engines"]] == ["h2c", "c2h", "core"], busy["engines"]
        for engine in busy["engines"]:
            assert 0 < engine["busy_percent"] <= 100 and engine["jobs_per_second"] > 0 and engine["errors"] == 0, engine
            assert engine["name"] == "core" or engine["bytes_per_second"] > 0, engine
        # It acts once and trains on eight samples in each step; a look may cut a step at either end.
        acted, trained = (busy[name] * busy["seconds"] for name in ("actions_per_second", "samples_per_second"))
        assert abs(acted - trained / 8) < 1.5, busy
        assert 0.4 < busy["seconds"] and 18 < busy["watts"] < 30, busy
        assert not idle["clients"] and not any(engine["busy_percent"] for engine in idle["engines"]), idle
        assert idle["memory"]["contexts"] == 0 and idle["samples_per_second"] == 0, idle
        out = fixar("top", "--device", FIRST, "--once", "--interval", "0.1").stdout
        says(out, rf"(?m)^card {FIRST}, node {node_of(FIRST)}, [\d.]+ W, .* 71 C", "1 contexts; ", "(?m)^resets: core 0, device 0;",
             r"(?m)^engine +busy +jobs/s", r"(?m)^core +[\d.]+% ", rf"(?m)^ +{client.pid} .* fixar$")
        assert answer("mode", "--device", FIRST)["contexts"] == 1
        # One picture after the other, until nobody reads them.
        watching = subprocess.Popen([FIXAR, "top", "--device", FIRST, "--interval", "0.05", "--json"], stdout=subprocess.PIPE, text=True)
        pictures = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.stdout.close()
        watching.wait(60)
        assert [picture["address"] for picture in pictures] == [FIRST] * 3, pictures
        assert pictures[0]["counters"]["timestamp"] < pictures[1]["counters"]["timestamp"] < pictures[2]["counters"]["timestamp"]
    finally:
        client.terminate()
        client.wait(120)
    assert client.returncode == 130, client.returncode
    after = answer("top", "--device", FIRST, "--once", "--interval", "0.05")
    assert not after["clients"] and after["memory"]["used"] == 0, after


def top_wrong():
    """top: intervals that are none, arguments, a card that is none"""
    for arguments, code, pattern in ((["--interval", "0"], 2, 'interval is "0"; expected seconds'), (["x"], 2, '"x" is one argument too many'),
                                     (["--device", "/dev/accel/accel77"], 1, "there is no /dev/accel/accel77")):
        says(fixar("top", "--once", *arguments, code=code).stderr, pattern)


# ---- Conformance ----

def conform():
    """conform: golden vectors through the driver, on each card"""
    for card in (FIRST, SECOND):
        got = answer("conform", "--device", card, "--cases", "1")
        assert (got["conforms"], got["passed"], got["failed"], got["skipped"]) == (True, 3, 0, 0), got
        assert all(re.match("case 0, (auto|intra-layer|intra-batch): 3 observations, 1 actions, [1-9]", one["name"]) for one in got["results"]), got


def conform_all():
    """conform: all golden vectors"""
    got = answer("conform", "--device", FIRST)
    assert got["conforms"] and got["passed"] >= 27 and not got["failed"] and not got["skipped"], got


def conform_wrong():
    """conform --raw wants no driver, and root"""
    says(fixar("conform", "--raw", "--device", SECOND, code=1).stderr, "has the driver fixar; --raw wants it without: echo")
    says(fixar("conform", "--raw", "--cases", "1", code=2).stderr, "--raw plays none")
    says(fixar("conform", "x", code=2).stderr, "one argument too many")
    says(fixar("conform", "--device", "cpu", code=2).stderr, "cpu is no card")


def raw():
    """conform --raw: every check passes and none is left out; JSON"""
    says(fixar("conform", "--raw", "--device", SECOND, code=1, user=65534, group=65534).stderr, "root's")
    out = fixar("conform", "--raw", "--device", SECOND).stdout
    names = re.findall(r"(?m)^ok +(.*)$", out)
    says(out, rf"(?m)^{len(names)} passed, 0 failed, 0 skipped: the card conforms$")
    for word in ("SEQUENCE", "OPCODE", "COMMAND", "MODE", "HEADER", "TABLE", "CAPACITY", "BATCH", "OFFSET", "WINDOW", "READ", "WRITE",
                 "order: then", "busy", "halted", "soft reset in a TRAIN", "TRAIN: state", "interrupts"):
        assert any(name.startswith(word) for name in names), f"no check of {word}"
    assert len(set(names)) == len(names) > 100, len(names)


def raw_alone():
    """conform --raw behind an IOMMU, without vfio-pci: the registers are tested, and the rest is skipped with the reason"""
    out = fixar("conform", "--raw", "--device", SECOND).stdout
    says(out, r"(?m)^skipped commands on an arena, .*: an IOMMU stands between .*: give the card to vfio-pci, or boot with iommu=pt$",
         r"(?m)^\d\d passed, 0 failed, 1 skipped: the card conforms$")


def raw_fault():
    """conform --raw: a card with a fault does not conform, and which check it fails is said"""
    got = answer("conform", "--raw", "--device", SECOND, code=1)
    wrong = [one for one in got["results"] if one["result"] == "FAILED"]
    assert not got["conforms"] and got["failed"] == len(wrong) >= 1, got
    assert all(one["detail"] for one in wrong) and any("record" in one["detail"] for one in wrong), wrong


def without_driver():
    """Without a driver: info says so, and the other tools say what to do"""
    cards = answer("info")["cards"]
    assert [(card["address"], card["driver"], card["node"]) for card in cards] == [(FIRST, None, None), (SECOND, None, None)], cards
    says(fixar("info").stdout, "driver +none")
    for command in ("dma", "top", "mode", "conform"):
        says(fixar(command, "--device", SECOND, code=1).stderr, f"the card {SECOND} has no driver: load fixar.ko")


# ---- Memory that is lost ----

def train(name, device, *arguments):
    out = pathlib.Path("/tmp") / name
    done = fixar("train", "pendulum", "--hidden", "16", "--batch", "8", "--warm-up", "20", "--steps", "120", "--checkpoint-every", "50",
                 "--precision", "qat16", "--device", device, "--out", out, *arguments)
    return done.stderr, (out / "checkpoint.safetensors").read_bytes()


def lost_reference():
    """train: a run on the CPU, to compare with"""
    train("sound", "cpu")


def lost(name, pattern):
    """train: the card's memory loses its contents, and the run ends with the same bits"""
    said, checkpoint = train(name, FIRST)
    says(said, "the card's memory lost its contents", pattern)
    assert checkpoint == pathlib.Path("/tmp/sound/checkpoint.safetensors").read_bytes(), "other bits"


STAGES = {
    "idle": [info, info_text, mode, mode_wrong, dma, dma_text, dma_wrong, top_wrong, conform_wrong, udev],
    "busy": [top],
    "vectors": [conform],
    "all-vectors": [conform_all],
    "raw": [raw],
    "raw-alone": [raw_alone],
    "raw-fault": [raw_fault],
    "sound": [lost_reference],
    "lost-at-once": [lambda: lost("at-once", r"the agent cannot be made[^$]*going on from step 0 \(loss 1 of")],
    "lost-early": [lambda: lost("early", r"going on from step 0 \(loss 1 of")],
    "lost-late": [lambda: lost("late", r"going on from the checkpoint of step 50 \(loss 1 of")],
    "without": [without_driver],
}

for stage in sys.argv[1:]:
    for function in STAGES[stage]:
        name = (function.__doc__ or f"{stage}: the card's memory loses its contents, and the run ends with the same bits").strip()
        try:
            function()
            print(f"RESULT ok {name}", flush=True)
        except Exception as error:  # one that is red must not hide the others
            print(f"RESULT FAILED {name}", flush=True)
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"WHY {line}", flush=True)
