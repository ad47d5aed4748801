"""A sound packet's RTP timestamp becomes hub time, beside the pictures' own.

The pictures have a mapping to hub time in every chunk; sound has an RTP clock of its own. What lies between the two is
read from the camera's sender reports: a pair of them, one of each track, says which timestamps of both were at one
moment of the camera's clock. Without reports, sound is taken to be as old as the picture that came just before it:
their way through the camera may differ by `LATENCY_NS_MAX`.

Rules of this file: integers only; a report that puts sound more than `APART_NS_MAX` from where it came is not believed;
sound whose time then still is further than `STRAY_NS_MAX` from the pictures it came with has no time and is left out.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median_low
from typing import Final

from msgspec import Struct

from agent.acquire.timeline import LATENCY_NS_MAX, MS_NS, VIDEO_CLOCK_HZ
from agent.clock import SECOND_NS, WallTime
from agent.cut.sound_rtp import SenderReport, SoundPacket, SoundRun

APART_NS_MAX: Final = 1 * SECOND_NS  # sound and picture of one moment are sent at most so far apart
STRAY_NS_MAX: Final = 2 * SECOND_NS
REPORT_ERROR_NS: Final = 10 * MS_NS
"""How exactly cameras write reports, and how far the two RTP clocks drift apart between two of them (30 s, 100 ppm)."""

BY_REPORTS: Final = "sr"
BY_ARRIVAL: Final = "arrival"
_WRAP: Final = 1 << 32
_NTP_WRAP: Final = 1 << 64


class SoundClock(Struct, frozen=True):
    """One run's mapping. `shifts` are what sound lies behind the pictures on their line, by the reports' place."""

    rate_hz: int  # of the sound's RTP clock
    origin: int  # sound's RTP timestamp at the line's zero, and the pictures'
    video_origin: int
    shifts: tuple[tuple[int, int], ...]  # (sound's ns on its own line, ns to add), at least one
    source: str

    @property
    def error_ns(self) -> int:
        """How far sound may be from its place beside the pictures."""
        return REPORT_ERROR_NS if self.source == BY_REPORTS else LATENCY_NS_MAX

    def time_of(self, packet: SoundPacket, rtp: int) -> WallTime | None:
        """Return the hub time of a timestamp of this packet; None if it cannot be true."""
        sound_ns = _line_ns(self.origin, rtp, self.rate_hz)
        _, shift_ns = min(self.shifts, key=lambda shift: abs(shift[0] - sound_ns))
        line_ns = sound_ns + shift_ns
        if packet.video_rtp is None:
            return None
        if abs(line_ns - _line_ns(self.video_origin, packet.video_rtp, VIDEO_CLOCK_HZ)) > STRAY_NS_MAX:
            return None
        return WallTime(packet.anchor.hub + line_ns - _line_ns(self.video_origin, packet.anchor.rtp, VIDEO_CLOCK_HZ))


def sound_clock(run: SoundRun) -> SoundClock | None:
    """Find a run's mapping; None if no packet of sound came beside a picture."""
    beside = [packet for packet in run.packets if packet.video_rtp is not None]
    if not beside:
        return None
    rate_hz, origin, video_origin = run.track.clock_rate_hz, beside[0].rtp, beside[0].video_rtp or 0
    steps = [_ticks(one.rtp, other.rtp) for one, other in pairwise(beside)]
    step = median_low(sorted(steps)) if steps else 0  # the packet's last sample came, not its first
    lags = [
        _line_ns(video_origin, p.video_rtp or 0, VIDEO_CLOCK_HZ) - _line_ns(origin, (p.rtp + step) % _WRAP, rate_hz)
        for p in beside
    ]
    arrival_ns = median_low(sorted(lags))
    shifts = []
    for report in run.reports:
        other = min(run.video_reports, key=lambda one: abs(_ntp_ns(report, one)), default=None)
        if other is None:
            break
        sound_ns = _line_ns(origin, report.rtp, rate_hz)
        shift_ns = _line_ns(video_origin, other.rtp, VIDEO_CLOCK_HZ) + _ntp_ns(other, report) - sound_ns
        if abs(shift_ns - arrival_ns) <= APART_NS_MAX:
            shifts.append((sound_ns, shift_ns))
    if shifts:
        return SoundClock(rate_hz, origin, video_origin, tuple(shifts), BY_REPORTS)
    return SoundClock(rate_hz, origin, video_origin, ((0, arrival_ns),), BY_ARRIVAL)


def _ntp_ns(before: SenderReport, after: SenderReport) -> int:
    difference = (after.ntp64 - before.ntp64 + _NTP_WRAP // 2) % _NTP_WRAP - _NTP_WRAP // 2
    return difference * SECOND_NS >> 32


def _ticks(first: int, second: int) -> int:
    return (second - first + _WRAP // 2) % _WRAP - _WRAP // 2


def _line_ns(origin: int, rtp: int, rate_hz: int) -> int:
    return (2 * _ticks(origin, rtp) * SECOND_NS + rate_hz) // (2 * rate_hz)
