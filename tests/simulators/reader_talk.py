"""A reader and the camera's side of its session, to the pictures and without a socket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent.acquire.camera import CameraStream
from agent.acquire.reader import Reader, ReaderEvent, Recorded, RunNumbers
from agent.acquire.rtsp import NeedPorts, Send
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.acquire.wire import wire_memory
from agent.clock import SECOND_NS, Instant, WallTime
from tests.simulators.rtsp_camera import SDP

WALL = WallTime(1_790_000_000 * SECOND_NS)
DATAGRAMS = "Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971\r\nSession: s\r\n"


class Talk:
    """A reader and the camera's answers, at a time that moves when told."""

    def __init__(self, clock: ClockOffset | None = None, *, has_sound: bool = False, is_udp: bool = False) -> None:
        self.now, self.wall = Instant(0), WALL
        stream = CameraStream(CameraId("door"), "Door", "rtsp://192.0.2.1/", None, clock, has_sound)
        self.reader = Reader(stream, "cnonce", self.now, RunNumbers(), wire_memory())
        self.events: list[ReaderEvent] = []
        self.requests: list[str] = []
        self._is_udp, self._has_ports = is_udp, False

    def play(self) -> None:
        """Answer requests until the camera plays, as a shell does: each event before the next is asked for."""
        pending = self.do(self.reader.act(self.now))
        while pending:
            answer = self._answer(pending.pop())
            if self._has_ports:
                pending += self.do(self.reader.received_control(answer, self.now, self.wall))
            else:
                pending += self.do(self._received(answer))

    def do(self, events: Iterable[ReaderEvent]) -> list[bytes]:
        """Act on events; return what was sent."""
        sent = []
        for event in events:
            self.events.append(event)
            if isinstance(event, Send):
                sent.append(event.octets)
            if isinstance(event, NeedPorts):
                self.reader.use_ports([(5000, 5001), (5002, 5003)][: event.tracks], self.now)
                self._has_ports = True
        return sent

    def feed(self, octets: bytes) -> list[ReaderEvent]:
        """Receive bytes now."""
        before = len(self.events)
        self.do(self._received(octets))
        return self.events[before:]

    def spans(self) -> list[Recorded]:
        """Return what was recorded so far."""
        return [event for event in self.events if isinstance(event, Recorded)]

    def _received(self, octets: bytes) -> Iterator[ReaderEvent]:
        self.reader.room()[: len(octets)] = octets
        return self.reader.received(len(octets), self.now, self.wall)

    def _answer(self, request: bytes) -> bytes:
        match = re.match(r"(\w+) .*CSeq: (\d+)", request.decode(), re.DOTALL)
        assert match is not None
        self.requests.append(match[1])
        status, headers, body = "200 OK", "", SDP if match[1] == "DESCRIBE" else ""
        if match[1] == "SETUP":
            transport = re.search(r"Transport: ([^\r]*)", request.decode())
            assert transport is not None
            headers = f"Transport: {transport[1]}\r\nSession: s\r\n"
            if self._is_udp:
                status, headers = ("200 OK", DATAGRAMS) if "client_port" in transport[1] else ("461 No", "")
        if body:
            headers += f"Content-Length: {len(body)}\r\n"
        return f"RTSP/1.0 {status}\r\nCSeq: {match[2]}\r\n{headers}\r\n{body}".encode()

    def wait(self, seconds: float) -> None:
        """Let both clocks run."""
        self.now = Instant(self.now + int(seconds * SECOND_NS))
        self.wall = WallTime(self.wall + int(seconds * SECOND_NS))
