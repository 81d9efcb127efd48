# SPDX-License-Identifier: MIT
"""Emulated cards: one server process each, plugged into the machine as PCIe functions behind root ports of their own."""

import json
import os
import pathlib
import socket
import subprocess
import time

from machine.common import SOURCE, Failure, slow, start

CARDS = 2  # the usual number: nothing in driver or library may rely on being the only one


def program():
    """fixar-emu of this build (selftests/run says which)."""
    return pathlib.Path(os.environ.get("FIXAR_BUILD") or SOURCE / "build") / "fixar-emu"


def usual_number():
    return CARDS if program().exists() else 0


def control(run, card):
    """The socket on which a card of a run is asked what it saw, and told what to do wrong."""
    return run / f"card{card}.control"


def ask(path, request):
    """One request, a line, and its answer, a line of JSON."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30 * slow())
        try:
            connection.connect(str(path))
            connection.sendall(request.encode() + b"\n")
            answer = connection.makefile().readline()
        except OSError as error:
            raise Failure(f"the emulated card does not answer on {path}: {error.strerror or error}") from None
    try:
        return json.loads(answer)
    except ValueError:
        raise Failure(f"the emulated card's answer to {request} is no JSON: {answer[:200]!r}") from None


def doubtful_acts(run, number):
    """What a careful driver would not have done to the cards, as lines for people."""
    lines = []
    for card in range(number):
        answer = ask(control(run, card), "strict")
        if not answer.get("ok"):
            raise Failure(f"card {card} does not say what it doubts: {answer.get('error')}")
        lines += [f"card {card}: {act['text']} ({act['count']} times)" for act in answer["strict"]]
        # It keeps a limited number of different ones.
        if answer["total"] and not answer["strict"]:
            lines.append(f"card {card}: {answer['total']} doubtful acts")
    return lines


def device(run, card):
    """What QEMU is told of a card, at its start or when a card is plugged in."""
    return {"driver": "vfio-user-pci", "id": f"card{card}", "bus": f"port{card}",
            "socket": {"type": "unix", "path": f"{run}/card{card}"}, "x-msg-timeout": 60000}


def serve(number, fault, options, run, processes):
    """Starts the servers and returns QEMU's arguments for them. The processes are appended as they start, so that the caller
    ends those that run also if one does not come up. Card 0 alone gets the fault and the options: the other is the innocent
    neighbour.
    """
    if not number:
        if fault or options:
            raise Failure(f"{'--fault' if fault else '--card-options'} needs a card")
        return []
    emulator = program()
    if not os.access(emulator, os.X_OK):
        raise Failure(f"there is no emulated card to plug in: {emulator} does not exist (run make; or --cards 0)")
    arguments = []
    for card in range(number):
        place = run / f"card{card}"
        command = [str(emulator), "--socket", str(place), "--control", str(control(run, card))]
        if card == 0:
            command += [*(["--fault", fault] if fault else []), *(options or "").split()]
        with open(f"{place}.log", "wb") as log:
            server = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        processes.append(server)
        limit = time.monotonic() + 30 * slow()
        while not place.exists():
            if server.poll() is not None or time.monotonic() > limit:
                said = pathlib.Path(f"{place}.log").read_text(errors="replace").splitlines()[-10:]
                raise Failure("\n".join([f"card {card} does not come up (exit status {server.poll()})"] + said))
            time.sleep(0.02)
        arguments += ["-device", f"pcie-root-port,id=port{card},slot={card + 1},chassis={card + 1}",
                      "-device", json.dumps(device(run, card))]
    return arguments
