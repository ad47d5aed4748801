"""One session's camera time from run to run: what a span's anchor is, and when the mapping has broken.

Rules of this file: a run is one unbroken mapping; a new one begins where it broke, and it may know the session's newest
sender report already.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.clock_recovery import Timeline
from agent.acquire.timeline import VIDEO_CLOCK_HZ, Anchor, ClockOffset
from agent.acquire.wire_event import SenderReport, Span
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError

BREAKS_MAX: Final = 10  # within `BREAKS_PER_S`; each costs a stream header in the ring
BREAKS_PER_S: Final = 60


class SessionTime:
    """Maps a session's RTP timestamps to hub time.

    `arrived`, `reported` and `set_clock` return False when the mapping broke.
    """

    def __init__(self, clock: ClockOffset | None, now: Instant) -> None:
        self.reports_ignored = 0
        self._clock = clock
        self._clock_hz = VIDEO_CLOCK_HZ
        self._run: Timeline | None = None
        self._report: tuple[int, int] | None = None  # the session's newest, for the next run's mapping
        self._breaks, self._breaks_since = 0, now

    def follow(self, clock_hz: int) -> None:
        """Say how fast the video's RTP clock ticks."""
        self._clock_hz = clock_hz

    def begin_run(self) -> None:
        """Map anew from here on."""
        self._run = None

    def begin_run_with(self, clock: ClockOffset | None) -> None:
        """Map anew, with another offset of the camera's clock."""
        self._clock, self._run = clock, None

    def set_clock(self, clock: ClockOffset | None) -> bool:
        """Map on with a newer offset of the camera's clock; False if that breaks the mapping."""
        self._clock = clock
        return self._run is None or self._run.set_clock(clock)

    def jumped(self) -> None:
        """Map anew, since the camera's timestamps jumped: what it reported before says nothing about them."""
        self._run = self._report = None

    def anchor(self, span: Span) -> Anchor:
        """Return the best mapping known for a span now."""
        run = self._current()
        if run.anchor is None:
            run.arrived(span.last_rtp, span.last_arrival)
        if run.anchor is None:
            raise BadInputError("a picture without a time")  # `arrived` always sets one
        return run.anchor

    def arrived(self, rtp: int, wall: WallTime) -> bool:
        """Note that the picture `rtp` is there; if that breaks the mapping, its reports say nothing any more."""
        is_unbroken = self._current().arrived(rtp, wall)
        self._report = self._report if is_unbroken else None
        return is_unbroken

    def reported(self, report: SenderReport, wall: WallTime) -> bool:
        """Take the camera's own time for one of its timestamps."""
        self._report = (report.ntp64, report.rtp)
        if report.newest_rtp is not None and not self.arrived(report.newest_rtp, wall):
            return False
        run = self._current()
        ignored = run.reports_ignored
        is_unbroken = run.reported(report.ntp64, report.rtp, report.newest_rtp, wall)
        self.reports_ignored += run.reports_ignored - ignored
        return is_unbroken

    def count_break(self, now: Instant) -> None:
        """Count a broken mapping; raises BadInputError for a camera whose time jumps without end."""
        if now - self._breaks_since > BREAKS_PER_S * SECOND_NS:
            self._breaks, self._breaks_since = 0, now
        self._breaks += 1
        if self._breaks > BREAKS_MAX:
            raise BadInputError(f"the camera's time jumped {self._breaks} times within {BREAKS_PER_S} s")

    def _current(self) -> Timeline:
        if self._run is None:
            self._run = Timeline(self._clock_hz, self._clock, self._report)
        return self._run
