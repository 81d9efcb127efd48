# SPDX-License-Identifier: MIT
"""Reads a compiled kernel module: which function calls which, and where its coverage points are."""

import re
import subprocess

HEAD = re.compile(r"^([0-9a-f]+) <(\S+)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\w+)")
BRANCH = re.compile(r"^\s+[0-9a-f]+:\s+(?:call|j\w+)q?\s+[0-9a-f]+ <([^+>]+)(\+0x[0-9a-f]+)?>")
REFERENCE = re.compile(r"^\s+([0-9a-f]+): R_X86_64_(\w+)\s+([^\s+-]+)(?:([+-]0x[0-9a-f]+))?$")
SECTION = re.compile(r"^Disassembly of section (\S+):$")
POINT = "__sanitizer_cov_trace_pc"  # what the compiler calls in each basic block of a module built with KCOV_INSTRUMENT=y


class Module:
    """`calls` has of each function the names that it calls or jumps to, `takes` those whose address it takes, among others of
    what others are to call; `points` a pair of section and offset for each place that KCOV can report, with the name of the
    function. A function that ends with a point jumps to it, and KCOV then reports where that function was called from: `returns`
    has all such places."""

    def __init__(self, path):
        self.path, self.calls, self.takes, self.points, self.returns, self.places = path, {}, {}, {}, set(), {}
        listing = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", str(path)], check=True, capture_output=True, text=True).stdout
        function = branch = branches = section = None
        called = False  # by the instruction before
        for line in listing.splitlines():
            if reference := REFERENCE.match(line):
                at, kind, name, addend = reference.groups()
                # Of a section: a function without a name of its own in the symbol table. What is relative begins 4 bytes later.
                place = (name, int(addend or "0", 16) + 4 * (kind in ("PC32", "PLT32")))
                said = self.calls if branches or kind == "PLT32" else self.takes
                said[function].add(place if name.startswith(".") else name)
                if name == POINT and called:
                    self.points[section, int(at, 16) + 4] = function
                branch = None  # its target was a place holder
                continue
            if branch:
                self.calls[function].add(branch)
                branch = None
            branches = BRANCH.match(line)
            if instruction := INSTRUCTION.match(line):
                if called:
                    self.returns.add((section, int(instruction[1], 16)))
                called = instruction[2].startswith("call")
            if head := HEAD.match(line):
                function = head[2]
                self.calls.setdefault(function, set())
                self.takes.setdefault(function, set())
                self.places.setdefault(section, []).append((int(head[1], 16), function))
            elif found := SECTION.match(line):
                section = found[1]
            elif branches and not branches[2] and branches[1] != function:
                branch = branches[1]
        for said in (self.calls, self.takes):
            for function, names in said.items():
                said[function] = {self.resolve(*name) if isinstance(name, tuple) else name for name in names}

    def resolve(self, section, offset):
        """The function at a place in a section, or the name of a section that holds no code."""
        return next((name for address, name in reversed(self.places.get(section, [])) if address <= offset), section)

    def reached(self, *starts, taken=False):
        """What can be reached from these functions, and, if asked, from those whose address they take: functions of the module, and
        names outside of it, with a caller."""
        todo, inside, outside = list(starts), set(), {}
        while todo:
            function = todo.pop()
            if function in inside:
                continue
            inside.add(function)
            for name in self.calls[function] | (self.takes[function] if taken else set()):
                if name in self.calls:
                    todo.append(name)
                else:
                    outside.setdefault(name, function)
        return inside, outside

    def lines(self, points):
        """Source lines of points: pairs of a file's name and a number; where functions are inlined, the innermost."""
        found = {}
        for section in {section for section, _ in points}:
            # A return address belongs to the next line; the call is before it.
            addresses = [point for point in points if point[0] == section]
            said = subprocess.run(["addr2line", "-j", section, "-e", str(self.path)], check=True, text=True, capture_output=True,
                                  input="".join(f"{offset - 1:#x}\n" for _, offset in addresses)).stdout.splitlines()
            for point, place in zip(addresses, said):
                file, _, line = place.split()[0].rpartition(":")
                found[point] = (file.rpartition("/")[2], int(line) if line.isdigit() else 0)
        return found
