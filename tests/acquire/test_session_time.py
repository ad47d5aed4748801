"""Where a session's mappings begin and break, and what the next one knows."""

from __future__ import annotations

import pytest

from agent.acquire.session_time import BREAKS_MAX, BREAKS_PER_S, SessionTime
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.acquire.wire_event import SenderReport, Span
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError
from tests.simulators.rtsp_camera import ntp64

NOW = Instant(0)
WALL = WallTime(1_790_000_000 * SECOND_NS)
AGREED = ClockOffset(0, 0)


def span(rtp: int, wall: WallTime = WALL) -> Span:
    """Make a span of one picture."""
    return Span(b"x", is_key=True, first_arrival=wall, last_arrival=wall, first_rtp=rtp, last_rtp=rtp)


def test_span_before_any_arrival_dates_itself() -> None:
    """A span that comes out before the newest picture was noted is dated by its own last packet."""
    anchor = SessionTime(None, NOW).anchor(span(7))
    assert (anchor.rtp, anchor.source) == (7, ClockSource.ARRIVAL)


def test_report_of_a_session_outlives_its_run() -> None:
    """A new run, also with another offset of the camera's clock, begins with what the camera last reported."""
    time = SessionTime(None, NOW)
    assert time.reported(SenderReport(ntp64(WALL), 0, 0), WALL)
    time.begin_run_with(AGREED)
    assert time.anchor(span(0)).source is ClockSource.SR_ONVIF
    time.begin_run()
    assert time.anchor(span(0)).source is ClockSource.SR_ONVIF


def test_newer_clock_is_followed_in_the_same_run_unless_it_is_another() -> None:
    """The report that came before it counts by it at once; three seconds are no drift, and break the mapping."""
    time = SessionTime(None, NOW)
    assert time.set_clock(None)
    assert time.reported(SenderReport(ntp64(WALL), 0, 0), WALL)
    assert time.anchor(span(0)).source is ClockSource.ARRIVAL
    assert time.set_clock(ClockOffset(-30_000_000, -10_000_000))
    anchor = time.anchor(span(0))
    assert (anchor.source, anchor.hub - WALL) == (ClockSource.SR_ONVIF, 20_000_000)
    assert not time.set_clock(ClockOffset(3 * SECOND_NS, 3 * SECOND_NS))


def test_jump_forgets_the_report() -> None:
    """Timestamps that begin anew have nothing to do with what was reported of the old ones."""
    time = SessionTime(AGREED, NOW)
    assert time.reported(SenderReport(ntp64(WALL), 0, 0), WALL)
    time.jumped()
    assert time.anchor(span(2**31)).source is ClockSource.ARRIVAL


def test_clock_that_the_camera_set_breaks_the_mapping() -> None:
    """A report three seconds off the one before says that a new run is due."""
    time = SessionTime(AGREED, NOW)
    assert time.reported(SenderReport(ntp64(WALL), 0, 0), WALL)
    assert not time.reported(SenderReport(ntp64(WALL - 3 * SECOND_NS), 0, 0), WALL)


def test_absurd_reports_are_counted_over_all_runs() -> None:
    """An hour off is no time of these pictures; the count belongs to the session."""
    time = SessionTime(AGREED, NOW)
    for _ in range(2):
        assert time.arrived(0, WALL)
        assert time.reported(SenderReport(ntp64(WALL - 3600 * SECOND_NS), 0, 0), WALL)
        time.jumped()
    assert time.reports_ignored == 2


def test_breaks_are_bounded_in_time() -> None:
    """Ten in a minute are borne, an eleventh is not; after a minute the count begins anew."""
    time = SessionTime(None, NOW)
    for _ in range(BREAKS_MAX):
        time.count_break(NOW)
    time.count_break(Instant(NOW + BREAKS_PER_S * SECOND_NS + 1))
    for _ in range(BREAKS_MAX - 1):
        time.count_break(Instant(NOW + BREAKS_PER_S * SECOND_NS + 1))
    with pytest.raises(BadInputError, match="jumped"):
        time.count_break(Instant(NOW + BREAKS_PER_S * SECOND_NS + 2))
