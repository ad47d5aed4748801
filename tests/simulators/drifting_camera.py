"""A camera whose clock is wrong and runs at another rate than the hub's, its network, and who measures that clock.

Hours of it pass in a second: it is read as the reader reads, tick by tick, and every picture's true time is known.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.acquire.session_time import SessionTime
from agent.acquire.timeline import Anchor, ClockOffset, hub_time
from agent.acquire.wire_event import SenderReport, Span
from agent.clock import SECOND_NS, Instant, WallTime
from tests.simulators.rtsp_camera import ntp64

HZ: Final = 90_000
MS: Final = 1_000_000
T0: Final = WallTime(1_790_000_000 * SECOND_NS)


@dataclass(frozen=True)
class DriftingCamera:
    """A camera; rates are against the hub's clock, and its timestamps and its reports run at the same one."""

    ppm: int = 200
    offset_ns: int = 3600 * SECOND_NS
    latency_ms: int = 50
    jitter_ms: int = 20
    stall_every_s: int = 0  # so often nothing arrives for up to 4 s, then everything
    report_s: int = 5
    first_rtp: int = 0
    reconnect_s: int = 0  # so often the session ends and another begins, with other timestamps
    measured_every_s: int = 60
    measured_within_ms: int = 12  # either way
    deaf_s: int = 0  # from then on its clock cannot be measured

    def clock_ns(self, taken: int) -> int:
        """Return what its clock says at a moment (ns since the start, by the hub)."""
        return T0 + taken + self.offset_ns + taken * self.ppm // 10**6

    def rtp(self, taken: int) -> int:
        """Return the timestamp of a picture that was taken then."""
        session = taken // (self.reconnect_s * SECOND_NS) if self.reconnect_s else 0
        return (self.first_rtp + session * 123_456_789 + self.clock_ns(taken) * HZ // SECOND_NS) % 2**32

    def measured(self, now: int, chance: random.Random) -> ClockOffset:
        """Return what a measurement says of its clock, the truth anywhere in it."""
        truth, width = self.clock_ns(now) - T0 - now, 2 * self.measured_within_ms * MS
        low = truth - chance.randrange(width + 1)
        return ClockOffset(low, low + width, WallTime(T0 + now))


@dataclass(frozen=True)
class Dated:
    """One picture as it was read, and the mapping that was known then."""

    session: int
    taken: int  # ns since the start, true
    rtp: int
    anchor: Anchor

    def error_ns(self, anchor: Anchor) -> int:
        """How far a mapping is from the truth."""
        return abs(hub_time(anchor, self.rtp) - T0 - self.taken)


def watch(camera: DriftingCamera, seconds: int, tick_ms: int = 500, seed: int = 1) -> Iterator[Dated]:
    """Read a camera for so long."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable test
    session, time, taken, reported, stall_until = -1, SessionTime(None, Instant(0)), -1, 0, 0
    clock = camera.measured(0, chance)
    for now in range(tick_ms * MS, seconds * SECOND_NS, tick_ms * MS):
        wall = WallTime(T0 + now)
        if camera.stall_every_s and chance.random() < tick_ms / 1000 / camera.stall_every_s:
            stall_until = now + chance.randrange(4 * SECOND_NS)
        is_due = camera.measured_every_s and now - (clock.at or 0) + T0 >= camera.measured_every_s * SECOND_NS
        if is_due and (not camera.deaf_s or now < camera.deaf_s * SECOND_NS):
            clock = camera.measured(now, chance)
            if not time.set_clock(clock):
                time.begin_run()
        late = camera.latency_ms * MS + chance.randrange(camera.jitter_ms * MS + 1)
        if now < stall_until or now - late <= taken + 10 * MS:
            continue
        taken = now - late
        if session != (session := taken // (camera.reconnect_s * SECOND_NS) if camera.reconnect_s else 0):
            time, reported = SessionTime(clock, Instant(now)), 0
        rtp = camera.rtp(taken)
        if not time.arrived(rtp, wall):
            time.begin_run()
        if camera.report_s and taken - reported >= camera.report_s * SECOND_NS:
            reported = taken
            report = SenderReport(ntp64(camera.clock_ns(taken)) % 2**64, rtp, rtp)
            if not time.reported(report, wall):
                time.begin_run()
        span = Span(b"", is_key=True, first_arrival=wall, last_arrival=wall, first_rtp=rtp, last_rtp=rtp)
        yield Dated(session, taken, rtp, time.anchor(span))


def resolved(pictures: list[Dated]) -> list[tuple[Dated, Anchor]]:
    """Resolve first guesses as the ring does: by the nearest later settled mapping of the session, else by the last."""
    final: list[tuple[Dated, Anchor]] = []
    known, session = None, None
    for picture in reversed(pictures):
        known = picture.anchor if known is None or picture.session != session or picture.anchor.is_settled else known
        session = picture.session
        final.append((picture, known))
    return final[::-1]
