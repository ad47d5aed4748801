"""Which pictures are copied, which re-encoded, which refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import Gap
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.pictures import WHY_CLOCK, WHY_LOST, WHY_NOTHING, PicturePlan, find_gaps, plan_pictures
from tests.simulators.h264_source import EPOCH, Recipe, film

FRAME_NS = SECOND_NS // 25


def units_of(recipe: Recipe) -> list[AccessUnit]:
    """Film a recipe."""
    source = film(recipe)
    return depacketize([source.header], source.chunks)


def frames(first: float, last: float) -> Window:
    """Return the window of pictures `[first, last)`."""
    return Window(WallTime(EPOCH + round(first * FRAME_NS)), WallTime(EPOCH + round(last * FRAME_NS)))


def copied(plan: PicturePlan) -> list[int]:
    """Return the copied units."""
    return [index for segment in plan.segments if segment.is_copy for index in segment.units]


def encoded(plan: PicturePlan) -> list[int]:
    """Return the re-encoded units."""
    return [index for segment in plan.segments if not segment.is_copy for index in segment.units]


def test_the_head_is_reencoded_and_the_rest_copied() -> None:
    """Without B-frames only the pictures before the first IDR picture are touched."""
    plan = plan_pictures(units_of(Recipe(gop=20)), frames(13, 47))
    assert encoded(plan) == list(range(13, 20))
    assert copied(plan) == list(range(20, 47))
    assert not plan.refused


def test_a_window_on_key_pictures_is_copied_whole() -> None:
    """Inner parts cost no encoding, with and without B-frames."""
    for b_frames in (0, 3):
        plan = plan_pictures(units_of(Recipe(gop=20, b_frames=b_frames)), frames(20, 40))
        assert copied(plan) == list(range(20, 40))
        assert encoded(plan) == []


def test_a_window_without_a_key_picture_is_reencoded() -> None:
    """Nothing in it can stand on its own."""
    plan = plan_pictures(units_of(Recipe(gop=60)), frames(13, 47))
    assert (encoded(plan), copied(plan)) == (list(range(13, 47)), [])


@settings(max_examples=80)
@given(
    b_frames=st.integers(0, 3), gop=st.sampled_from([1, 7, 20, 60]), first=st.floats(0, 60), length=st.floats(0.1, 60),
    mapping=st.booleans(),
)  # fmt: skip
def test_no_copied_picture_can_refer_outside(
    *, b_frames: int, gop: int, first: float, length: float, mapping: bool
) -> None:
    """Copied runs begin at an IDR picture, have no holes, and every picture of the window is there once."""
    units = units_of(Recipe(gop=gop, b_frames=b_frames))
    plan = plan_pictures(units, frames(first, first + length), may_copy=mapping)
    inside = [n for n, unit in enumerate(units) if unit.time in frames(first, first + length)]
    assert sorted(copied(plan) + encoded(plan)) == inside
    assert mapping or not copied(plan)
    shown: list[int] = []
    for segment in plan.segments:
        times = sorted(units[index].time for index in segment.units)
        assert not shown or shown[-1] < times[0]
        shown += times
        if segment.is_copy:
            assert units[segment.units[0]].is_key
            assert list(segment.units) == list(range(segment.units[0], segment.units[-1] + 1))


def test_a_loss_before_the_window_refuses_the_head() -> None:
    """Concealment would show what was there before the window."""
    units = units_of(Recipe(gop=20))
    units[5] = replace(units[5], is_gap=True)
    plan = plan_pictures(units, frames(10, 30))
    assert dict(plan.refused) == dict.fromkeys(range(10, 20), WHY_LOST)
    assert copied(plan) == list(range(20, 30))


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_loss_inside_refuses_up_to_the_next_key_picture(*, is_torn: bool) -> None:
    """What a decoder would have to invent is not delivered as evidence."""
    units = units_of(Recipe(gop=20))
    units[25] = replace(units[25], is_gap=not is_torn, is_torn=is_torn)
    plan = plan_pictures(units, frames(20, 60))
    assert copied(plan) == [*range(20, 25), *range(40, 60)]
    assert sorted(plan.refused) == list(range(25, 40))


def test_a_torn_key_picture_starts_nothing() -> None:
    """Its whole group of pictures is refused."""
    units = units_of(Recipe(gop=20))
    units[20] = replace(units[20], is_torn=True)
    plan = plan_pictures(units, frames(18, 60))
    assert encoded(plan) == [18, 19]
    assert copied(plan) == list(range(40, 60))


def test_when_the_clock_is_set_back_the_newer_pictures_are_kept() -> None:
    """No moment is shown twice."""
    units = units_of(Recipe(gop=20))
    back = [replace(unit, time=WallTime(unit.time - 10 * FRAME_NS)) for unit in units[20:]]
    plan = plan_pictures([*units[:20], *back], frames(0, 40))
    assert dict(plan.refused) == dict.fromkeys(range(10, 20), WHY_CLOCK)
    assert copied(plan) == [*range(10), *range(20, 50)]


def test_another_picture_size_is_reencoded_to_the_first() -> None:
    """A clip has one size; what comes in another is scaled."""
    large, small = units_of(Recipe(gop=20, pictures=20)), units_of(Recipe(gop=20, pictures=20, width=176))
    later = [replace(unit, time=WallTime(unit.time + 20 * FRAME_NS)) for unit in small]
    plan = plan_pictures([*large, *later], frames(0, 40))
    assert (copied(plan), encoded(plan)) == (list(range(20)), list(range(20, 40)))
    assert (plan.width, plan.height) == (192, 112)


def test_interlaced_pictures_are_never_copied() -> None:
    """They are re-encoded, all of them."""
    plan = plan_pictures(units_of(Recipe(gop=20, height=128, x264="interlaced=1")), frames(0, 60))
    assert (copied(plan), encoded(plan)) == ([], list(range(60)))


def test_pictures_without_parameter_sets_are_refused() -> None:
    """What cannot be understood is not delivered."""
    units = [replace(u, nals=tuple(n for n in u.nals if n[0] & 31 not in (7, 8))) for u in units_of(Recipe(pictures=5))]
    plan = plan_pictures(units, frames(0, 5))
    assert plan.segments == ()
    assert len(plan.refused) == 5


def test_gaps_name_refusals_and_long_silences() -> None:
    """A gap runs from one delivered picture to the next; short intervals are none."""
    window = Window(WallTime(0), WallTime(10 * SECOND_NS))
    shown = [WallTime(n * SECOND_NS // 2) for n in range(8)]
    assert find_gaps(window, shown, []) == (Gap(shown[-1], window.end, WHY_NOTHING),)
    refused = [(WallTime(shown[2] + 5), WHY_LOST)]
    assert find_gaps(window, shown, refused)[0] == Gap(shown[2], shown[3], WHY_LOST)
    assert find_gaps(window, [], []) == (Gap(window.start, window.end, WHY_NOTHING),)
