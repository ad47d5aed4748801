"""Whether the hub's own clock was set, seen from two readings of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.step_watch import StepWatch
from agent.clock import SECOND_NS, Instant, WallTime

T0 = WallTime(1_790_000_000 * SECOND_NS)
MS = 1_000_000


def test_hub_clock_steps_are_noticed_and_slow_readings_are_not_believed() -> None:
    """UTC that jumps against the monotonic clock is a step, once; drift and a preempted reading are not."""
    watch = StepWatch()

    def reading(monotonic_ms: int, utc_ms: int, took_ms: int = 0) -> bool:
        before = Instant(monotonic_ms * MS)
        return watch.is_step(before, WallTime(T0 + utc_ms * MS), Instant(before + took_ms * MS))

    assert not reading(0, 0)
    assert not reading(250, 251)
    assert not reading(500, 900, took_ms=400)
    assert not reading(750, 750)
    assert reading(1000, 3000)
    assert not reading(1250, 3250)
    assert reading(1500, 3300)


@given(st.sampled_from([0, 250]), st.integers(-500, 500), st.integers(-(50 * 365 * 86_400_000), 50 * 365 * 86_400_000))
def test_any_step_of_the_hub_clock_is_seen_once_and_no_slewing(took_ms: int, ppm: int, step_ms: int) -> None:
    """Fifty years forward at the first NTP answer, hours back, a suspend; an hour of slewing around it is none."""
    watch, steps = StepWatch(), 0
    for tick in range(400):
        wall = WallTime(T0 + tick * 9 * SECOND_NS * (1_000_000 + ppm) // 1_000_000 + step_ms * MS * (tick >= 200))
        before = Instant(tick * 9 * SECOND_NS)
        steps += watch.is_step(before, wall, Instant(before + took_ms * MS * (tick == 200)))
    if not 95 <= abs(step_ms) <= 105:
        assert steps == (abs(step_ms) > 100)
