"""The least lateness of the last seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.least_late import LEAST_NS, LeastLate
from agent.clock import SECOND_NS, WallTime

MS = 1_000_000


@given(st.lists(st.tuples(st.integers(0, 2 * SECOND_NS), st.integers(-SECOND_NS, SECOND_NS)), min_size=1))
def test_least_is_that_of_one_to_two_stretches(noted: list[tuple[int, int]]) -> None:
    """It is never above the least of the last stretch, nor below the least of the last two; gaps count as none."""
    subject, now, all_noted = LeastLate(), WallTime(0), list[tuple[WallTime, int]]()
    for passed_ns, late_ns in noted:
        now = WallTime(now + passed_ns)
        all_noted.append((now, late_ns))
        before = subject.late_ns
        assert subject.note(late_ns, now) or subject.late_ns == before
        lately = min(late for at, late in all_noted if now - at < LEAST_NS)
        longer = min(late for at, late in all_noted if now - at < 2 * LEAST_NS + 4 * SECOND_NS)
        assert longer <= subject.late_ns <= lately


def test_unsteady_arrival_shows_as_spread_and_is_forgotten() -> None:
    """One stretch that was 80 ms late makes a spread of 80 ms, of which minutes later little is left."""
    subject = LeastLate()
    for stretch in range(80):
        subject.note(80 * MS if stretch == 3 else 0, WallTime(stretch * LEAST_NS))
        if stretch == 4:
            assert subject.spread_ns == 80 * MS
    assert subject.spread_ns < MS
    assert subject.late_ns == 0


def test_nothing_noted_is_no_lateness() -> None:
    """Before the first picture the measure is zero, and steady."""
    assert (LeastLate().late_ns, LeastLate().spread_ns) == (0, 0)
