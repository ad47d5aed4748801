"""From answers in whole seconds to a bound that holds the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.camera_clock import COARSE_CLOCK_NS, narrowed, next_question, offset_from_second, read_camera_time
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime, parse_rfc3339
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
