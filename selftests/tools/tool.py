# SPDX-License-Identifier: MIT
"""What the tests of the tool share: starting it, and KTAP output.

selftests/run starts every *_test.py here with FIXAR_BUILD (the folder of the build) and a TMPDIR of its own.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("FIXAR_BUILD", SOURCE / "build"))
FIXAR = BUILD / "fixar"
PLUGINS = BUILD
SLOW = float(os.environ.get("FIXAR_SLOW", 1))  # factor for time limits (selftests/run --slow)

# A run that takes a second or two: small networks, checkpoints often.
SMALL = ["--hidden", "24,16", "--batch", "16", "--warm-up", "200", "--checkpoint-every", "150", "--threads", "1"]


class Tests:
    """Runs functions as tests, in KTAP."""

    def __init__(self):
        self.count = self.failed = self.skipped = 0
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fixar-tool-"))
        print("KTAP version 1", flush=True)

    def run(self, function, *arguments, name=None):
        """A test passes if it returns; an AssertionError says what was wrong, Skip why it cannot be done here."""
        self.count += 1
        name = name or function.__doc__.splitlines()[0].rstrip(".")
        try:
            function(*arguments)
        except Skip as reason:
            self.skipped += 1
            print(f"ok {self.count} {name} # SKIP {reason}", flush=True)
            return
        except Exception as error:  # anything that a test does not expect is its failure
            self.failed += 1
            for line in f"{type(error).__name__}: {error}".splitlines():
                print("# " + line)
            print(f"not ok {self.count} {name}", flush=True)
            return
        print(f"ok {self.count} {name}", flush=True)

    def finish(self):
        print(f"1..{self.count}")
        shutil.rmtree(self.folder, ignore_errors=True)
        sys.exit(1 if self.failed else 4 if self.skipped == self.count else 0)


class Skip(Exception):
    pass


def environment(**changes):
    """The process environment of the tool, without what a developer may have set; None takes a variable away."""
    values = {key: value for key, value in os.environ.items() if not key.startswith("FIXAR_")}
    values["FIXAR_PLUGIN_DIR"] = str(PLUGINS)
    for key, value in changes.items():
        values.pop(key, None)
        if value is not None:
            values[key] = str(value)
    return values


def fixar(*arguments, code=0, cwd=None, env=None, timeout=100, **options):
    """Runs the tool to its end; its exit code must be `code` (None: any)."""
    done = subprocess.run([str(FIXAR), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=timeout * SLOW,
                          env=env or environment(), stdin=subprocess.DEVNULL, **options)
    if code is not None and done.returncode != code:
        raise AssertionError(f"fixar {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {code}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def start(*arguments, cwd=None, env=None, **options):
    """Starts the tool in the background, silent."""
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    return subprocess.Popen([str(FIXAR), *map(str, arguments)], cwd=cwd, env=env or environment(),
                            stdin=subprocess.DEVNULL, **options)


def says(text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text):
            raise AssertionError(f"no \"{pattern}\" in:\n{text}")


def same(a, b, what="files"):
    if pathlib.Path(a).read_bytes() != pathlib.Path(b).read_bytes():
        raise AssertionError(f"{what} differ: {a} and {b}")


def same_checkpoint(a, b):
    same(pathlib.Path(a) / "checkpoint.safetensors", pathlib.Path(b) / "checkpoint.safetensors", "checkpoints")


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds * SLOW
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def deterministic_rows(directory):
    """metrics.csv without the speeds."""
    lines = (pathlib.Path(directory) / "metrics.csv").read_text().splitlines()
    speed = lines[0].split(",").index("steps_per_second")
    return [[cell for i, cell in enumerate(line.split(",")) if i != speed] for line in lines]


__all__ = [name for name in dir() if not name.startswith("_")]
