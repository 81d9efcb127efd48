#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Engines that the kernel refuses: AMX without permission for the state of its tiles (a seccomp filter refuses it here)."""

import ctypes
import errno
import json
import platform
import struct

from tool import *

ARCH_PRCTL, ARCH_REQ_XCOMP_PERM = 158, 0x1023
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
AUDIT_ARCH_X86_64 = 0xC000003E
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: a word of struct seccomp_data; jump if equal; return


def engines(**options):
    return json.loads(fixar("info", "--json", **options).stdout)


def refusal(error):
    """For preexec_fn: from now on arch_prctl(ARCH_REQ_XCOMP_PERM) fails with this error, and nothing else does."""
    libc = ctypes.CDLL(None, use_errno=True)
    # struct seccomp_data: number of the call, architecture, address, then the arguments, of 8 bytes each.
    program = [(LOAD, 0, 0, 4), (EQUAL, 0, 5, AUDIT_ARCH_X86_64),
               (LOAD, 0, 0, 0), (EQUAL, 0, 3, ARCH_PRCTL),
               (LOAD, 0, 0, 16), (EQUAL, 0, 1, ARCH_REQ_XCOMP_PERM),
               (RETURN, 0, 0, SECCOMP_RET_ERRNO | error), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filter = Filter(len(program), ctypes.addressof(code))

    def apply():
        for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter), 0, 0)):
            if libc.prctl(*arguments):
                raise OSError(ctypes.get_errno(), f"prctl({arguments[0]})")
    apply.keep = code, filter
    return apply


def refused(error, words):
    if platform.machine() != "x86_64" or "amx" not in engines()["engines"]:
        raise Skip("this processor has no amx")
    without = {"preexec_fn": refusal(error)}
    info = engines(**without)
    assert info["engines"][:2] == ["avx512", "avx2"] and "avx512" in info["device"], info
    says(fixar("info", **without).stdout, r"engines +avx512 \(chosen\) avx2 scalar")
    complaint = rf'this processor has "amx", but the kernel does not let .*ARCH_REQ_XCOMP_PERM: {words}'
    folder = tests.folder / f"run-{error}"
    says(fixar("train", "pendulum", "--engine", "amx", "--out", folder, code=1, **without).stderr, complaint)
    assert not folder.exists(), "a directory was made"
    says(fixar("bench", "--engine", "amx", "-p", "fixed32", code=1, **without).stderr, complaint)
    says(fixar("bench", "--kernels", "--engine", "amx", code=1, **without).stderr, complaint)
    fixar("train", "pendulum", *SMALL, "--steps", "220", "--quiet", "--out", folder, **without)


def never_loaded():
    """Where the kernel refuses tiles, none is touched: a run with the engine that it chooses has the same bits."""
    if platform.machine() != "x86_64" or "amx" not in engines()["engines"]:
        raise Skip("this processor has no amx")
    arguments = ["train", "pendulum", *SMALL, "--steps", "300", "--quiet", "--out"]
    fixar(*arguments, tests.folder / "with")
    fixar(*arguments, tests.folder / "without", preexec_fn=refusal(errno.EPERM))
    with_tiles, without = ((tests.folder / name / "checkpoint.safetensors").read_bytes() for name in ("with", "without"))
    assert with_tiles == without


tests = Tests()
for error, words in ((errno.EPERM, "Operation not permitted"), (errno.ENOSYS, "Function not implemented"),
                     (errno.EOPNOTSUPP, "Operation not supported")):
    tests.run(refused, error, words, name=f"AMX that the kernel refuses with {errno.errorcode[error]}: avx512 is chosen, amx refused")
tests.run(never_loaded)
tests.finish()
