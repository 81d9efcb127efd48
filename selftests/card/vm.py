# SPDX-License-Identifier: MIT
"""For tests that have a part in the guest and a part here: the guest's output line by line, the cards' control sockets, and a way
to tell the guest to go on.

That way is a serial port of the guest, to which the number of each pause is written (selftests/card/guest.sh).
"""

import contextlib
import glob
import json
import os
import pathlib
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "selftests"))

from machine import debug_kernel, kernels, modules  # noqa: E402

BUILD = pathlib.Path(os.environ.get("FIXAR_BUILD") or SOURCE / "build").resolve()
SLOW = float(os.environ.get("FIXAR_SLOW") or 1)


# Kernels of a test: those that FIXAR_VM_KERNELS names, or the usual one, or with FIXAR_TEST_FULL=1 all.
FULL = os.environ.get("FIXAR_TEST_FULL") == "1"
KERNELS = os.environ.get("FIXAR_VM_KERNELS", "").split() or (list(kernels.SERIES) if FULL else [kernels.DEFAULT])


class Failed(Exception):
    pass


class Card:
    """The control socket of one emulated card."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")

    def ask(self, request):
        self.file.write(request + "\n")
        self.file.flush()
        answer = json.loads(self.file.readline())
        if not answer["ok"]:
            raise Failed(f"{request}: {answer.get('error')}")
        return answer

    def peek(self, address, count):
        return bytes.fromhex(self.ask(f"peek {address:#x} {count}")["bytes"])

    def poke(self, address, data):
        self.ask(f"poke {address:#x} {data.hex()}")


class Machine:
    """A guest that runs selftests/card/guest.sh with a script and its arguments."""

    def __init__(self, script, *arguments, kernel=None, options=(), timeout=3000):
        command = [str(SOURCE / "selftests/vm"), "run", "--timeout", str(timeout), *options]
        if kernel:
            command += ["--kernel", kernel]
        environment = dict(os.environ, FIXAR_BUILD=str(BUILD))
        chosen = debug_kernel.choose() if kernel == debug_kernel.SERIES else kernels.choose(kernel or kernels.DEFAULT)
        modules.fixar(chosen)
        self.release = chosen.release
        self.process = subprocess.Popen([*command, "--", "bash", str(SOURCE / "selftests/card/guest.sh"), str(BUILD), script,
                                         *map(str, arguments)], cwd=SOURCE, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.said, self.pauses, self.cards = queue.Queue(), [], 0, []
        threading.Thread(target=self.read, daemon=True).start()
        try:
            self.connect()
        except BaseException:
            self.process.terminate()
            raise

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def connect(self):
        limit = time.monotonic() + 300 * SLOW
        while len(self.cards) < 2:
            for folder in {tempfile.gettempdir(), "/tmp"}:
                paths = sorted(glob.glob(f"{folder}/fixar-vm-{self.process.pid}-*/card?.control"))
                if len(paths) < 2:
                    continue
                self.folder = os.path.dirname(paths[0])
                # The port comes with QEMU, which starts when both cards are there.
                self.port = socket.socket(socket.AF_UNIX)
                with contextlib.suppress(OSError):
                    self.port.connect(f"{self.folder}/in")
                    self.cards = [Card(path) for path in paths]
                    return
            if self.process.poll() is not None or time.monotonic() > limit:
                raise Failed("the machine did not start:\n" + "\n".join(self.rest()))
            time.sleep(0.1)

    def rest(self):
        while (line := self.lines.get(timeout=600 * SLOW)) is not None:
            self.said.append(line)
        return self.said[-40:]

    def until(self, word, seconds=1800, meanwhile=None):
        """The guest's next line that begins with `word`. `meanwhile` is called now and then."""
        limit = time.monotonic() + seconds * SLOW
        while True:
            if meanwhile:
                meanwhile()
            try:
                line = self.lines.get(timeout=0.05 if meanwhile else 1)
            except queue.Empty:
                if time.monotonic() > limit:
                    raise Failed(f"no \"{word}\" after:\n" + "\n".join(self.said[-40:])) from None
                continue
            if line is None:
                raise Failed(f"the guest ended without \"{word}\":\n" + "\n".join(self.said[-40:]))
            self.said.append(line)
            if line.startswith(word):
                return line

    def until_true(self, condition, seconds=600):
        """Until something that the cards are asked is so."""
        limit = time.monotonic() + seconds * SLOW
        while not condition():
            if time.monotonic() > limit or self.process.poll() is not None:
                raise Failed("what was waited for does not come:\n" + "\n".join(self.said[-40:]))
            time.sleep(0.05)

    def go_on(self, word=""):
        """Lets the guest go on from its next `pause`; `word` is in its variable `said` then."""
        self.pauses += 1
        self.port.sendall(f"{self.pauses} {word}\n".encode())

    def end(self):
        """The machine's exit status, and its last lines."""
        last = self.rest()
        return self.process.wait(600 * SLOW), last

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
