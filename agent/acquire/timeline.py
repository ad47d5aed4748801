"""A picture's RTP timestamp to hub time: where a run of camera time lies on the hub's clock, within which bound.

What the bounds rest on, each a named number below: of all that comes within 5 s one picture at least is there within
`LATENCY_NS_MAX` of being taken; no arrival is dated before its picture was taken by more than a tick; the camera's
clock and the hub's go apart by at most `RATE_PPM_MAX`. The time meant is the hub's own UTC. If the hub is wrong, so is
everything here, and `Clock.is_trusted` says so. A leap second is a step of the hub's clock by a second: a new run, and
the second that UTC counts twice stands in two runs; a smeared one is a clock that is slewed.

Rules of this file: integers only (nanoseconds, RTP ticks).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.clock import SECOND_NS, WallTime

VIDEO_CLOCK_HZ = 90_000
MS_NS: Final = 1_000_000

LATENCY_NS_MAX: Final = 400 * MS_NS
"""The least late picture of 5 s: encoding (20 to 90 ms measured, more with look-ahead), network, waiting for a tick.

A camera of two pictures a second or fewer, in step with the ticks, may exceed it by the time between two pictures.
"""

RATE_PPM_MAX: Final = 600
"""How fast the two clocks go apart: a cheap crystal is 100 ppm off, and chrony or timesyncd slews the hub by 500."""

ARRIVAL_ERROR_NS: Final = 500 * MS_NS
"""Of arrival once it is learned: `LATENCY_NS_MAX`, drift while looking, and some room for the mapping to follow."""

LEARNING_ERROR_NS: Final = 2 * SECOND_NS
"""Of arrival in a run's first seconds: cameras begin with what they have buffered, and one picture proves little."""

_WRAP: Final = 1 << 32
_NTP_ERA_S: Final = 1 << 32
_NTP_TO_UNIX_S: Final = 2_208_988_800


class ClockSource(StrEnum):
    """Where a mapping comes from, best first."""

    SR_ONVIF = "sr+onvif"  # RTCP sender reports, corrected by the measured offset of the camera's clock
    SR = "sr"  # arrival, of a camera that sends reports but does not tell its time: they could not be used
    ARRIVAL = "arrival"  # when the bytes came


@dataclass(frozen=True, slots=True)
class Anchor:
    """One known point of a run: RTP timestamp `rtp` was at `hub` (hub time), within `error_ns` either way."""

    rtp: int
    hub: WallTime
    error_ns: int
    source: ClockSource

    @property
    def is_settled(self) -> bool:
        """Whether this is the last word on the pictures it was given for; a first guess gives way to the next settled.

        Only the first `clock_recovery.LEARN_NS` of a run have guesses, and only while no sender report helps.
        """
        return self.error_ns < LEARNING_ERROR_NS


def hub_time(anchor: Anchor, rtp: int, clock_hz: int = VIDEO_CLOCK_HZ) -> WallTime:
    """Map a 32-bit RTP timestamp within half a wrap (6.6 h at 90 kHz) of the anchor to hub time, to the nearest ns."""
    return WallTime(anchor.hub + ticks_ns(ticks_between(anchor.rtp, rtp), clock_hz))


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The camera's clock minus the hub's, known to lie in `[low_ns, high_ns]`."""

    low_ns: int
    high_ns: int
    at: WallTime | None = None  # when it did, by the hub's clock; None: it is used at once

    @property
    def estimate_ns(self) -> int:
        """The offset to correct by: none if the two clocks agree as far as could be measured, else the middle."""
        return 0 if self.low_ns <= 0 <= self.high_ns else (self.low_ns + self.high_ns) // 2

    @property
    def error_ns(self) -> int:
        """How far the truth may be from the estimate."""
        return max(abs(self.high_ns - self.estimate_ns), abs(self.estimate_ns - self.low_ns))

    def drift_ns(self, now: WallTime) -> int:
        """How far the two clocks can have gone apart since, at `RATE_PPM_MAX`."""
        return 0 if self.at is None else abs(now - self.at) * RATE_PPM_MAX // 1_000_000


def ntp_to_unix_ns(ntp64: int) -> int:
    """Turn a 64-bit NTP timestamp into ns since 1970, to the nearest; seconds below 2^31 count from 2036 on."""
    seconds, fraction = ntp64 >> 32, ntp64 & (_WRAP - 1)
    seconds += 0 if seconds >= _NTP_ERA_S // 2 else _NTP_ERA_S
    return (seconds - _NTP_TO_UNIX_S) * SECOND_NS + (fraction * SECOND_NS + _WRAP // 2) // _WRAP


def ticks_between(first: int, second: int) -> int:
    """Return how far the 32-bit timestamp `second` is after `first`, negative if before, within half a wrap."""
    return (second - first + _WRAP // 2) % _WRAP - _WRAP // 2


def ticks_ns(ticks: int, clock_hz: int) -> int:
    """Return how long so many ticks take, to the nearest ns."""
    return (2 * ticks * SECOND_NS + clock_hz) // (2 * clock_hz)
