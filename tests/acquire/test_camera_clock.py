"""From answers in whole seconds to a bound that holds the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.camera_clock import (
    COARSE_CLOCK_NS,
    DOUBT_NS,
    DOUBTS,
    RENEW_NS,
    aged,
    agreed,
    narrowed,
    next_question,
    offset_from_second,
    read_camera_time,
    wants_clock,
)
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.timeline import RATE_PPM_MAX, ClockOffset
from agent.clock import SECOND_NS, Instant, WallTime, parse_rfc3339
from agent.errors import BadInputError

START = parse_rfc3339("2026-05-04T03:02:01.234Z")


def answer(*values: object) -> bytes:
    """Write a response with Year, Month, Day, Hour, Minute, Second."""
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    fields = "".join(f"<t:{name}>{value}</t:{name}>" for name, value in zip(names, values, strict=False))
    return f"<r><t:UTCDateTime>{fields}</t:UTCDateTime></r>".encode()


@pytest.mark.parametrize(
    ("values", "moment"),
    [
        ((2026, 5, 4, 3, 2, 1), "2026-05-04T03:02:01Z"),
        ((2026, 5, 4, 24, 0, 60), "2026-05-05T00:01:00Z"),
        ((1970, 1, 1, 0, 0, 0), "1970-01-01T00:00:00Z"),
    ],
)
def test_camera_times_are_read_as_they_are_meant(values: tuple[int, ...], moment: str) -> None:
    """Hour 24 and second 60 roll over."""
    assert read_camera_time(parse_xml(answer(*values), 1000)) == parse_rfc3339(moment)


@pytest.mark.parametrize("values", [(), (2026,), (0, 1, 1, 0, 0, 0), (9999, 12, 31, 99, 0, 0), (2026, "x", 4, 3, 2, 1)])
def test_no_time_is_bad_input(values: tuple[object, ...]) -> None:
    """Missing, impossible and textual fields are refused."""
    with pytest.raises(BadInputError):
        read_camera_time(parse_xml(answer(*values), 1000))


@given(
    offset_ns=st.integers(-(10**14), 10**14),
    tick_ns=st.integers(0, COARSE_CLOCK_NS),
    delays_ns=st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), min_size=6, max_size=6),
)
def test_six_questions_hold_the_truth_and_narrow_it(
    offset_ns: int, tick_ns: int, delays_ns: list[tuple[int, int]]
) -> None:
    """The truth is inside, whatever the offset, the tick and the delays; the bound is as narrow as those allow."""
    now, offsets = START, list[ClockOffset]()
    for left, (there_ns, back_ns) in zip(range(5, -1, -1), delays_ns, strict=True):
        told = (now + there_ns + offset_ns - tick_ns) // SECOND_NS * SECOND_NS
        offsets.append(offset_from_second(WallTime(told), now, WallTime(now + there_ns + back_ns)))
        now = WallTime(now + there_ns + back_ns)
        known = narrowed(offsets)
        assert known is not None
        assert known.low_ns <= offset_ns <= known.high_ns
        asked_at = next_question(known, now, left)
        assert now < asked_at <= now + SECOND_NS
        now = asked_at
    slowest_ns = max(there_ns + back_ns for there_ns, back_ns in delays_ns)
    assert known.high_ns - known.low_ns <= SECOND_NS // 3 + 2 * slowest_ns


def test_answers_that_contradict_widen_the_bound() -> None:
    """A clock that was set between two questions is not given a bound it does not keep."""
    assert narrowed([]) is None
    assert narrowed([ClockOffset(0, 10), ClockOffset(5, 20)]) == ClockOffset(5, 10)
    assert narrowed([ClockOffset(0, 10), ClockOffset(15, 20)]) == ClockOffset(0, 20)


@given(
    ppm=st.integers(-RATE_PPM_MAX, RATE_PPM_MAX),
    offset_ns=st.integers(-(10**14), 10**14),
    measured=st.lists(
        st.tuples(st.integers(0, 3600), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8
    ),
)
def test_measurements_of_different_times_hold_the_truth_together(
    ppm: int, offset_ns: int, measured: list[tuple[int, int, int]]
) -> None:
    """However the clocks drift, what several measurements agree on holds the offset, no wider than the newest alone."""

    def truth(second: int) -> int:
        return offset_ns + second * ppm * 1000

    known = [
        (Instant(second * SECOND_NS), ClockOffset(truth(second) - below, truth(second) + above))
        for second, below, above in measured
    ]
    now = Instant(3600 * SECOND_NS)
    offset = agreed(known, now)
    assert offset is not None
    assert offset.low_ns <= truth(3600) <= offset.high_ns
    newest_at, newest = max(known, key=lambda one: one[0])
    alone = aged(newest, now - newest_at)
    assert offset.high_ns - offset.low_ns <= alone.high_ns - alone.low_ns or newest_at in [at for at, _ in known[1:]]


def test_older_measurements_count_until_one_contradicts() -> None:
    """A clock that was set makes all before it void; nothing measured is nothing known."""
    minute = 60 * SECOND_NS
    known = [
        (Instant(0), ClockOffset(0, 10)),
        (Instant(minute), ClockOffset(5 * SECOND_NS, 6 * SECOND_NS)),
        (Instant(2 * minute), ClockOffset(5_500_000_000, 7 * SECOND_NS)),
    ]
    assert agreed(known, Instant(2 * minute)) == ClockOffset(5_500_000_000, 6_036_000_000)
    assert agreed(known[:1], Instant(1)) == ClockOffset(-1_000_000, 1_000_010)
    assert agreed([], Instant(0)) is None


def test_clock_is_asked_for_when_it_is_old_or_in_doubt() -> None:
    """At once if never, every ten minutes, and a minute after the last time if reports contradict it."""
    assert wants_clock(None, Instant(0), 0)
    assert not wants_clock(Instant(0), Instant(RENEW_NS - 1), DOUBTS - 1)
    assert wants_clock(Instant(0), Instant(RENEW_NS), 0)
    assert wants_clock(Instant(0), Instant(DOUBT_NS), DOUBTS)
    assert not wants_clock(Instant(0), Instant(DOUBT_NS - 1), 1000)
