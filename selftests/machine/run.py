# SPDX-License-Identifier: MIT
"""One run: boots, passes the command's output on as it comes, judges what the kernel said, and leaves nothing behind."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

from machine import cards, initramfs, ktap, qemu
from machine.common import SOURCE, Failure, cache, end, say, slow, start
from machine.kernel_log import Log

# Exit statuses of our own, after timeout(1)'s; all others are the command's.
COMPLAINED = 120  # the kernel log has lines that a sound kernel does not print
DIED = 121  # the guest ended before the command did
DOUBTED = 122  # a card saw what a careful driver does not do (--strict)
TIMED_OUT = 124
NOT_STARTED = 125

BOOT_LIMIT = 600  # seconds until the guest's programs run: some 10 on an idle machine, 100 on a busy one
END_LIMIT = 180  # from the command's end to the machine's
INTERVAL = 0.05  # between two looks at the guest's output


class Interrupted(Exception):
    pass


def on_signals():
    """Signals become exceptions, so that what was started is ended on the way out."""
    def raise_it(number, _frame):
        raise Interrupted(number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, raise_it)


class Follower:
    """Copies what is appended to a file to a descriptor; keeps the text if asked to."""

    def __init__(self, path, descriptor=None):
        path.touch()
        self.file = open(path, "rb")
        self.descriptor = descriptor
        self.kept = bytearray()

    def look(self):
        while True:
            data = self.file.read(1 << 20)
            if not data:
                return
            # Test results are what is kept for; gigabytes of output are passed on, not kept.
            if len(self.kept) < 64 << 20:
                self.kept += data
            while data and self.descriptor is not None:
                data = data[os.write(self.descriptor, data):]

    def text(self):
        return self.kept.decode(errors="replace")


@contextlib.contextmanager
def run_folder():
    """A folder of one run's own: sockets, initramfs, logs."""
    base = pathlib.Path(tempfile.gettempdir())
    # A socket's path is at most 107 bytes long.
    if len(str(base)) > 60:
        base = pathlib.Path("/tmp")
    # What runs that were killed could not take away.
    for folder in base.glob("fixar-vm-*-*"):
        if not pathlib.Path("/proc", folder.name.split("-")[2]).exists():
            shutil.rmtree(folder, ignore_errors=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"fixar-vm-{os.getpid()}-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def terminal():
    """Each key goes to the guest's shell, Ctrl-C too. The settings come back afterwards."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(0)
    try:
        # QEMU makes the terminal raw itself.
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)


class Status:
    """What the guest's first program said on its port."""

    def __init__(self, text):
        self.uname = self.code = None
        self.running = False
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word == "uname":
                self.uname = rest
            elif word == "running":
                self.running = True
            elif word == "exit" and rest.isdigit():
                self.code = int(rest)


class Session:
    def __init__(self, kernel, options, command, shell=False):
        self.kernel, self.options, self.command, self.shell = kernel, options, command, shell
        self.processes = []
        self.ended_by = None  # a sentence, if the command did not end by itself

    def run(self):
        # QEMU last, so that a card does not vanish from under it.
        with run_folder() as folder:
            try:
                return self.in_folder(folder)
            finally:
                for process in reversed(self.processes):
                    end(process)
                if self.options.log and (folder / "console").exists():
                    shutil.copyfile(folder / "console", self.options.log)

    def in_folder(self, folder):
        options, began = self.options, time.monotonic()
        number = cards.usual_number() if options.cards is None else options.cards
        binary = qemu.find(cards=number > 0)
        directory = pathlib.Path.cwd()
        keep = [str(path) for path in (SOURCE, directory, cache(), cards.program().parent.absolute())]
        initramfs.for_run(self.kernel, options.iommu, self.command, directory, keep, self.shell, folder / "initramfs")
        devices = cards.serve(number, options.fault, options.card_options, folder, self.processes)
        line = qemu.command_line(binary, self.kernel, folder, options.memory, options.cpus, options.iommu, options.append,
                                 self.shell, devices)
        followers = [Follower(folder / "out", 1), Follower(folder / "err", 2), Follower(folder / "status")]
        if self.shell:
            # In this program's process group, which has the terminal.
            machine = start(line, group=False, env=binary.environment)
        else:
            with open(folder / "qemu", "wb") as said:
                machine = start(line, env=binary.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.processes.append(machine)
        with terminal():
            self.watch(machine, followers)
        status = Status(followers[2].text())
        console = folder / "console"
        log = Log(console.read_text(errors="replace") if console.exists() else "")
        return self.judge(status, log, followers[0].text(), folder, machine, number, time.monotonic() - began)

    def watch(self, machine, followers):
        """Until QEMU ends or a limit is reached."""
        began = time.monotonic()
        phase, limit = "boot", began + BOOT_LIMIT * slow()
        while True:
            ended = machine.poll() is not None
            for follower in followers:
                follower.look()
            if ended:
                return
            status = Status(followers[2].text())
            if phase == "boot" and status.running:
                phase = "command"
                limit = None if self.shell else time.monotonic() + self.options.timeout * slow()
            if phase == "command" and status.code is not None:
                phase, limit = "end", time.monotonic() + END_LIMIT * slow()
            if limit is not None and time.monotonic() > limit:
                if phase == "command":
                    self.ended_by = f"the command did not end within {self.options.timeout * slow():g} s"
                elif phase == "boot":
                    self.ended_by = f"the guest did not boot within {BOOT_LIMIT * slow():g} s"
                else:
                    self.ended_by = "the guest did not switch itself off"
                end(machine)
                for follower in followers:
                    follower.look()
                return
            time.sleep(INTERVAL)

    def judge(self, status, log, text, folder, machine, number, seconds):
        """Says what there is to say and returns the exit status."""
        options = self.options
        problems, code = [], status.code
        said = folder / "qemu"
        qemu_said = [f"    QEMU: {line}" for line in said.read_text(errors="replace").splitlines()[-10:]] if said.exists() else []
        if not status.running:
            problems += [self.ended_by or f"the guest did not boot (QEMU's exit status {machine.returncode})", *qemu_said]
            code = NOT_STARTED
        elif self.ended_by and status.code is None:
            problems.append(self.ended_by)
            code = TIMED_OUT
        elif status.code is None:
            problems += [f"the guest ended before the command did (QEMU's exit status {machine.returncode})", *qemu_said]
            code = DIED
        elif self.ended_by or not log.complete or not log.scanned:
            problems.append(self.ended_by or "the end of the kernel log is missing")
            code = DIED
        excerpts = log.excerpts()
        if problems and log.lines[-1:] != excerpts[-1:]:
            problems += ["the last lines of the console:"] + ["    | " + line for line in log.last()]
        if log.complaints:
            count = len(log.complaints)
            problems.append(f"the kernel log has {count} line{'s' * (count > 1)} that a sound kernel does not print"
                            + (f"; the command itself ended with {status.code}:" if status.code is not None else ":"))
            problems += ["    | " + line for line in excerpts]
            # A limit or a death says more than that the kernel complained about it.
            if code == status.code:
                code = COMPLAINED
        if options.strict:
            try:
                doubts = cards.doubtful_acts(folder, number)
            except Failure as failure:
                doubts = str(failure).splitlines()
            if doubts:
                problems.append("the cards saw what a careful driver does not do:")
                problems += ["    | " + line for line in doubts]
                if code == status.code:
                    code = DOUBTED
        if status.code == 127 and code == 127:
            problems.append(f"the guest has no command {self.command[0]} (it sees this machine's files)")
        for line in problems:
            say(line)
        passed, failed, skipped = ktap.count(text)
        say(f"{self.kernel.release}: {status.uname or 'not booted'}")
        say(f"{self.kernel.release}: {number} cards, tests run {passed + failed}, failed {failed}, skipped {skipped}, "
            f"log lines scanned {log.scanned}, exit status {code}, {seconds:.0f} s")
        return code
