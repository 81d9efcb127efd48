# SPDX-License-Identifier: MIT
"""KTAP of this folder's tests: results as they come, the plan at the end."""

import sys

from vm import Failed

count = failures = 0


def report(passed, name, explanation=(), always=False):
    """A result. The explanation, lines or one text, is for failures; `always`: also, indented, for what passed."""
    global count, failures
    count += 1
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {count} {name}", flush=True)
    if passed and not always:
        return
    for line in explanation if isinstance(explanation, (list, tuple)) else str(explanation).splitlines():
        print(f"# {'    ' if passed else ''}{line}", flush=True)


def program(main):
    """Runs main(), which reports, and ends the program."""
    try:
        print("KTAP version 1", flush=True)
        main()
    except Failed as failed:
        print(f"Bail out! {failed}")
        sys.exit(1)
    print(f"1..{count}")
    sys.exit(1 if failures else 0)
