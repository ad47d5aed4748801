"""Writes the vectors of masks, by exact fractions: `python -m tests.vectors.consent.make_masks`.

Rules of this file: it shares no geometry with `agent/cut/masks.py`; every block is asked by itself.
"""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tests.cut.exact_cover import is_touched

WRITTEN: Final = Path(__file__).with_name("masks.json")
_CASES: Final[dict[str, tuple[list[list[tuple[int, int]]], int, int]]] = {
    "nothing": ([], 64, 48),
    "left half, its border between two blocks": ([[(0, 0), (5000, 0), (5000, 10_000), (0, 10_000)]], 64, 48),
    "left half, its border a little before": ([[(0, 0), (4999, 0), (4999, 10_000), (0, 10_000)]], 64, 48),
    "a triangle": ([[(1000, 1000), (9000, 2000), (3000, 9500)]], 160, 90),
    "a corner point of four blocks": ([[(5000, 5000), (5000, 5000), (5000, 5000)]], 64, 64),
    "a line": ([[(0, 0), (10_000, 10_000), (0, 0)]], 128, 72),
    "a border that crosses itself": ([[(0, 0), (10_000, 10_000), (10_000, 0), (0, 10_000)]], 160, 96),
    "a star: its middle is wound around twice": (
        [[(5000, 0), (8000, 10_000), (0, 4000), (10_000, 4000), (2000, 10_000)]], 320, 192),
    "two polygons that overlap": (
        [[(0, 0), (6000, 0), (6000, 6000), (0, 6000)], [(4000, 4000), (9999, 4000), (9999, 9999), (4000, 9999)]],
        96, 96),
    "a picture that ends inside a block": ([[(9900, 9900), (10_000, 9900), (10_000, 10_000)]], 1000, 562),
    "one pixel": ([[(0, 0), (10_000, 0), (10_000, 10_000), (0, 10_000)]], 1, 1),
}  # fmt: skip


def vectors() -> list[dict[str, Any]]:
    """Return all cases with what they must come to."""
    return [
        {"name": name, "masks": masks, "width": width, "height": height, "rows": _rows(masks, width, height)}
        for name, (masks, width, height) in _CASES.items()
    ]


def _rows(masks: list[list[tuple[int, int]]], width: int, height: int) -> list[list[list[int]]]:
    columns, rows = range(-(-width // 16)), range(-(-height // 16))
    polygons = [tuple(polygon) for polygon in masks]
    return [
        _runs([any(is_touched(p, width, height, (column, row), Fraction(0)) for p in polygons) for column in columns])
        for row in rows
    ]


def _runs(covered: list[bool]) -> list[list[int]]:
    runs = []
    for is_covered, members in groupby(range(len(covered)), key=covered.__getitem__):
        if is_covered:
            places = list(members)
            runs.append([places[0], places[-1] + 1])
    return runs


if __name__ == "__main__":
    lines = ",\n".join(" " + json.dumps(vector, separators=(", ", ": ")) for vector in vectors())
    WRITTEN.write_text(f"[\n{lines}\n]\n")
