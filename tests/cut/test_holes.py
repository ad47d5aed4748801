"""Where pictures may be missing of which nothing arrived."""

from __future__ import annotations

from itertools import accumulate, cycle, islice

import pytest
from msgspec.structs import replace

from agent.clock import WallTime, Window
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.holes import moments_of_holes
from tests.simulators.h264_source import Recipe, film


def units_of(recipe: Recipe) -> list[AccessUnit]:
    """Film a recipe."""
    source = film(recipe)
    return depacketize([source.header], source.chunks)


def without(units: list[AccessUnit], *lost: int) -> list[AccessUnit]:
    """Lose whole units, so that only the numbers of packets tell."""
    kept = [unit for index, unit in enumerate(units) if index not in lost]
    after = max(lost) + 1 - len(lost)
    kept[after] = replace(kept[after], is_gap=True)
    return kept


def all_of(units: list[AccessUnit]) -> Window:
    """Return a window that holds every unit."""
    times = sorted(unit.time for unit in units)
    return Window(times[0], WallTime(times[-1] + 1))


def is_told(units: list[AccessUnit], lost: int) -> bool:
    """Say whether a moment is named behind which the next picture that arrived is after the lost one."""
    arrived = sorted(unit.time for unit in without(units, lost))
    before = max(time for time in arrived if time < units[lost].time)
    return moments_of_holes(without(units, lost), all_of(units)) == [before]


def test_without_reordering_the_hole_is_where_the_numbers_say() -> None:
    """The picture before it, in order of time, is the moment; two lost ones are one hole."""
    units = units_of(Recipe(pictures=40))
    assert all(is_told(units, lost) for lost in range(1, 39))
    assert moments_of_holes(without(units, 18, 19), all_of(units)) == [units[17].time]


@pytest.mark.parametrize("b_frames", [1, 2, 3])
def test_with_reordering_the_hole_is_where_there_is_room(b_frames: int) -> None:
    """Each picture but the first and the last ones leaves a hole of its own size, wherever it was sent."""
    units = units_of(Recipe(pictures=60, b_frames=b_frames, x264="b-pyramid=normal"))
    assert all(is_told(units, lost) for lost in range(8, 52))


def test_without_a_steady_rate_the_hole_may_be_anywhere_near() -> None:
    """Such a camera leaves room where nothing was lost; the right place is among those named."""
    units = units_of(Recipe(pictures=60, b_frames=3, x264="b-pyramid=normal"))
    steps = islice(cycle((40_000_000, 20_000_000, 60_000_000, 100_000_000, 30_000_000)), len(units))
    later = list(accumulate(steps, initial=units[0].time))
    order = sorted(unit.time for unit in units)
    units = [replace(unit, time=WallTime(later[order.index(unit.time)])) for unit in units]
    for lost in range(8, 52):
        arrived = sorted(unit.time for unit in without(units, lost))
        before = max(time for time in arrived if time < units[lost].time)
        assert before in moments_of_holes(without(units, lost), all_of(units))


def test_what_arrived_whole_has_no_holes() -> None:
    """Nor has the beginning of the footage, of which nobody knows what was before."""
    units = units_of(Recipe(b_frames=2))
    assert units[0].is_gap
    assert moments_of_holes(units, all_of(units)) == []


def test_a_hole_over_a_border_counts_in_both_windows() -> None:
    """It may be on either side."""
    units = units_of(Recipe(pictures=40))
    middle = WallTime(units[20].time)
    lossy = without(units, 20)
    assert moments_of_holes(lossy, Window(units[0].time, middle)) == [units[19].time]
    assert moments_of_holes(lossy, Window(middle, units[30].time)) == [middle]
    assert moments_of_holes(lossy, Window(units[21].time, units[30].time)) == []


def test_a_loss_within_one_picture_is_no_hole_beside_it_if_there_is_no_room() -> None:
    """That picture is withheld for itself; what is after it was sent right behind the loss."""
    units = units_of(Recipe(pictures=40, b_frames=2))
    units[20] = replace(units[20], is_torn=True)
    units[21] = replace(units[21], is_gap=True)
    assert moments_of_holes(units, all_of(units)) == []
