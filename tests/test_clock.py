"""Signed time as a value: what two answers say together."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from agent.clock import DRIFT_PPM_MAX, SECOND_NS, Instant, SignedTime, WallTime, parse_rfc3339, rfc3339

MS = 1_000_000
FIRST = SignedTime(1_000 * MS, 1_300 * MS, 1_150 * MS, at=0)


def test_a_second_answer_moves_the_time_no_more_than_it_must() -> None:
    """A wide one that agrees changes nothing; a narrow one moves the time to its edge, and the bound becomes narrow."""
    wide = SignedTime(0, 3_000 * MS, 1_500 * MS, at=0)
    assert FIRST.met_by(wide) == FIRST
    narrow = SignedTime(1_200 * MS, 1_220 * MS, 1_210 * MS, at=0)
    met = FIRST.met_by(narrow)
    assert met.estimate_ns == 1_200 * MS
    assert met.error_ns(Instant(0)) == 20 * MS


def test_a_contradiction_is_for_the_newer_one() -> None:
    """What cannot both be true was never true, or a crystal is broken."""
    later = SignedTime(9_000 * MS, 9_100 * MS, 9_050 * MS, at=60 * SECOND_NS)
    assert FIRST.met_by(later) == later


def test_the_bound_ages() -> None:
    """By 200 ppm, so that an hour costs 0.72 s."""
    assert FIRST.error_ns(Instant(3600 * SECOND_NS)) == 150 * MS + 720 * MS


@given(st.data())
def test_two_answers_that_hold_hold_together(data: st.DataObject) -> None:
    """If the truth is inside both, it is inside what they say together, at any later moment, whatever the drift."""
    drift_ppm = data.draw(st.integers(-DRIFT_PPM_MAX, DRIFT_PPM_MAX))
    gap_ns = data.draw(st.integers(0, 10**6)) * SECOND_NS // 100
    edges = st.integers(0, 5 * SECOND_NS)

    def told(truth: int, at: int) -> SignedTime:
        low, high = truth - data.draw(edges), truth + data.draw(edges)
        return SignedTime(low, high, (low + high) // 2, at)

    truth_then = 10**18
    truth_now = truth_then + gap_ns * drift_ppm // 1_000_000
    met = told(truth_then, 0).met_by(told(truth_now, gap_ns))
    assert met.low_ns <= truth_now <= met.high_ns
    assert abs(met.estimate_ns - truth_now) <= met.error_ns(Instant(gap_ns))


@example(0)
@example(999)
@given(st.integers(0, 9998 * 365 * 24 * 3600 * SECOND_NS))
def test_every_time_that_is_written_can_be_read(since_year_1: int) -> None:
    """To the nanosecond, from the first year that there is: its zeros are written."""
    moment = WallTime(parse_rfc3339("0001-01-01T00:00:00Z") + since_year_1)
    assert parse_rfc3339(rfc3339(moment)) == moment
