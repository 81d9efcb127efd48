#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Description: nothing that computes for a device uses floating point: the objects of the core, disassembled

    selftests/lib/integer_only_test.py [BUILD]...

Looks at the objects of lib/fx, lib/pe, lib/nn and lib/step in the folders of builds (default: FIXAR_BUILD, else build, and
the folder aarch64 in it). What is allowed is listed, so that an instruction this file does not know fails:

* an instruction with a vector register: integer arithmetic, bit logic and moves of bits by name, whatever the compiler makes
  of integer code. Scalar moves of doubles and floats (movsd, movss) are not among them, but for those between two registers,
  with which compilers put lanes of integers together;
* no conversion, comparison or x87 instruction, wherever its operands lie;
* a call to a function outside of these folders: by name. Software floating point and the mathematical library are not.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ("fx", "pe", "nn", "step")

# External functions and data that the core may refer to. The __*ti3 are integers of 128 bits, the __aarch64_* atomics.
EXTERNAL = re.compile(r"""_GLOBAL_OFFSET_TABLE_ | __cpu_model | __cpu_indicator_init | __cpu_features2 | __stack_chk_(fail|guard)
    | mem(cpy|move|set|cmp) | str(cmp|len) | v?snprintf | (c|m)alloc | aligned_alloc | free | syscall
    | __errno_location | pthread_(create|join|(mutex|cond)_(init|destroy)|mutex_(un)?lock|cond_(wait|signal|broadcast))
    | __u?(div|mod)ti3 | __multi3 | __(ash[lr]|lshr)ti3 | __aarch64_(cas|ldadd|swp|ldset)[1248]_(relax|acq|rel|acq_rel)
    | (fx|pe|nn|step)_[a-z0-9_]+""", re.X)


class X86:
    name, objdump = "x86-64", ("objdump",)
    prefixes = set("lock rep repz repnz repe repne notrack bnd cs ds es ss fs gs data16 addr32".split())
    vector = re.compile(r"%[txyz]mm\d|%k[0-7]|%mm[0-7]|%st\b")
    allowed = re.compile(r"""v?p(abs|ackss|ackus|add|align|and|avg|blend|broadcast|cmpeq|cmpgt|extr|hadd|hsub|insr|madd|max|min
        |movmsk|mov[sz]x|mul|or|sad|shuf|sign|sll|sra|srl|sub|test|unpck|xor)[a-z0-9]* | vperm(d|q|2i128)
        | v?mov([au]p[sd]|dq[au]|[dq]|[hl]p[sd]|hlps|lhps|mskp[sd]|ntdq)
        | v?(and|andn|or|xor)p[sd] | v?blendv?p[sd] | v?shufp[sd] | v?unpck[lh]p[sd]
        | vbroadcast(ss|sd|[fi]128) | v(insert|extract|perm2)[fi]128 | vpermil?p[sd] | vzero(upper|all)
        | vmovdq[au](8|16|32|64) | v(broadcast|extract|insert|shuf)[fi](32|64)x[248] | valign[dq] | vperm[it]2[bwdq]
        | vpdpwssd | v?insertps | tdpb(ss|su|us|uu)d | tile(loadd|stored|zero) | vp(gather|scatter)qd | vp(mov[a-z0-9]+|cmp[a-z]+|ternlog[dq]|lzcnt[dq]|popcnt[bwdq]|ro[lr]v?[dq]) | k(mov|and|andn|or|xor|xnor|not|test|ortest|add
        |shiftl|shiftr|unpck)[bwdq]+""", re.X)
    # Also without a vector register: cvttsd2si (%rax),%eax
    branch = re.compile(r"j.*|call")
    forbidden = re.compile(r"f.*|wait|v?cvt.*|v?u?comis.*|emms|femms|pf.*|pi2f.*|\(bad\)|\.byte")


class Arm:
    name, objdump = "aarch64", ("aarch64-linux-gnu-objdump", "objdump")
    prefixes = set()
    vector = re.compile(r"\b[vqdshb]\d+\b")
    # fmov moves bits between registers; all others that begin with f compute.
    allowed = re.compile(r"""ldr|ldur|ldp|ld[1-4]r?|str|stur|stp|st[1-4]|fmov|u?mov|smov|movi|mvni|ins|dup
        | [su]?(add|sub|neg|abs)(v|p|l|lp|lv|w|hn)?2? | [su]q?(add|sub) | addp | sqxtu?n2? | uqxtn2? | xtn2? | [su]xtl2?
        | [su]?ml[as]l?2? | [su]?mull?2? | sqdmull?2?
        | [su]?(min|max)[vp]? | and|orr|orn|eor|bic|not|mvn|bsl|bit|bif | cm(eq|ge|gt|hi|hs|le|lt|tst) | clz|cls|cnt|rev(16|32|64)|rbit
        | [su]q?r?sh(l|r|ll|ll2) | shll?2? | [su]r?sra | r?shrn2? | sli|sri | (zip|uzp|trn)[12] | ext | tb[lx]""", re.X)
    branch = re.compile(r"b|bl|b\..*|[ct]bn?z")
    forbidden = re.compile(r"f(?!mov$).*|[su]cvtf.*|bf(cvt|dot|mlal|mmla).*|\.inst|\.word|udf|<unknown>")


def architecture(path):
    """From the ELF header."""
    machine = int.from_bytes(path.read_bytes()[18:20], "little")
    return {62: X86, 183: Arm}.get(machine)


def tool(names):
    return next((path for path in map(shutil.which, names) if path), None)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ, LC_ALL="C")).stdout


def complaint(arch, mnemonic, operands):
    """What is wrong with an instruction, or None."""
    if arch.forbidden.fullmatch(mnemonic):
        return "floating point"
    # The target of a branch is a hexadecimal number, which may look like the name of a register.
    if re.fullmatch(r"movs[sd]", mnemonic) and re.fullmatch(r"%xmm\d+,%xmm\d+", operands):
        return None
    if not arch.branch.fullmatch(mnemonic) and arch.vector.search(operands) and not arch.allowed.fullmatch(mnemonic):
        return "not known as an instruction on integers or bits"
    return None


def examine(path):
    """(number of instructions, complaints) of an object."""
    arch = architecture(path)
    if not arch:
        return 0, ["neither x86-64 nor aarch64"]
    objdump = tool(arch.objdump)
    if not objdump:
        return 0, [f"there is no {arch.objdump[0]}"]
    complaints, count, function = [], 0, "?"
    for line in output(objdump, "-d", "--no-show-raw-insn", "-w", str(path)).splitlines():
        start = re.fullmatch(r"[0-9a-f]+ <(.*)>:", line)
        if start:
            function = start[1]
        instruction = re.match(r" +[0-9a-f]+:\t(.*)", line)
        if not instruction:
            continue
        words = re.sub(r"\s*(#|//|<).*", "", instruction[1]).split()
        while words and words[0] in arch.prefixes:
            words.pop(0)
        count += 1
        wrong = complaint(arch, words[0], " ".join(words[1:])) if words else None
        if wrong:
            complaints.append(f"{function}: {' '.join(words)}: {wrong}")
    for line in output(objdump, "-t", str(path)).splitlines():
        if "*UND*" in line and not EXTERNAL.fullmatch(line.split()[-1]):
            complaints.append(f"refers to {line.split()[-1]}, which is not listed as free of floating point")
    if not count:
        complaints.append("no instructions")
    return count, complaints


class Report:
    def __init__(self):
        self.number = self.failed = 0
        print("KTAP version 1")

    def result(self, passed, name, complaints=()):
        self.number += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.number} {name}")
        if not passed:
            for line in list(complaints)[:8]:
                print("#   " + line)

    def skip(self, name, reason):
        self.number += 1
        print(f"ok {self.number} {name} # SKIP {reason}")

    def end(self):
        print(f"1..{self.number}", flush=True)
        return 1 if self.failed or not self.number else 0


def expected(build, arch):
    """The objects that a build for this architecture must have."""
    foreign = {X86: ("_neon",), Arm: ("_avx2", "_avx512")}[arch]
    for folder in FOLDERS:
        sources = sorted((SOURCE / "lib" / folder).glob("*.c"))
        assert sources, f"lib/{folder} has no sources"
        for source in sources:
            if not source.stem.endswith(foreign):
                yield build / "lib" / folder / (source.stem + ".o")


def check_build(report, build, arch):
    for path in expected(build, arch):
        name = f"lib/{path.parent.name}/{path.name}, {arch.name}"
        if not path.exists():
            report.result(False, name, [f"{path} is missing"])
            continue
        count, complaints = examine(path)
        if architecture(path) is not arch:
            complaints.append(f"not an object for {arch.name}")
        report.result(not complaints, f"{name}: {count} instructions", complaints)


# ---- Whether it can fail ----

# What must be found in each of these functions; behind it, what it may call instead of computing itself.
PLANTED = [
    ("double addition", "double f(double a, double b) { return a + b; }", ""),
    ("float multiplication", "float f(float a, float b) { return a * b; }", ""),
    ("double division", "double f(double a, double b) { return a / b; }", ""),
    ("double subtraction in memory", "void f(double *a) { a[0] -= a[1]; }", ""),
    ("vectors of floats", "void f(float *a) { for (int i = 0; i < 64; i++) a[i] += 1.5f; }", ""),
    ("conversion from an integer", "double f(long a) { return a; }", ""),
    ("conversion to an integer", "long f(const double *a) { return (long)*a; }", ""),
    ("conversion between the two", "float f(double a) { return a; }", ""),
    ("comparison", "int f(double a, double b) { return a < b; }", ""),
    ("smaller of two", "double f(double a, double b) { return a < b ? a : b; }", ""),
    ("fused multiply-add", "double f(double a, double b, double c) { return __builtin_fma(a, b, c); }", "fma"),
    ("square root", "double f(double a) { return __builtin_sqrt(a); }", "sqrt"),
    ("negation and doubling", "void f(double *a) { *a = -*a * 2; }", ""),
    ("an integer times a fraction", "int f(int a) { return (int)(a * 0.75); }", ""),
    ("long double", "void f(long double *a) { *a += 1; }", "__addtf3"),
    ("a call to sin", "double sin(double); long f(void) { return (long)&sin; }", "sin"),
    ("a call to a soft-float routine", "long __adddf3(long, long); long f(long a, long b) { return __adddf3(a, b); }", "__adddf3"),
    ("a call to tanh", "double tanh(double); double f(double a) { return tanh(a); }", "tanh"),
]
CLEAN = """#include <stdint.h>
void f(int64_t *a, const int32_t *b, int n) { for (int i = 0; i < n; i++) a[i] += (int64_t)b[i] * b[i] >> 3; }
int g(unsigned a) { return __builtin_clz(a) + 1; }
"""


def check_itself(report, arch, compiler, options):
    with tempfile.TemporaryDirectory() as folder:
        source, path = pathlib.Path(folder, "x.c"), pathlib.Path(folder, "x.o")

        def compiled(text):
            source.write_text(text, encoding="ascii")
            path.unlink(missing_ok=True)
            subprocess.run([compiler, *options, "-w", "-ffreestanding", "-c", str(source), "-o", str(path)], check=True)
            return examine(path)

        count, complaints = compiled(CLEAN)
        title = " ".join([arch.name, *options])
        report.result(count > 10 and not complaints, f"{title}: integer code passes", complaints)
        # A move of a double alone is not what was planted.
        texts = (re.sub(r"\bf\(", f"f{i}(", text) for i, (name, text, call) in enumerate(PLANTED))
        found = [line for line in compiled("\n".join(texts))[1] if not re.search(r": v?(movs[sd]|ldr|str) ", line)]
        for i, (name, text, call) in enumerate(PLANTED):
            report.result(any(line.startswith((f"f{i}: ", f"refers to {call},")) for line in found), f"{title}: {name} is found")
        count, complaints = compiled("extern int none;\n")
        report.result("no instructions" in complaints, f"{title}: an empty object is found")


def main():
    report = Report()
    builds = [pathlib.Path(argument) for argument in sys.argv[1:]]
    if not builds:
        build = pathlib.Path(os.environ.get("FIXAR_BUILD", SOURCE / "build"))
        builds = [build] + [build / "aarch64"] * (build / "aarch64/lib").exists()
        if len(builds) == 1:
            report.skip("aarch64", "neon: there is no build for 64-bit ARM")
    for build in builds:
        # A build is for the architecture of its first object; one without objects is checked as if for x86-64 and fails.
        arch = next(filter(None, map(architecture, sorted(build.glob("lib/fx/*.o")))), X86)
        check_build(report, build, arch)

    for arch, gcc, options in ((X86, "x86_64-linux-gnu-gcc", ["-O2"]), (X86, "x86_64-linux-gnu-gcc", ["-O3", "-mavx2", "-mfma"]),
                               (X86, "x86_64-linux-gnu-gcc", ["-O3", "-mavx512f", "-mavx512dq"]),
                               (X86, "x86_64-linux-gnu-gcc", ["-O0"]), (Arm, "aarch64-linux-gnu-gcc", ["-O2"]),
                               (Arm, "aarch64-linux-gnu-gcc", ["-O0"])):
        if tool([gcc]) and tool(arch.objdump):
            check_itself(report, arch, gcc, options)
        else:
            report.skip(f"{arch.name}: what is planted is found", f"neon or avx2: there is no {gcc}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
