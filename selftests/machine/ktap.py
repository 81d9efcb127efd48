# SPDX-License-Identifier: MIT
"""Counts the results in KTAP that a command printed, and in the last lines of selftests/run."""

import re

RESULT = re.compile(r"^( *)(not )?ok\b(.*)$")
SKIP = re.compile(r"# *SKIP\b", re.I)
SUM = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


def count(text):
    """Passed, failed, skipped. Nested results count, and the line that sums them up does not."""
    passed = failed = skipped = 0
    deepest = 0  # indentation of the results since the last one that closed them
    for line in text.splitlines():
        total = SUM.match(line)
        result = RESULT.match(line)
        if total:
            passed, failed, skipped = passed + int(total[1]), failed + int(total[2]), skipped + int(total[3])
        elif result:
            indentation = len(result[1])
            closes, deepest = indentation < deepest, indentation
            if closes:
                continue
            if SKIP.search(result[3]):
                skipped += 1
            elif result[2]:
                failed += 1
            else:
                passed += 1
    return passed, failed, skipped
