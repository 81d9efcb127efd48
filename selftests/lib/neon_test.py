#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: the NEON engine gives the bits of the others: the core's tests, built for 64-bit ARM, on an emulated processor

The programs are those of `make core-tests` in FIXAR_BUILD/aarch64; on 64-bit ARM itself they run without an emulator.
"""

import os
import pathlib
import platform
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("FIXAR_BUILD", SOURCE / "build"))
PROGRAMS = BUILD / "aarch64/core"
EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")


def skip(reason):
    print(f"KTAP version 1\n1..0 # SKIP neon: {reason}")
    return 4


def run(number, program, emulator):
    """Shows a program's results as nested ones; whether it passed."""
    environment = dict(os.environ, FIXAR_GOLDEN=str(SOURCE / "selftests/lib/golden"))
    result = subprocess.run([*emulator, str(program)], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    for line in result.stdout.splitlines():
        print("    " + line)
    # A run without the engine in question would prove nothing.
    seen = any(line.startswith("ok ") and "neon" in line for line in result.stdout.splitlines())
    passed = result.returncode == 0 and seen
    print(f"{'ok' if passed else 'not ok'} {number} {program.name}, neon, {'emulated' if emulator else 'native'}", flush=True)
    if not passed:
        print(f"# exit status {result.returncode}, results of the engine neon: {'some' if seen else 'none'}")
    return passed


def main():
    emulator = []
    if platform.machine() != "aarch64":
        found = [path for path in map(shutil.which, EMULATORS) if path]
        if not found:
            return skip("there is no emulator (Debian: qemu-user-static or qemu-user)")
        emulator = found[:1]
    programs = sorted(path for path in PROGRAMS.glob("*_test") if os.access(path, os.X_OK))
    if not programs:
        return skip(f"the tests were not built in {PROGRAMS}")
    print(f"KTAP version 1\n1..{len(programs)}")
    return 0 if all([run(i + 1, program, emulator) for i, program in enumerate(programs)]) else 1


if __name__ == "__main__":
    sys.exit(main())
