"""Camera time to hub time, with a stated bound and source for every mapping.

Rules of this file: integers only (nanoseconds, RTP ticks); a mapping is never rewritten, a step begins a new run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.clock import SECOND_NS, Instant, WallTime

VIDEO_CLOCK_HZ = 90_000
ARRIVAL_ERROR_NS = 500_000_000  # encoding, network and one tick, after the least late packet was seen
REPORT_ERROR_NS = 250_000_000  # of sender reports whose clock could not be compared with the hub's
STEP_NS_MAX = 1 * SECOND_NS  # a report that moves the mapping by more begins a new run
FUTURE_NS_MAX = 1 * SECOND_NS  # how far ahead of its arrival, beyond the error, a picture may claim to be
LATENESS_NS_MAX = 10 * SECOND_NS  # an older picture at its arrival is not believed
REPORT_AGE_NS_MAX = 300 * SECOND_NS  # a camera that stops reporting falls back to arrival, in a new run
HUB_STEP_NS_MAX = 100_000_000  # more between two ticks is a step of the hub's clock, not its discipline
HUB_READING_NS_MAX = 10_000_000  # a pair of clock readings that took longer proves nothing
_CREEP_PPM = 500  # the fastest a camera's clock is taken to lag behind the hub's
_WRAP = 1 << 32
_NTP_ERA_S = 1 << 32
_NTP_TO_UNIX_S = 2_208_988_800


class ClockSource(StrEnum):
    """Where a mapping comes from, best first."""

    SR_ONVIF = "sr+onvif"  # RTCP sender reports, corrected by the measured offset of the camera's clock
    SR = "sr"  # RTCP sender reports, offset bounded by arrival only
    ARRIVAL = "arrival"  # when the bytes came


@dataclass(frozen=True, slots=True)
class Anchor:
    """One known point of a run: RTP timestamp `rtp` was at `hub` (hub time), within `error_ns` either way."""

    rtp: int
    hub: WallTime
    error_ns: int
    source: ClockSource


def hub_time(anchor: Anchor, rtp: int, clock_hz: int = VIDEO_CLOCK_HZ) -> WallTime:
    """Map a 32-bit RTP timestamp within half a wrap (6.6 h at 90 kHz) of the anchor to hub time, to the nearest ns."""
    ticks = (rtp - anchor.rtp + _WRAP // 2) % _WRAP - _WRAP // 2
    return WallTime(anchor.hub + (2 * ticks * SECOND_NS + clock_hz) // (2 * clock_hz))


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The camera's clock minus the hub's, known to lie in `[low_ns, high_ns]`."""

    low_ns: int
    high_ns: int

    @property
    def estimate_ns(self) -> int:
        """The offset to correct by: none if the two clocks agree as far as could be measured, else the middle."""
        return 0 if self.low_ns <= 0 <= self.high_ns else (self.low_ns + self.high_ns) // 2

    @property
    def error_ns(self) -> int:
        """How far the truth may be from the estimate."""
        return max(abs(self.high_ns - self.estimate_ns), abs(self.estimate_ns - self.low_ns))


def ntp_to_unix_ns(ntp64: int) -> int:
    """Turn a 64-bit NTP timestamp into ns since 1970, to the nearest; seconds below 2^31 count from 2036 on."""
    seconds, fraction = ntp64 >> 32, ntp64 & (_WRAP - 1)
    seconds += 0 if seconds >= _NTP_ERA_S // 2 else _NTP_ERA_S
    return (seconds - _NTP_TO_UNIX_S) * SECOND_NS + (fraction * SECOND_NS + _WRAP // 2) // _WRAP


class Timeline:
    """One run's mapping as it becomes known: first from arrival, then from the camera's sender reports.

    `arrived` and `reported` return False when the mapping broke: what follows belongs to a new run with a new Timeline.
    """

    def __init__(self, clock_hz: int, clock: ClockOffset | None, report: tuple[int, int] | None = None) -> None:
        self._clock_hz = clock_hz
        self._clock = clock
        self._waiting = report  # NTP and RTP time of a report that came before any picture of this run
        self._arrival: Anchor | None = None
        self._report: Anchor | None = None
        self.reports_ignored = 0

    @property
    def anchor(self) -> Anchor | None:
        """The best mapping known now; None before the first arrival."""
        return self._report or self._arrival

    def arrived(self, rtp: int, arrival: WallTime) -> bool:
        """Note that the picture `rtp` was there at `arrival`.

        The least late picture counts: the mapping moves earlier at once, and later by at most 500 ppm of the time
        passed (the camera's clock may lag). False if pictures come unbelievably late, or reports have stopped.
        """
        if self._arrival is None:
            self._arrival = Anchor(rtp, arrival, ARRIVAL_ERROR_NS, ClockSource.ARRIVAL)
            if self._waiting is not None:  # now there is a picture to judge it by
                self.reported(*self._waiting, rtp, arrival)
            return True
        expected = hub_time(self._arrival, rtp, self._clock_hz)
        creep_ns = max(0, expected - self._arrival.hub) * _CREEP_PPM // 1_000_000
        hub = WallTime(min(arrival, expected + creep_ns))
        self._arrival = Anchor(rtp, hub, ARRIVAL_ERROR_NS, ClockSource.ARRIVAL)
        has_fresh_report = self._report is None or arrival - self._report.hub <= REPORT_AGE_NS_MAX
        return arrival - hub <= LATENESS_NS_MAX and has_fresh_report

    def reported(self, ntp64: int, rtp: int, newest_rtp: int | None, arrival: WallTime) -> bool:
        """Take a sender report that came after the picture `newest_rtp`; False if it moves the mapping by over 1 s.

        A report that makes a picture come from the future or far too late is ignored and counted.
        """
        if newest_rtp is None:
            self._waiting = (ntp64, rtp)
            return True
        anchor = self._anchor_of(ntp64, rtp)
        if anchor is None:
            return True
        picture = hub_time(anchor, newest_rtp, self._clock_hz)
        if not -FUTURE_NS_MAX - anchor.error_ns <= arrival - picture <= LATENESS_NS_MAX:
            self.reports_ignored += 1
            return True
        if self._report is not None and abs(anchor.hub - hub_time(self._report, rtp, self._clock_hz)) > STEP_NS_MAX:
            return False
        self._report = anchor
        return True

    def _anchor_of(self, ntp64: int, rtp: int) -> Anchor | None:
        if ntp64 == 0:  # RFC 3550 section 6.4.1: the camera has no notion of time
            return None
        if self._clock is not None:
            hub = WallTime(ntp_to_unix_ns(ntp64) - self._clock.estimate_ns)
            return Anchor(rtp, hub, self._clock.error_ns, ClockSource.SR_ONVIF)
        if self._arrival is None:
            return None
        # The camera's clock is of no use, its word for which picture is how old is: the least late arrival dates it.
        return Anchor(rtp, hub_time(self._arrival, rtp, self._clock_hz), REPORT_ERROR_NS, ClockSource.SR)


class StepWatch:
    """Notices when the hub's own UTC clock was set, by what its monotonic clock says has passed."""

    def __init__(self) -> None:
        self._difference: int | None = None

    def is_step(self, before: Instant, now: WallTime, after: Instant) -> bool:
        """Take a UTC reading and the instants around it; say whether UTC has jumped since the last one."""
        if after - before > HUB_READING_NS_MAX:
            return False
        difference = now - before
        is_step = self._difference is not None and abs(difference - self._difference) > HUB_STEP_NS_MAX
        self._difference = difference
        return is_step
