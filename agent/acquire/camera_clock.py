"""A camera's answers in whole seconds to the offset of its clock, as narrow as a few well-timed questions can make it.

Each answer says: at some moment between asking and being answered, the camera's clock stood in
`[second, second + 1 s)`, or up to one tick beyond. That bounds the offset; asking again where the camera should just
be passing to the next second narrows it.

Rules of this file: integers only; a bound is never narrower than the answers prove.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.acquire.lenient_xml import Element, element, text_of
from agent.acquire.timeline import MS_NS, RATE_PPM_MAX, ClockOffset
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError

COARSE_CLOCK_NS: Final = 10_000_000
"""How late a camera may notice a new second: time() reads Linux's coarse clock, one tick behind (10 ms at 100 Hz)."""

RENEW_NS: Final = 60 * SECOND_NS
"""How long a measured offset is good: two clocks that nobody sets go apart by 36 ms in it at most (`RATE_PPM_MAX`)."""

YEAR_MAX: Final = 2200
"""A later year is no time: what is reckoned with it would not fit the fields it is sent and stored in."""

DOUBT_NS: Final = 10 * SECOND_NS  # how soon a camera is asked again whose reports contradict what it said
DOUBTS: Final = 2  # reports ignored since the last answer; one may have been damaged, or sent while a clock was set

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_camera_time(response: Element) -> WallTime:
    """Read the UTC time of a GetSystemDateAndTimeResponse, in whole seconds.

    Hour 24 and second 60 are taken for what they mean: real cameras send them. Raises BadInputError.
    """
    utc = element(response, "UTCDateTime")
    if utc is None:
        raise BadInputError("the camera tells no UTC time")
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    try:
        year, month, day, hour, minute, second = (int(text_of(utc, name, characters_max=8)) for name in names)
        if not _EPOCH.year <= year <= YEAR_MAX:
            raise BadInputError(f"the camera's clock says the year {year}", cure="set the camera's clock")
        moment = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError) as error:
        raise BadInputError("the camera's time is not a date") from error
    return WallTime((moment - _EPOCH) // timedelta(seconds=1) * SECOND_NS)


def offset_from_second(camera_second: WallTime, asked: WallTime, answered: WallTime) -> ClockOffset:
    """Bound the offset by one answer in whole seconds, given between `asked` and `answered` in hub time."""
    return ClockOffset(camera_second - answered, camera_second + SECOND_NS + COARSE_CLOCK_NS - asked)


def narrowed(offsets: Iterable[ClockOffset]) -> ClockOffset | None:
    """Return what all answers agree on; if they contradict each other (a clock was set), everything they span."""
    known = list(offsets)
    if not known:
        return None
    low, high = max(offset.low_ns for offset in known), min(offset.high_ns for offset in known)
    if low <= high:
        return ClockOffset(low, high)
    return ClockOffset(min(offset.low_ns for offset in known), max(offset.high_ns for offset in known))


def next_question(offset: ClockOffset, now: WallTime, questions_left: int) -> WallTime:
    """Return when to ask again: the next moment after `now` at which the answer divides what is still possible.

    The camera's next full second lies in a stretch of hub time as wide as the offset's bounds. With more questions
    left the stretch is walked in smaller steps, until one answer has changed.
    """
    step = max((offset.high_ns - offset.low_ns) // (questions_left + 1), 1)
    first = step - offset.high_ns
    return WallTime(now + SECOND_NS - (now - first) % SECOND_NS)


def wants_clock(asked_at: Instant | None, now: Instant, reports_ignored: int) -> bool:
    """Say whether to measure a camera's clock (again).

    `asked_at` is when it was last tried, with or without success; None if never, or if the hub's own clock was set
    since: that makes every offset void. `reports_ignored` is how many sender reports were ignored since then.
    """
    if asked_at is None:
        return True
    passed_ns = now - asked_at
    return passed_ns >= RENEW_NS or (passed_ns >= DOUBT_NS and reports_ignored >= DOUBTS)


def aged(offset: ClockOffset, age_ns: int) -> ClockOffset:
    """Widen an offset by what two clocks can have gone apart since it was measured, to whole milliseconds."""
    drift_ns = -(-abs(age_ns) * RATE_PPM_MAX // (1_000_000 * MS_NS)) * MS_NS
    return ClockOffset(offset.low_ns - drift_ns, offset.high_ns + drift_ns)


def agreed(measured: Iterable[tuple[Instant, ClockOffset]], now: Instant) -> ClockOffset | None:
    """Return what measurements of different times say about the offset now; None if there is none.

    The newest counts, narrowed by older ones as far as they agree with it. The first that does not was taken before a
    clock was set, and so were all before it. Offsets from before the hub's clock was set must not be given.
    """
    known: ClockOffset | None = None
    for at, offset in sorted(measured, key=lambda one: one[0], reverse=True):
        then = aged(offset, now - at)
        low, high = (then.low_ns, then.high_ns) if known is None else _overlap(known, then)
        if low > high:
            break
        known = ClockOffset(low, high)
    return known


def _overlap(first: ClockOffset, second: ClockOffset) -> tuple[int, int]:
    return max(first.low_ns, second.low_ns), min(first.high_ns, second.high_ns)
