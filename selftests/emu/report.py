# SPDX-License-Identifier: MIT
"""KTAP for the tests of the emulated card, and comparisons that collect what is wrong instead of ending at the first."""

import os
import sys
import time
import traceback

SLOW = float(os.environ.get("FIXAR_SLOW", "1"))


def words(value):
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)


class Report:
    """A test is a function; its first line of documentation is its name. expect() and check() note failures and go on."""

    def __init__(self):
        self.count = self.failed = 0
        self.complaints = []
        self.only = sys.argv[1:]  # words: only tests whose names hold one of them
        print("KTAP version 1", flush=True)

    def expect(self, got, wanted, what):
        if got != wanted:
            self.complaints.append(f"{what}: {words(got)}, where {words(wanted)} is right")
        return got == wanted

    def check(self, good, what):
        if not good:
            self.complaints.append(what)
        return good

    def same_bytes(self, got, wanted, what):
        if bytes(got) == bytes(wanted):
            return True
        if len(got) != len(wanted):
            self.complaints.append(f"{what}: {len(got)} bytes instead of {len(wanted)}")
            return False
        wrong = [i for i in range(len(wanted)) if got[i] != wanted[i]]
        first = wrong[0]
        self.complaints.append(f"{what}: {len(wrong)} bytes differ, from {first:#x} to {wrong[-1]:#x}; "
                               f"{bytes(got[first:first + 8]).hex()} instead of {bytes(wanted[first:first + 8]).hex()}")
        return False

    def run(self, function, *arguments, name=None):
        name = name or function.__doc__.splitlines()[0].rstrip(".")
        if self.only and not any(word in name for word in self.only):
            return
        self.count += 1
        self.complaints = []
        start = time.monotonic()
        try:
            function(*arguments)
        except Exception as error:  # whatever a test does not expect is its failure
            place = traceback.extract_tb(error.__traceback__)
            lines = [f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in place[1:]]
            self.complaints.append(f"{type(error).__name__}: {error} ({' '.join(lines)})")
        self.failed += bool(self.complaints)
        print(f"{'not ok' if self.complaints else 'ok'} {self.count} {name}")
        for line in self.complaints[:12]:
            print("#   " + line)
        if len(self.complaints) > 12:
            print(f"#   and {len(self.complaints) - 12} more")
        if self.only:
            print(f"# {time.monotonic() - start:.2f} s")
        sys.stdout.flush()

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed or not self.count else 0)


report = Report()
expect, check, same_bytes, run, finish = report.expect, report.check, report.same_bytes, report.run, report.finish


def wait(condition, what, seconds=10.0):
    """Waits until the condition holds; looking is what lets the client answer the card's own messages."""
    limit = time.monotonic() + seconds * SLOW
    pause = 0.0
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise TimeoutError(what)
        time.sleep(pause)
        pause = min(pause + 0.0002, 0.005)
