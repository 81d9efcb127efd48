#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write all golden vectors, or with --check compare the committed ones with what the reference says now."""

import argparse
import pathlib
import sys

import golden_matrices
import golden_operations
import golden_training

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "golden"
LICENCE = "# SPDX-License-Identifier: MIT"

FILES = {**golden_operations.FILES, **golden_matrices.FILES, **golden_training.FILES}


def content(name):
    lines = FILES[name]()
    # The first line says the operation; the licence goes below it.
    return "\n".join([lines[0], LICENCE] + lines[1:]) + "\n"


def first_difference(expected, found):
    expected_lines, found_lines = expected.splitlines(), found.splitlines()
    for number, (a, b) in enumerate(zip(expected_lines, found_lines), 1):
        if a != b:
            return f"line {number}: the reference gives\n  {a[:300]}\nthe file has\n  {b[:300]}"
    return f"the reference gives {len(expected_lines)} lines, the file has {len(found_lines)}"


def check(names=None, directory=DIRECTORY):
    """A message for each file that differs from what the reference gives."""
    messages = {}
    for name in names or FILES:
        path = directory / name
        if not path.exists():
            messages[name] = "missing"
            continue
        expected, found = content(name), path.read_text(encoding="ascii")
        if expected != found:
            messages[name] = first_difference(expected, found)
    if names is None:
        for path in sorted(directory.glob("*.txt")):
            if path.name not in FILES:
                messages[path.name] = "not written by the generator"
    return messages


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("files", nargs="*", metavar="FILE", help="only these files, such as tanh.txt")
    arguments = parser.parse_args()
    names = arguments.files or None
    for name in arguments.files:
        if name not in FILES:
            parser.error(f"no such golden file: {name}")
    if arguments.check:
        messages = check(names)
        for name, message in messages.items():
            print(f"{name}: {message}", file=sys.stderr)
        print(f"{len(names or FILES)} golden files compared, {len(messages)} differ")
        return 1 if messages else 0
    DIRECTORY.mkdir(exist_ok=True)
    for name in names or FILES:
        (DIRECTORY / name).write_text(content(name), encoding="ascii", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
