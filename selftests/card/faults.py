# SPDX-License-Identifier: MIT
"""The emulated card's list of faults, asked of one that nobody uses."""

import json
import socket
import subprocess
import tempfile
import time


def listed(build):
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
