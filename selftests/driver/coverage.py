# SPDX-License-Identifier: GPL-2.0-only
"""What code of the driver's handlers a run has reached, from the lines "# kcov" that selftests/driver/fixar_kcov.h prints."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from machine.callgraph import Module  # noqa: E402

# Where a system call on the node enters the driver.
HANDLERS = re.compile(r"fixar_\w+_ioctl|fixar_open|fixar_postclose|fixar_bo_free|fixar_gem_create_object|fixar_gem_import")
LINE = re.compile(r"\s*# kcov (.*)")


def parse(lines):
    """The points of a run's output: pairs of section and offset."""
    points = set()
    for line in lines:
        found = LINE.match(line)
        for word in found[1].split() if found else []:
            section, _, offset = word.rpartition("+")
            points.add((section, int(offset, 16)))
    return points


def spans(numbers):
    """1, 2, 3, 7 as "1-3, 7"."""
    words, numbers = [], sorted(numbers)
    first = last = None
    for number in [*numbers, None]:
        if first is not None and number != last and (number is None or number > last + 1):
            words.append(f"{first}" if first == last else f"{first}-{last}")
            first = number
        first, last = number if first is None else first, number
    return ", ".join(words)


class Report:
    """`functions` has of each function that handlers call the number of its points reached, and of all. Points of what the kernel's
    headers put into the driver's functions do not count: most are checks that only a mistake reaches."""

    def __init__(self, path, points):
        module = Module(path)
        starts = [name for name in module.calls if HANDLERS.fullmatch(name)]
        inside, _ = module.reached(*starts)
        lines = module.lines([point for point, function in module.points.items() if function in inside])
        self.strange = points - set(module.points) - module.returns
        self.functions, self.missing = {}, {}
        for point, (file, line) in lines.items():
            if not file.startswith("fixar_"):
                continue
            function = module.points[point]
            reached, total = self.functions.get(function, (0, 0))
            self.functions[function] = reached + (point in points), total + 1
            if point not in points:
                self.missing.setdefault(function, {}).setdefault(file, set()).add(line)
        self.reached = sum(reached for reached, _ in self.functions.values())
        self.total = sum(total for _, total in self.functions.values())
        self.unreached_handlers = [name for name in starts if self.functions.get(name, (0, 0))[0] == 0]

    def text(self):
        """A line for each function: what was reached of it, and the source lines of what was not."""
        lines = [f"{self.reached} of {self.total} points in {len(self.functions)} functions that handlers reach"]
        for name, (reached, total) in sorted(self.functions.items(), key=lambda item: (item[1][0] / item[1][1], item[0])):
            if reached < total:
                places = "; ".join(f"{file}:{spans(numbers)}" for file, numbers in sorted(self.missing.get(name, {}).items()))
                lines.append(f"  {name:34} {reached:4} of {total:4}   not: {places}")
        lines.append("  all of: " + " ".join(sorted(name for name, (reached, total) in self.functions.items() if reached == total)))
        return lines
