"""One session with one camera, from received bytes to spans with their run and mapping; the socket is not here.

Rules of this file: a run is one unbroken mapping; when the mapping breaks (timestamps jump, a report or the hub's clock
steps) a new run begins where it broke, and recording goes on without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.acquire.camera import CameraStream
from agent.acquire.rtsp import Ended, Follow, Send, Session
from agent.acquire.stream import StreamHeader, encode_stream_header
from agent.acquire.timeline import VIDEO_CLOCK_HZ, Anchor, ClockOffset, Timeline
from agent.acquire.wire import RtspMessage, SenderReport, Span, TimestampJump, WireBuffer, WireEvent
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError, UnavailableError

VIDEO_S_MAX: Final = 10  # without a video packet the session is dead, whatever else the camera still sends
BREAKS_MAX: Final = 10  # within `BREAKS_PER_S`; each costs a stream header in the ring
BREAKS_PER_S: Final = 60
RUN_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A new run; the spans that follow belong to it."""

    header: StreamHeader


@dataclass(frozen=True, slots=True)
class Recorded:
    """A span to store, with the best mapping known now."""

    span: Span
    anchor: Anchor


class RunNumbers:
    """Numbers for runs: unique on this hub, rising, and not below the time, so that they rise over a restart."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, wall: WallTime) -> int:
        """Return the next number."""
        self._last = max(self._last + 1, wall)
        return self._last


ReaderEvent = Send | RunBegan | Recorded | Ended


class Reader:
    """Reads one camera's session; `runs` numbers the runs of all cameras of this hub.

    Raises BadInputError when the camera's bytes cannot be read; the session is over then.
    """

    def __init__(self, stream: CameraStream, cnonce: str, now: Instant, runs: RunNumbers) -> None:
        self._runs = runs
        self.reports_ignored = 0
        self._stream = stream
        self._session = Session(stream.url, stream.login, cnonce, now)
        self._wire = WireBuffer()
        self._follow: Follow | None = None
        self._timeline: Timeline | None = None
        self._report: tuple[int, int] | None = None  # the newest report of this session, for the next run's mapping
        self._has_run = False
        self._video_at = now
        self._clock = stream.clock
        self._breaks, self._breaks_since = 0, now

    @property
    def is_playing(self) -> bool:
        """Whether the camera said yes to PLAY."""
        return self._session.is_playing

    def room(self) -> memoryview:
        """Return where received bytes go; ends the life of all spans given out."""
        return self._wire.room()

    def received(self, count: int, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        """Read `count` bytes that were written into `room`; act on each event before asking for the next."""
        self._wire.received(count)
        before = self._wire.newest_rtp
        for event in self._wire.scan(wall):
            yield from self._take(event, now, wall)
        newest = self._wire.newest_rtp
        if newest != before:
            self._video_at = now
            yield from self._note_arrival(newest, now, wall)

    def act(self, now: Instant) -> Iterator[ReaderEvent]:
        """Do what is due: requests, keep-alives, and the end of a session without video (BadInputError)."""
        while (effect := self._session.next_effect(now)) is not None:
            if isinstance(effect, Follow):
                video = effect.tracks[0]
                self._follow, self._video_at = effect, now
                encode_stream_header(self._header(RUN_MAX))  # a description too long for the ring ends the session here
                self._wire.follow(video.channel, video.encoding, video.clock_rate_hz)
            else:
                yield effect
        if self._session.is_playing and now - self._video_at > VIDEO_S_MAX * SECOND_NS:
            raise UnavailableError(
                f"no video for {VIDEO_S_MAX} s", cure="look whether the camera shows a picture itself"
            )

    def cut(self, wall: WallTime) -> Iterator[ReaderEvent]:
        """Give out what has grown so far."""
        span = self._wire.cut()
        if span is not None:
            yield from self._recorded(span, wall)

    def begin_run(self, wall: WallTime, clock: ClockOffset | None) -> Iterator[ReaderEvent]:
        """End the run here and go on in a new one, because the hub's clock or the camera's offset is another now."""
        yield from self.cut(wall)
        self._clock, self._timeline, self._has_run = clock, None, False

    def begin_anew(self) -> None:
        """Forget what has grown and begin a new run with the next key picture, because it goes to another place."""
        self._timeline, self._has_run = None, False
        self._wire.wait_for_key()

    def leave(self, now: Instant) -> Iterator[ReaderEvent]:
        """Say goodbye to the camera."""
        self._session.leave(now)
        while (effect := self._session.next_effect(now)) is not None:
            if isinstance(effect, Send):
                yield effect

    def _take(self, event: WireEvent, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        match event:
            case RtspMessage(octets):
                self._session.feed(octets, now)
                yield from self.act(now)
            case Span():
                yield from self._recorded(event, wall)
            case TimestampJump():  # the span before it was given out already, the next one has begun
                self._count_break(now)
                self._timeline, self._has_run, self._report = None, False, None
            case SenderReport(ntp64, rtp, newest_rtp):
                self._report = (ntp64, rtp)
                yield from self._note_arrival(newest_rtp, now, wall)
                timeline = self._timeline_now()
                ignored = timeline.reports_ignored
                is_unbroken = timeline.reported(ntp64, rtp, newest_rtp, wall)
                self.reports_ignored += timeline.reports_ignored - ignored
                if not is_unbroken:
                    yield from self._break(now, wall)

    def _recorded(self, span: Span, wall: WallTime) -> Iterator[ReaderEvent]:
        timeline = self._timeline_now()
        if timeline.anchor is None:
            timeline.arrived(span.last_rtp, span.last_arrival)
        anchor = timeline.anchor
        if not self._has_run:
            self._has_run = True
            yield RunBegan(self._header(self._runs.take(wall)))
        if anchor is not None:  # always: `arrived` sets it
            yield Recorded(span, anchor)

    def _header(self, run: int) -> StreamHeader:
        tracks, sdp = (self._follow.tracks, self._follow.sdp) if self._follow else ((), "")
        return StreamHeader(self._stream.camera, run, tracks, self._stream.name, sdp)

    def _note_arrival(self, rtp: int | None, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        if rtp is not None and not self._timeline_now().arrived(rtp, wall):
            yield from self._break(now, wall)

    def _break(self, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        """Begin a new run since the mapping broke; what has grown still belongs to the old one."""
        self._count_break(now)
        yield from self.begin_run(wall, self._clock)

    def _count_break(self, now: Instant) -> None:
        if now - self._breaks_since > BREAKS_PER_S * SECOND_NS:
            self._breaks, self._breaks_since = 0, now
        self._breaks += 1
        if self._breaks > BREAKS_MAX:
            raise BadInputError(f"the camera's time jumped {self._breaks} times within {BREAKS_PER_S} s")

    def _timeline_now(self) -> Timeline:
        if self._timeline is None:
            hertz = self._follow.tracks[0].clock_rate_hz if self._follow else VIDEO_CLOCK_HZ
            self._timeline = Timeline(hertz, self._clock, self._report)
        return self._timeline
