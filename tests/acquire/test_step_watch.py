"""Whether the hub's own clock was set, seen from two readings of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.step_watch import START_NS_MAX, SourceWatch, StepWatch
from agent.clock import SECOND_NS, Instant, TimeSource, WallTime

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


def test_whoever_else_vouches_for_the_time_ends_the_runs() -> None:
    """Each change is news once; what was recorded under one clock does not go on under another."""
    watch = SourceWatch()
    assert watch.look(TimeSource.NETWORK, Instant(0)) == (True, False)
    assert watch.look(TimeSource.NETWORK, Instant(1)) == (False, False)
    for source in (TimeSource.NONE, TimeSource.SIGNED, TimeSource.NONE, TimeSource.NETWORK):
        assert watch.look(source, Instant(SECOND_NS)) == (True, True)


def test_ntp_that_finds_a_new_starts_clock_right_interrupts_nothing() -> None:
    """The runs go on where it was not set, soon after the start; else they end."""
    for stepped, after_ns, is_break in [
        (False, SECOND_NS, False),
        (True, SECOND_NS, True),
        (False, START_NS_MAX + 1, True),
    ]:
        watch = SourceWatch()
        watch.look(TimeSource.NONE, Instant(0))
        if stepped:
            watch.note_step()
        assert watch.look(TimeSource.NETWORK, Instant(after_ns)) == (True, is_break)
