# SPDX-License-Identifier: MIT
"""Builds kernel modules of the tests, for any of the kernels, where that kernel's modules are built."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess

from machine import debug_kernel, root, sources
from machine.cards import program
from machine.common import SOURCE, Failure, cache, do, need_root


def folder(kernel, name):
    """Beside the emulator, where the guest sees it, too."""
    return program().parent.absolute() / "modules" / kernel.release / name


@contextlib.contextmanager
def alone(place):
    """Tests run side by side, and several want the driver: one of them makes it, the others wait."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(kernel, name, files, words=()):
    """Copies the files, one of which is a Kbuild, into a folder of the kernel and the module, and makes all modules there.

    A file is a path, or a pair of a path and the name of the copy (which may lie in a folder). Returns the folder.
    """
    headers = kernel.headers()
    if not headers:
        raise Failure(f"there are no headers of Linux {kernel.release}: run  selftests/vm provision")
    into = folder(kernel, name)
    command = ["make", "-C", str(headers), f"M={into}", *words, "modules"]
    # A make that runs this passes nothing of its own on.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CC")}
    if kernel.builder() == "root":
        need_root(f"building modules for Linux {kernel.release}")
        command = root.inside(command, [into, cache() / "kernels"], "/")
        environment.update(root.environment())
    # What was made by the same command of the same files is made: make would take some seconds to say so, for each machine that starts.
    made = into / "made-by"
    with alone(into):
        changed = not made.exists() or made.read_text() != repr(command)
        for file in files:
            source, copy = file if isinstance(file, tuple) else (file, pathlib.Path(file).name)
            target = into / copy
            target.parent.mkdir(parents=True, exist_ok=True)
            # What has not changed keeps its time, and is not compiled again.
            if not target.exists() or target.read_bytes() != pathlib.Path(source).read_bytes():
                made.unlink(missing_ok=True)
                shutil.copyfile(source, target)
                changed = True
        if not changed:
            return into
        made.unlink(missing_ok=True)
        do(command, f"building {name} for Linux {kernel.release}", 900, env=environment)
        made.write_text(repr(command))
    return into


def fixar(kernel, words=()):
    """The driver for a kernel: the path of fixar.ko. Without BTF, which takes longer than all the rest; for the debug kernel with
    KCOV's points, which say what the driver's callers have reached of its code."""
    files = [(SOURCE / "Kbuild", "Kbuild")]
    for place in ("driver", "driver/probes", "include/hw", "include/uapi/drm"):
        files += [(path, str(path.relative_to(SOURCE))) for path in sorted((SOURCE / place).glob("*.[ch]"))]
    if kernel.series() == debug_kernel.SERIES:
        words = ["KCOV_INSTRUMENT=y", *words]
    return build(kernel, "fixar", files, ["W=1", "CONFIG_DEBUG_INFO_BTF_MODULES=", *words]) / "fixar.ko"


def kselftests():
    """Builds the driver's kselftests, which need the harness of a kernel's source package. Their folder."""
    source = next(iter(sources.fetched("6.12")), None)
    if not source:
        raise Failure("there is no source of a kernel: run  selftests/vm provision")
    build = program().parent.absolute()
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    with alone(build / "selftests/driver"):
        subprocess.run(["make", "-s", "--no-print-directory", f"O={build}", "WERROR=-Werror",
                        f"KSELFTEST={source.folder}/tools/testing/selftests", "driver-tests"], cwd=SOURCE, env=environment, check=True)
    return build / "selftests/driver"
