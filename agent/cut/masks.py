"""The owner's polygons become the 16x16 blocks of a picture that are painted over before it leaves.

A block is covered as soon as a polygon, its border included, touches it, also in a corner. Whole blocks, because a
camera codes in them: what its coding has smeared out of a block's masked half lies in the other half, and every chroma
sample, wherever between the pixels it sits and with whichever subsampling, belongs to one block only.

Rules of this file: whole numbers only; what is rounded is rounded towards more cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from agent.consent.mask import SIDE_UNITS, Masks, Polygon

BLOCK_PIXELS: Final = 16
_SIDE: Final = (
    2 * BLOCK_PIXELS * SIDE_UNITS
)  # of a block; two to a ten-thousandth of a pixel, so that middles are whole

BlockRuns = tuple[tuple[int, int], ...]
"""Covered blocks of one row of blocks: half-open ranges of columns in order, which do not touch."""


@lru_cache(maxsize=64)
def covered_blocks(masks: Masks, width: int, height: int) -> tuple[BlockRuns, ...]:
    """Return the covered blocks of a picture of this many pixels, row by row from the top."""
    columns, rows = -(-width // BLOCK_PIXELS), -(-height // BLOCK_PIXELS)
    scaled = [tuple((2 * x * width, 2 * y * height) for x, y in polygon) for polygon in masks]
    return tuple(_joined([run for polygon in scaled for run in _touched(polygon, row)], columns) for row in range(rows))


def are_covered(wanted: Masks, burned: Masks, width: int, height: int) -> bool:
    """Say whether pictures of this size that were painted under `burned` show nothing of what `wanted` covers."""
    if set(wanted) <= set(burned):
        return True
    is_sized = width > 0 and height > 0  # else nobody knows what was painted over
    return is_sized and covered_blocks((*burned, *wanted), width, height) == covered_blocks(burned, width, height)


def _touched(polygon: Polygon, row: int) -> list[tuple[int, int]]:
    """Return what a polygon touches of a row of blocks: its edges, border included, and what they wind around."""
    top, middle, bottom = row * _SIDE, row * _SIDE + _SIDE // 2, (row + 1) * _SIDE
    touched, crossings = [], []
    for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        (x0, y0), (x1, y1) = sorted((start, end), key=lambda point: point[1])
        if y1 >= top and y0 <= bottom:
            at_top, at_bottom = (_crossed(x0, y0, x1, y1, min(max(y, y0), y1)) for y in (top, bottom))
            touched.append((min(*at_top, *at_bottom), max(*at_top, *at_bottom)))
            if y0 == y1:
                touched.append((min(x0, x1), max(x0, x1)))
        if y0 <= middle < y1:
            crossings.append((_crossed(x0, y0, x1, y1, middle), 1 if start[1] < end[1] else -1))
    winding, inside_from = 0, 0
    for (low, high), turn in sorted(crossings):
        if winding == 0:
            inside_from = low
        winding += turn
        if winding == 0:
            touched.append((inside_from, high))
    return touched


def _crossed(x0: int, y0: int, x1: int, y1: int, y: int) -> tuple[int, int]:
    """Return where an edge that goes down from (x0, y0) is at height y, rounded down and up."""
    if y0 == y1:
        return x0, x0
    span, height = (x1 - x0) * (y - y0), y1 - y0
    return x0 + span // height, x0 - (-span // height)


def _joined(spans: Sequence[tuple[int, int]], columns: int) -> BlockRuns:
    """Turn closed spans into the blocks that touch them."""
    runs: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        begin, end = max(-(-low // _SIDE) - 1, 0), min(high // _SIDE + 1, columns)
        if runs and begin <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], end)
        elif begin < end:
            runs.append((begin, end))
    return tuple(runs)
