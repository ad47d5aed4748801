"""From polygons to blocks: nothing that a polygon touches is left, and little else is taken."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.consent.mask import SIDE_UNITS, Masks, Polygon
from agent.cut.masks import BLOCK_PIXELS, are_covered, covered_blocks
from tests.cut.exact_cover import is_touched
from tests.vectors.consent import make_masks

ALL: Polygon = ((0, 0), (SIDE_UNITS, 0), (SIDE_UNITS, SIDE_UNITS), (0, SIDE_UNITS))
POLYGONS = st.lists(
    st.tuples(st.integers(0, SIDE_UNITS), st.integers(0, SIDE_UNITS)), min_size=3, max_size=7
).map(tuple)  # fmt: skip


def taken(masks: Masks, width: int, height: int) -> set[tuple[int, int]]:
    """Return the covered blocks as (column, row)."""
    rows = covered_blocks(masks, width, height)
    return {(column, row) for row, runs in enumerate(rows) for begin, end in runs for column in range(begin, end)}


@settings(max_examples=150)
@given(polygon=POLYGONS, width=st.integers(1, 200), height=st.integers(1, 200))
@example(polygon=((0, 0), (0, 0), (0, 0)), width=1, height=1)
@example(polygon=((5000, 5000), (5000, 5000), (5000, 5000)), width=64, height=64)
@example(polygon=((0, 0), (SIDE_UNITS, SIDE_UNITS), (SIDE_UNITS, 0), (0, SIDE_UNITS)), width=160, height=97)
def test_every_block_that_a_polygon_touches_is_covered_and_no_other(polygon: Polygon, width: int, height: int) -> None:
    """Held against exact fractions: crossed, bent and flat ones too; rounding takes at most a thousandth of a pixel."""
    covered = taken((polygon,), width, height)
    for column in range(-(-width // BLOCK_PIXELS)):
        for row in range(-(-height // BLOCK_PIXELS)):
            block = (column, row)
            if is_touched(polygon, width, height, block, Fraction(0)):
                assert block in covered
            elif block in covered:
                assert is_touched(polygon, width, height, block, Fraction(1, 1000))


def test_a_border_between_two_blocks_touches_both() -> None:
    """Also a single corner point does: four blocks."""
    assert taken((((5000, 5000),) * 3,), 64, 64) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    half: Polygon = ((5000, 0), (SIDE_UNITS, 0), (SIDE_UNITS, SIDE_UNITS), (5000, SIDE_UNITS))
    assert taken((half,), 64, 16) == {(1, 0), (2, 0), (3, 0)}


@settings(max_examples=100)
@given(st.lists(POLYGONS, max_size=4), st.integers(1, 300), st.integers(1, 300))
def test_several_polygons_cover_what_each_covers(polygons: list[Polygon], width: int, height: int) -> None:
    """They are joined; the runs of a row do not touch each other and stay inside the picture."""
    masks = tuple(polygons)
    assert taken(masks, width, height) == {block for one in masks for block in taken((one,), width, height)}
    for runs in covered_blocks(masks, width, height):
        borders = [border for run in runs for border in run]
        assert borders == sorted(set(borders))
        assert not borders or (borders[0] >= 0 and borders[-1] <= -(-width // BLOCK_PIXELS))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (640, 360), (1920, 1080), (8192, 8192)])
def test_the_whole_picture_can_be_covered(width: int, height: int) -> None:
    """Every row is one run from edge to edge, whatever the size."""
    columns, rows = -(-width // 16), -(-height // 16)
    assert covered_blocks((ALL,), width, height) == (((0, columns),),) * rows


def test_a_mask_follows_the_fractions_to_another_size() -> None:
    """The same half of the picture, however many pixels the camera sends."""
    left: Polygon = ((0, 0), (4999, 0), (4999, SIDE_UNITS), (0, SIDE_UNITS))
    for width, height in ((64, 32), (640, 360), (1920, 1088)):
        assert {column for column, _ in taken((left,), width, height)} == set(range(width // 32))


def test_whether_pictures_hide_enough() -> None:
    """What counts is what is covered, not how the owner wrote it down."""
    half: Polygon = ((0, 0), (5000, 0), (5000, SIDE_UNITS), (0, SIDE_UNITS))
    assert are_covered((), (), 64, 64)
    assert are_covered((half,), (ALL,), 64, 64)
    assert are_covered((half, ALL), (ALL,), 64, 64)
    assert not are_covered((half,), (), 64, 64)
    assert not are_covered((ALL,), (half,), 64, 64)
    assert not are_covered((half,), (), 0, 0)


def test_the_vectors_are_as_they_are_made_and_covered_as_they_say() -> None:
    """A program that shows the owner what a mask will cover can be held against them."""
    written = json.loads(make_masks.WRITTEN.read_text())
    assert written == json.loads(json.dumps(make_masks.vectors()))
    for vector in written:
        masks = tuple(tuple((x, y) for x, y in polygon) for polygon in vector["masks"])
        rows = covered_blocks(masks, vector["width"], vector["height"])
        assert [[list(run) for run in runs] for runs in rows] == vector["rows"], vector["name"]
