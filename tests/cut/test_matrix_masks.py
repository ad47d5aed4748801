"""Masks on, beside and across the borders of blocks, over every sort of stream: each picture is looked at."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import pytest

from agent.consent.mask import SIDE_UNITS, Masks, Polygon
from agent.demo import block_code
from agent.demo.clip_proof import How
from tests.cut.exact_cover import is_touched
from tests.simulators.logged_streams import Sort, draw_pictures, film, log_of, picture_ticks
from tests.simulators.proven_cuts import Cut, cut_and_prove, windows

RecordProperty = Callable[[str, object], None]
Plane = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
BLOCK = 16
SORTS = [
    Sort(seconds=1.2, gops_s=(0.5,)),
    Sort(seconds=1.2, gops_s=(0.5,), b_frames="pyramid", height=90, rate="variable"),
    Sort(profile="baseline", seconds=1.2, width=240, height=106, slices=3, rate="12.5"),
    Sort(profile="main", seconds=1.2, b_frames="two", height=162, rate="12.5"),
    Sort("h265", "main", seconds=1.2, gops_s=(0.5,), b_frames="two", is_open=True, rate="12.5"),
    Sort("jpeg", "baseline", seconds=1.2, width=240, height=120, rate="12.5"),
]
BORDERS = ("on pictures", "1 tick after", "one picture", "longer than the ring")
WHOLE: Masks = (((0, 0), (SIDE_UNITS, 0), (SIDE_UNITS, SIDE_UNITS), (0, SIDE_UNITS)),)
CELLS_MIN = 160


def rectangle(sort: Sort, left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return a rectangle given in pixels, each corner at the nearest unit."""
    x0, x1 = (round(x * SIDE_UNITS / sort.width) for x in (left, right))
    y0, y1 = (round(y * SIDE_UNITS / sort.height) for y in (top, bottom))
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def masks_of(sort: Sort) -> dict[str, Masks]:
    """Return masks by name; none of them touches a block with the code of the time in it."""
    floor = (sort.height - block_code.BOTTOM_CELLS * sort.width // block_code.CELLS_PER_WIDTH) // BLOCK * BLOCK - 1
    near, right = 2 * BLOCK, sort.width
    return {
        "on the borders of blocks": (rectangle(sort, BLOCK, BLOCK, near, near),),
        "a pixel inside a block": (rectangle(sort, BLOCK + 1, BLOCK + 1, near - 1, near - 1),),
        "a pixel over the border": (rectangle(sort, BLOCK - 1, BLOCK - 1, near + 1, near + 1),),
        "as small as can be": (rectangle(sort, 21, 21, 22, 22),),
        "the whole upper part": (rectangle(sort, 0, 0, right, floor),),
        "the right edge": (rectangle(sort, right - 5, 0, right, floor),),
        "a triangle": (((0, 0), (SIDE_UNITS, 0), (0, floor * SIDE_UNITS // sort.height)),),
        "several": (
            rectangle(sort, 0, 0, 9, 9), rectangle(sort, 30, 18, 50, 40), rectangle(sort, right - 20, 33, right, 47),
        ),
    }  # fmt: skip


@lru_cache(maxsize=64)
def hidden(masks: Masks, width: int, height: int) -> Plane:
    """Return which pixels lie in a block that a mask touches, by exact fractions."""
    covered = np.zeros((height, width), bool)
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            block = (x // BLOCK, y // BLOCK)
            if any(is_touched(polygon, width, height, block, Fraction(0)) for polygon in masks):
                covered[y : y + BLOCK, x : x + BLOCK] = True
    return covered.astype(np.uint8)


def planes_of(clip: bytes) -> Iterator[list[Plane]]:
    """Decode every picture of a clip: its three planes, without what lies beyond the edges."""
    with av.open(io.BytesIO(clip)) as container:
        for frame in container.decode(video=0):
            yield [
                np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
                for plane in frame.planes
            ]


@lru_cache(maxsize=8)
def filmed_lumas(sort: Sort) -> dict[int, Plane]:
    """Return what was before the camera, by tick."""
    first = log_of(film(sort)).pictures[0].ticks
    pictures = draw_pictures(sort, picture_ticks(sort))
    return {
        first + tick: planes[: sort.height].copy() for tick, planes in zip(picture_ticks(sort), pictures, strict=True)
    }


def look(done: Cut, sort: Sort, masks: Masks) -> None:
    """Check every picture: flat and grey where it is covered, in all planes, and what was filmed elsewhere."""
    covered = hidden(masks, sort.width, sort.height).astype(bool)
    taken = sorted(account.picture or 0 for account in done.proof.accounts)
    shown = list(planes_of(done.clip))
    assert len(shown) == len(taken)
    for ticks, (luma, *chroma) in zip(taken, shown, strict=True):
        assert np.abs(luma[covered].astype(int) - 128).max() <= 16  # the coder's, from what is visible beside it
        assert luma[covered].std() < 2
        original = filmed_lumas(sort)[ticks]
        assert np.abs(luma[~covered].astype(int) - original[~covered]).mean() < 8
        for plane in chroma:
            assert np.abs(plane.astype(int) - 128).max() <= 3


@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_nothing_under_a_mask_survives_and_everything_beside_it_does(
    sort: Sort, record_property: RecordProperty
) -> None:
    """No picture outside, none missing, none copied; each is looked at, pixel by pixel."""
    filmed, count = film(sort), 0
    for name, masks in masks_of(sort).items():
        for border in BORDERS if name in ("a triangle", "several") else BORDERS[:3]:
            done = cut_and_prove([filmed], windows(filmed)[border], masks)
            proof = done.proof
            assert (name, border, proof.outside, proof.missing, proof.faults) == (name, border, (), (), ())
            assert proof.accounts
            assert proof.count(How.REENCODED) == len(proof.accounts)
            assert done.report.masks == masks
            look(done, sort, masks)
            count += 1
    record_property("cut_cells", count)


@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_of_a_picture_that_is_masked_as_a_whole_only_its_time_is_left(
    sort: Sort, record_property: RecordProperty
) -> None:
    """As many pictures as were taken, each of one grey; nobody can read from them when they were taken."""
    filmed = film(sort)
    for border in BORDERS[:3]:
        window = windows(filmed)[border]
        done = cut_and_prove([filmed], window, WHOLE)
        inside = [moment for moment in filmed.times if moment in window]
        assert len(done.proof.accounts) == len(inside) == done.report.pictures
        assert all(account.picture is None for account in done.proof.accounts)
        assert all("cannot be read" in fault for fault in done.proof.faults)
        for planes in planes_of(done.clip):
            assert [set(np.unique(plane)) for plane in planes] == [{128}] * 3
    record_property("cut_cells", 3)


def test_a_code_that_a_mask_touches_cannot_be_read() -> None:
    """A mask of some pixels at its corner is enough: the whole block goes."""
    sort = SORTS[0]
    corner: Masks = (rectangle(sort, 6, 92, 8, 94),)
    done = cut_and_prove([film(sort)], windows(film(sort))["on pictures"], corner)
    assert all(account.picture is None for account in done.proof.accounts)


def test_the_eyes_of_these_tests_see_what_is_not_masked() -> None:
    """Without the mask, or with half of it, looking finds what was to be hidden."""
    sort = SORTS[0]
    filmed, masks = film(sort), masks_of(sort)
    bare = cut_and_prove([filmed], windows(filmed)["on pictures"])
    with pytest.raises(AssertionError):
        look(bare, sort, masks["as small as can be"])
    inside = cut_and_prove([filmed], windows(filmed)["on pictures"], masks["a pixel inside a block"])
    look(inside, sort, masks["a pixel inside a block"])
    with pytest.raises(AssertionError):
        look(inside, sort, masks["a pixel over the border"])


def test_the_matrix_of_masks_is_as_large_as_it_says() -> None:
    """Whoever takes sorts or masks away must say so here."""
    assert len(SORTS) * (len(masks_of(SORTS[0])) * 3 + 2 + 3) >= CELLS_MIN
