# SPDX-License-Identifier: MIT
"""The emulated card's list of faults, asked of one that nobody uses; and what each is expected to lead to."""

import json
import socket
import subprocess
import tempfile
import time

# What leads to a state only together with another fault: nobody soft-resets a sound core.
TOGETHER = {"core-reset-stuck": ["core-stall"]}
# The card is lost, whatever its list says about how it comes back.
GONE = {"cattrip", "removal-access", "removal-transfer", "removal-interrupt"}
LOST = {"memory-epoch", "memory-epoch-silent"}

# These strike when the driver looks for the card: a line that the log must have, and whether the driver takes the card
# nevertheless.
AT_PROBE = {
    "identity-magic": ("no FIXAR core that this driver knows: magic 0x12345678", False),
    "identity-version": ("no FIXAR core that this driver knows: magic 0x52584946, version 0x00020000", False),
    # Programs compare the schema with their own: the driver moves bytes of any.
    "identity-schema": ("", True),
    "identity-xdma": ("no XDMA registers: identifiers 0x12345678", False),
    "cms-dead": ("the card management controller does not answer: no sensors", True),
}

# The same after a bus reset: the card comes back as another one, and is given up.
AFTER_RESET = ["identity-magic", "identity-version", "identity-schema", "identity-xdma"]
RESET = ["core-stall", "core-reset-stuck"]  # leads to one

# The driver's names of the rungs that the card documents.
RUNGS = {"poll": "poll", "resume": "resume", "channel-stop": "channel", "soft-reset": "core", "bus-reset": "bus"}


def listed(build):
    """All faults, those of a card with ECC memory included."""
    with tempfile.TemporaryDirectory() as folder:
        card = subprocess.Popen([f"{build}/fixar-emu", "--socket", f"{folder}/card", "--control", f"{folder}/control"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            connection = socket.socket(socket.AF_UNIX)
            for _ in range(600):
                try:
                    connection.connect(f"{folder}/control")
                    break
                except OSError:
                    time.sleep(0.05)
            file = connection.makefile("rw")
            file.write("faults\n")
            file.flush()
            return json.loads(file.readline())["faults"]
        finally:
            card.terminate()
            card.wait()


def rows(listed):
    """The rows of the table: pairs of a fault, as the card lists it, and the names of all that are armed for it."""
    by_name = {fault["name"]: fault for fault in listed}
    return [*((fault, [*TOGETHER.get(name, []), name]) for name, fault in by_name.items()),
            *((dict(by_name[name], name=f"{name}-after-reset", meaning=f"after a bus reset: {by_name[name]['meaning']}"), [*RESET, name])
              for name in AFTER_RESET)]


def judge(fault, row, sound):
    """Everything that is wrong with a row of recovery_test.py. `sound`: the clients of a run without a fault."""
    name, wrong = fault["name"], []
    if not row.struck:
        wrong.append("the fault did not strike")
    if row.others:
        wrong.append("the other card was disturbed: " + row.others[0])
    if name in AT_PROBE:
        return wrong + judge_probe(name, row)
    if len(row.clients) != 3:
        return wrong + [f"{len(row.clients)} clients came to an end"]
    broken = row.broken()
    for client, expected in zip(row.clients, sound):
        if client not in broken and client["crc"] != expected["crc"]:
            wrong.append(f"a client has {client['crc']} instead of {expected['crc']}")
    if name in GONE or name.endswith("-after-reset"):
        if not broken or any(client["state"] != "gone" for client in broken):
            wrong.append("the card was not given up for all clients")
        if row.rungs[-1:] != ["unplug"]:
            wrong.append("no unplug")
    elif name in LOST:
        if any(client["state"] != "2" for client in broken) or not broken:
            wrong.append("no context is lost")
    else:
        wrong += judge_survived(fault, row, broken)
    # One lost interrupt is found once. Were the core's line left up, all behind it would be lost, too.
    if row.rungs.count("poll") > 1:
        wrong.append(f"{row.rungs.count('poll')} interrupts were lost")
    return wrong


def judge_survived(fault, row, broken):
    wrong = []
    if len(broken) > 1:
        wrong.append(f"{len(broken)} clients failed")
    for client in broken:
        if client["state"] != "1" or client["fault"] == "0":
            wrong.append("a client failed and was not told why")
    rung = RUNGS.get(fault["rung"])
    if rung and rung not in row.rungs:
        wrong.append(f"the driver did not take the rung {rung}")
    if fault["rung"] == "none" and row.rungs:
        wrong.append("a rung was taken for nothing")
    if "unplug" in row.rungs:
        wrong.append("the card was given up")
    # A channel that an error has ended is not stopped once more.
    told = ("resume", "soft-reset", "bus-reset") + (("channel-stop",) if fault["type"] == "state" else ())
    if fault["rung"] in told and fault["rung"] not in row.events:
        wrong.append(f"the card saw no {fault['rung']}")
    return wrong


def judge_probe(name, row):
    wrong = []
    line, bound = AT_PROBE[name]
    if line and not any(line in said for said in row.log):
        wrong.append(f"the log does not say \"{line}\"")
    if row.probe.get("bound") != str(int(bound)) or row.probe.get("node") != str(int(bound)):
        wrong.append("the driver took the card" if not bound else "the driver did not take the card")
    if bound and (row.probe.get("sensors") == "0") != (name == "cms-dead"):
        wrong.append("no sensors" if name != "cms-dead" else "sensors of a dead controller")
    if name == "identity-schema" and not any("schema" in said for said in row.said):
        wrong.append("a program does not refuse arenas of another schema")
    if row.rungs:
        wrong.append("a rung was taken for nothing")
    return wrong
