"""Camera time to hub time, with a stated bound and source for every mapping.

Rules of this file: integers only (nanoseconds, RTP ticks); a mapping is never rewritten, a step begins a new run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.clock import SECOND_NS, WallTime

VIDEO_CLOCK_HZ = 90_000
_WRAP = 1 << 32


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
