# SPDX-License-Identifier: MIT
"""Emulated cards: one server process each, plugged into the machine as PCIe functions behind root ports of their own."""

import json
import os
import pathlib
import subprocess
import time

from machine.common import SOURCE, Failure, slow, start

CARDS = 2  # the usual number: nothing in driver or library may rely on being the only one


def program():
    """fixar-emu of this build (selftests/run says which)."""
    return pathlib.Path(os.environ.get("FIXAR_BUILD") or SOURCE / "build") / "fixar-emu"


def usual_number():
    return CARDS if program().exists() else 0


def serve(number, fault, run, processes):
    """Starts the servers and returns QEMU's arguments for them. The processes are appended as they start, so that the caller
    ends those that run also if one does not come up. Card 0 alone gets the fault: the other is the innocent neighbour.
    """
    if not number:
        if fault:
            raise Failure("--fault needs a card")
        return []
    emulator = program()
    if not os.access(emulator, os.X_OK):
        raise Failure(f"there is no emulated card to plug in: {emulator} does not exist (run make; or --cards 0)")
    arguments = []
    for card in range(number):
        socket = run / f"card{card}"
        command = [str(emulator), "--socket", str(socket), "--control", f"{socket}.control"]
        if fault and card == 0:
            command += ["--fault", fault]
        with open(f"{socket}.log", "wb") as log:
            server = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        processes.append(server)
        limit = time.monotonic() + 30 * slow()
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > limit:
                said = pathlib.Path(f"{socket}.log").read_text(errors="replace").splitlines()[-10:]
                raise Failure("\n".join([f"card {card} does not come up (exit status {server.poll()})"] + said))
            time.sleep(0.02)
        device = {"driver": "vfio-user-pci", "id": f"card{card}", "bus": f"port{card}",
                  "socket": {"type": "unix", "path": str(socket)}, "x-msg-timeout": 60000}
        arguments += ["-device", f"pcie-root-port,id=port{card},slot={card + 1},chassis={card + 1}",
                      "-device", json.dumps(device)]
    return arguments
