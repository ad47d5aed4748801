"""Whether a polygon touches a block, by exact fractions and one block at a time: slow, and right."""

from __future__ import annotations

from fractions import Fraction

from agent.consent.mask import SIDE_UNITS, Polygon
from agent.cut.masks import BLOCK_PIXELS

Corner = tuple[Fraction, Fraction]


def is_touched(polygon: Polygon, width: int, height: int, block: tuple[int, int], margin: Fraction) -> bool:
    """Say whether a polygon touches a block that is larger by `margin` pixels on each side, by exact arithmetic."""
    left, top = (Fraction(place * BLOCK_PIXELS) - margin for place in block)
    right, bottom = left + BLOCK_PIXELS + 2 * margin, top + BLOCK_PIXELS + 2 * margin
    corners = [(Fraction(x * width, SIDE_UNITS), Fraction(y * height, SIDE_UNITS)) for x, y in polygon]
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    if any(is_crossed(start, end, (left, top, right, bottom)) for start, end in edges):
        return True
    return winding(((left + right) / 2, (top + bottom) / 2), edges) != 0


def is_crossed(start: Corner, end: Corner, box: tuple[Fraction, Fraction, Fraction, Fraction]) -> bool:
    """Clip a segment to a closed box (Liang and Barsky)."""
    first, last = Fraction(0), Fraction(1)
    for here, there, low, high in ((start[0], end[0], box[0], box[2]), (start[1], end[1], box[1], box[3])):
        if here == there:
            if not low <= here <= high:
                return False
            continue
        enters, leaves = sorted(((low - here) / (there - here), (high - here) / (there - here)))
        first, last = max(first, enters), min(last, leaves)
    return first <= last


def winding(point: Corner, edges: list[tuple[Corner, Corner]]) -> int:
    """Count how often the border goes around a point that is not on it."""
    turns = 0
    for (x0, y0), (x1, y1) in edges:
        side = (x1 - x0) * (point[1] - y0) - (point[0] - x0) * (y1 - y0)
        if y0 <= point[1] < y1 and side > 0:
            turns += 1
        elif y1 <= point[1] < y0 and side < 0:
            turns -= 1
    return turns
