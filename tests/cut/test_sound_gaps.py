"""Where there is no sound, and why."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import Gap
from agent.cut.sound_gaps import GAPS_MAX, STEADY_NS_MAX, WHY_NO_SOUND, WHY_SOUND_LOST, sound_gaps

T0 = 1_795_000_000 * SECOND_NS
WINDOW = Window(WallTime(T0), WallTime(T0 + 10 * SECOND_NS))


def at(seconds: float) -> WallTime:
    """Return a time in seconds after the window's start."""
    return WallTime(T0 + round(seconds * SECOND_NS))


def test_gaps_have_the_reason_that_lies_in_them() -> None:
    """A loss is told where it was; elsewhere the camera sent nothing."""
    covered = [(at(1), at(4)), (at(4.004), at(6)), (at(8), at(10))]
    assert sound_gaps(WINDOW, covered, [(at(8), WHY_SOUND_LOST)]) == (
        Gap(at(0), at(1), WHY_NO_SOUND),
        Gap(at(6), at(8), WHY_SOUND_LOST),
    )
    assert sound_gaps(WINDOW, [], []) == (Gap(at(0), at(10), WHY_NO_SOUND),)


def test_many_gaps_end_in_one() -> None:
    """A report stays small, whatever was lost."""
    covered = [(at(n / 100), at(n / 100 + 0.001)) for n in range(1000)]
    gaps = sound_gaps(WINDOW, covered, [])
    assert len(gaps) == GAPS_MAX
    assert gaps[-1].end == WINDOW.end
    assert "gaps with sound between them" in gaps[-1].why


@given(st.lists(st.integers(0, 10 * SECOND_NS), min_size=2, max_size=40, unique=True).map(sorted))
def test_gaps_and_sound_fill_the_window(borders: list[int]) -> None:
    """What is in no gap has sound, but for what is too short to tell."""
    covered = [(T0 + a, T0 + b) for a, b in zip(borders[::2], borders[1::2], strict=False)]
    missing = sum(gap.end - gap.start for gap in sound_gaps(WINDOW, covered, []))
    heard = sum(end - start for start, end in covered)
    assert 0 <= 10 * SECOND_NS - heard - missing <= STEADY_NS_MAX * (len(covered) + 1)
