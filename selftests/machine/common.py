# SPDX-License-Identifier: MIT
"""What every part of the machine needs: errors for people, the cache, locks, and commands that cannot hang."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
MACHINE = SOURCE / "selftests/machine"


class Failure(Exception):
    """Something that a person can do something about: printed without a trace."""


def say(text):
    # Nobody may be left to read it; that is no reason to leave something running.
    with contextlib.suppress(OSError):
        print(f"vm: {text}", file=sys.stderr, flush=True)


def cache():
    """The folder of everything that is fetched. Outside the tree, so that it survives `make clean` and a fresh checkout."""
    chosen = os.environ.get("FIXAR_VM_CACHE")
    if chosen:
        return pathlib.Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "fixar" / "vm"


def slow():
    """Factor for all time limits: FIXAR_SLOW, which selftests/run sets too."""
    try:
        return max(float(os.environ.get("FIXAR_SLOW") or 1), 0.01)
    except ValueError:
        raise Failure(f"FIXAR_SLOW is not a number: {os.environ['FIXAR_SLOW']}") from None


def as_numbers(release):
    """A key that sorts 6.12.9 before 6.12.117."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", release)]


@contextlib.contextmanager
def locked(name):
    """Two programs never provision the same cache at once. The lock goes with the process, however that ends."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another provisioning to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def with_parent():
    """Between fork and exec of a child: it is killed when this program dies, even by SIGKILL."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, group=True, **options):
    """A child that leads a process group of its own and does not outlive this program."""
    return subprocess.Popen(command, preexec_fn=with_parent, start_new_session=group, **options)


def end(process, patience=2.0):
    """Ends a child, and its whole group if it leads one (as those of start() do)."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            process.send_signal(number)
        try:
            process.wait(patience * slow())
        except subprocess.TimeoutExpired:
            continue
    process.wait()


HINTS = [
    (r"No space left on device|You don't have enough free space", "there is no space left on the disk"),
    (r"Could not resolve|Temporary failure (in name )?resol|Could not connect|Network is unreachable|Connection timed out"
     r"|Failed to fetch|Failed getting release|Invalid Release file|Couldn't download",
     "the Debian mirror of this machine's apt configuration cannot be reached"),
    (r"Unable to locate package|Couldn't find any package", "this machine's apt sources do not have the package"),
    (r"Operation not permitted|Permission denied", "this needs more rights (root, outside a locked-down container)"),
]


def do(command, what, limit, **options):
    """Runs one step of provisioning. Its output goes to a log, of which the end is shown if it fails."""
    log = cache() / "log" / (re.sub(r"\W+", "-", what) + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    if not shutil.which(command[0]):
        raise Failure(f"{what}: there is no program {command[0]} on this machine")
    began = time.monotonic()
    say(f"{what} ...")
    with open(log, "wb") as output:
        process = start(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            status = process.wait(limit * slow())
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process)
    if status == 0:
        say(f"{what}: done in {time.monotonic() - began:.0f} s")
        return
    lines = log.read_text(errors="replace").splitlines()
    hint = next((f": {hint}" for pattern, hint in HINTS if any(re.search(pattern, line) for line in lines)), "")
    why = f"exit status {status}" if status is not None else f"stopped after {limit * slow():.0f} s"
    raise Failure("\n".join([f"{what} failed{hint} ({why}; all of it: {log})"] + ["    " + line for line in lines[-12:]]))


def output(command, **options):
    """The output of a short command; empty if it fails."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=120 * slow(), text=True, errors="replace", **options).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def need_space(gigabytes):
    """Before something large is fetched."""
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Failure(f"{folder} has {free:.1f} GB left, and {gigabytes:.1f} GB are needed; FIXAR_VM_CACHE names another folder")


def need_root(what):
    if os.geteuid() != 0:
        raise Failure(f"{what} needs root: run it once with sudo (sudo -E keeps FIXAR_VM_CACHE and XDG_CACHE_HOME)")
