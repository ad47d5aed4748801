"""One session with one camera, from received bytes to spans with their run and mapping; the socket is not here.

Rules of this file: a run is one unbroken mapping; when the mapping breaks (timestamps jump, a report or the hub's clock
steps) a new run begins where it broke, and recording goes on without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from agent.acquire.camera import CameraStream
from agent.acquire.receive_memory import ReceiveMemory
from agent.acquire.rtsp import Session
from agent.acquire.rtsp_message import MessageBuffer
from agent.acquire.session_effect import Ended, Follow, NeedPorts, Send, UsePorts
from agent.acquire.session_time import SessionTime
from agent.acquire.stream import StreamHeader, encode_stream_header
from agent.acquire.timeline import Anchor, ClockOffset
from agent.acquire.wire import WireBuffer
from agent.acquire.wire_counts import WireCounts
from agent.acquire.wire_event import RtspMessage, SenderReport, Span, TimestampJump, WireEvent
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import UnavailableError

VIDEO_S_MAX: Final = 10  # without a video packet the session is dead, whatever else the camera still sends
RUN_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A new run; the spans that follow belong to it."""

    header: StreamHeader


class Recorded(NamedTuple):
    """A span to store, with the best mapping known now."""

    span: Span
    anchor: Anchor


class RunNumbers:
    """Numbers for runs: unique on this hub, rising, and not below the time.

    `last` is the highest number that the ring holds: runs rise over a restart even if the clock was far ahead once.
    """

    def __init__(self, last: int = 0) -> None:
        self._last = last

    @property
    def next_at_least(self) -> int:
        """The next number is this, or above."""
        return self._last + 1

    def take(self, wall: WallTime) -> int:
        """Return the next number."""
        self._last = max(self._last + 1, wall)
        return self._last


ReaderEvent = Send | NeedPorts | UsePorts | RunBegan | Recorded | Ended


class Reader:
    """Reads one camera's session; `runs` numbers the runs of all cameras of this hub, `memory` is where they are read.

    What its shell does with the events, each before it asks for the next one:

    - `Send`: write the bytes to the RTSP connection (TLS if the URL is `rtsps`).
    - `RunBegan`, `Recorded`: store them.
    - `NeedPorts(tracks)`: bind as many pairs of UDP ports, then call `use_ports`. If that cannot be done, do nothing:
      the session ends as UNUSABLE. From `use_ports` on the connection's bytes go to `received_control`, and `room` and
      `received` take the datagrams: each as a frame `$`, channel, 16-bit length, payload. Track n (from 0) has channel
      2n for what comes to its RTP port and 2n + 1 for its RTCP port. The camera's own address is the only sender taken.
    - `UsePorts(server_ports)`: take datagrams of track n from these ports of the camera only (any port where it is 0),
      and close the pairs beyond. PLAY is sent next.
    - `Ended`: close the connection; if it has a `location`, dial that at once, at most three in a row; wait at least
      `retry_s` before the next try.

    Raises BadInputError when the camera's bytes cannot be read; the session is over then.
    """

    def __init__(
        self,
        stream: CameraStream,
        cnonce: str,
        now: Instant,
        runs: RunNumbers,
        memory: ReceiveMemory,
        *,
        is_trusted: bool = True,
    ) -> None:
        self._runs = runs
        self._stream = stream
        self._session = Session(
            stream.url, stream.login, cnonce, now, has_sound=stream.has_sound, is_trusted=is_trusted
        )
        self._wire = WireBuffer(memory)
        self._control: MessageBuffer | None = None
        self._follow: Follow | None = None
        self._time = SessionTime(stream.clock, now)
        self._has_run = False
        self._video_at = now

    @property
    def is_playing(self) -> bool:
        """Whether the camera said yes to PLAY."""
        return self._session.is_playing

    @property
    def counts(self) -> WireCounts:
        """What came over the wire in this session, and what is missing."""
        return self._wire.counts

    @property
    def reports_ignored(self) -> int:
        """How many sender reports of this session contradicted arrival."""
        return self._time.reports_ignored

    def room(self) -> memoryview:
        """Return where received bytes go; ends the life of all spans given out, of any camera in the same memory."""
        return self._wire.room()

    def received(self, count: int, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        """Read `count` bytes that were written into `room`; act on each event before asking for the next."""
        self._wire.received(count)
        before = self._wire.newest_rtp
        for event in self._wire.scan(wall):
            yield from self._take(event, now, wall)
        newest = self._wire.newest_rtp
        if newest is not None and newest != before:
            self._video_at = now
            if not self._time.arrived(newest, wall):
                yield from self._break(now, wall)

    def use_ports(self, ports: Sequence[tuple[int, int]], now: Instant) -> None:
        """Answer `NeedPorts` with bound pairs of local UDP ports (RTP, RTCP), one pair for each track."""
        self._control = MessageBuffer()
        self._session.use_ports(ports, now)

    def received_control(self, octets: bytes, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        """Read what came over the RTSP connection, after `use_ports`; act on each event before asking for the next."""
        if self._control is not None:
            for message in self._control.feed(octets):
                yield from self._take(RtspMessage(message), now, wall)

    def act(self, now: Instant) -> Iterator[ReaderEvent]:
        """Do what is due: requests, keep-alives, and the end of a session without video (UnavailableError)."""
        while (effect := self._session.next_effect(now)) is not None:
            if isinstance(effect, Follow):
                self._follow, self._video_at = effect, now
                encode_stream_header(self._header(RUN_MAX))  # what the ring could not take ends the session here
                self._wire.follow(effect.tracks)
                self._time.follow(effect.tracks[0].clock_rate_hz)
            else:
                yield effect
        if self._session.is_playing and now - self._video_at > VIDEO_S_MAX * SECOND_NS:
            raise UnavailableError(
                f"no video for {VIDEO_S_MAX} s", cure="look whether the camera shows a picture itself"
            )

    def cut(self, wall: WallTime, bytes_min: int = 0) -> Iterator[ReaderEvent]:
        """Give out what has grown so far, if it is at least `bytes_min`."""
        span = self._wire.cut(bytes_min)
        if span is not None:
            yield from self._recorded(span, wall)

    def begin_run(self, wall: WallTime, clock: ClockOffset | None) -> Iterator[ReaderEvent]:
        """End the run here and go on in a new one, because the hub's clock was set and the offset is another now."""
        yield from self.cut(wall)
        self._time.begin_run_with(clock)
        self._has_run = False

    def set_clock(self, now: Instant, wall: WallTime, clock: ClockOffset | None) -> Iterator[ReaderEvent]:
        """Go on with a newer measurement of the camera's clock, in the same run unless it is another by over 1 s."""
        if not self._time.set_clock(clock):
            yield from self._break(now, wall)

    def begin_anew(self) -> None:
        """Forget what has grown and begin a new run with the next key picture, because it goes to another place."""
        self._time.begin_run()
        self._has_run = False
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
                self._time.count_break(now)
                self._time.jumped()
                self._has_run = False
            case SenderReport():
                if not self._time.reported(event, wall):
                    yield from self._break(now, wall)

    def _recorded(self, span: Span, wall: WallTime) -> Iterator[ReaderEvent]:
        anchor = self._time.anchor(span)
        if not self._has_run:
            self._has_run = True
            yield RunBegan(self._header(self._runs.take(wall)))
        yield Recorded(span, anchor)

    def _break(self, now: Instant, wall: WallTime) -> Iterator[ReaderEvent]:
        """Begin a new run since the mapping broke; what has grown still belongs to the old one."""
        self._time.count_break(now)
        yield from self.cut(wall)
        self._time.begin_run()
        self._has_run = False

    def _header(self, run: int) -> StreamHeader:
        tracks, sdp = (self._follow.tracks, self._follow.sdp) if self._follow else ((), "")
        return StreamHeader(self._stream.camera, run, tracks, self._stream.name, sdp)
