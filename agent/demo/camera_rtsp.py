"""Brings a virtual camera's access units to its viewers: an RTSP 1.0 server (RFC 2326), RTP interleaved in TCP only.

Rules of this file: one connection is one session; a viewer who does not read is dropped, never buffered for; a viewer
gets the stream from where it is, in the middle of a group of pictures, as with real cameras.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent.demo.camera_cadence import TICKS_HZ, CameraClock
from agent.demo.camera_listener import Listener
from agent.demo.camera_login import DigestGate, Verdict
from agent.demo.camera_quirks import PLAIN, Quirks, odd_fmtp
from agent.demo.camera_request import Request, read_request
from agent.demo.h264_rtp import PAYLOAD_TYPE, AccessUnit, EncoderSettings
from agent.demo.odd_rtp import OddRtpSession
from agent.demo.video_encoder import Sets
from agent.errors import BadInputError

SESSION_SECONDS: Final = 60
REPORT_SECONDS: Final = 5
SEND_BUFFER_BYTES_MAX: Final = 1024 * 1024
VIEWERS_MAX: Final = 32
_CHANNEL_MAX: Final = 0xFF
TRACK: Final = "trackID=0"
_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_REASONS: Final = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 453: "Not Enough Bandwidth",
    454: "Session Not Found", 455: "Method Not Valid in This State", 461: "Unsupported Transport",
    501: "Not Implemented",
}  # fmt: skip


class Viewer(Protocol):
    """Whoever takes access units as they come."""

    def show(self, unit: AccessUnit) -> None:
        """Take one access unit; must not wait."""


@dataclass(slots=True)
class VideoStream:
    """One encoded stream of the camera, found under `rtsp://host:port/<path>`, and who watches it."""

    path: str
    title: str
    settings: EncoderSettings
    sets: Sets
    quirks: Quirks = PLAIN
    viewers: set[Viewer] = field(default_factory=set)

    def publish(self, unit: AccessUnit) -> None:
        """Hand one access unit to everybody who is playing."""
        for viewer in tuple(self.viewers):
            viewer.show(unit)

    def sdp(self, host: str) -> str:
        """Describe the stream (RFC 8866)."""
        title, fmtp = re.sub(r"[\x00-\x1f]", " ", self.title), odd_fmtp(self.quirks, self.sets.fmtp)
        lines = (
            "v=0", f"o=- 1 1 IN IP{6 if ':' in host else 4} {host}", f"s={title}",
            "t=0 0", "a=control:*", "a=range:npt=now-",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", "c=IN IP4 0.0.0.0", f"b=AS:{self.settings.bitrate_bps // 1000}",
            f"a=rtpmap:{PAYLOAD_TYPE} {self.settings.codec}/{TICKS_HZ}", f"a=fmtp:{PAYLOAD_TYPE} {fmtp}",
            f"a=framerate:{self.settings.fps}", f"a=control:{TRACK}",
        )  # fmt: skip
        return "\r\n".join(lines) + "\r\n"


class RtspServer:
    """Serves `streams` to viewers who pass `gate`."""

    def __init__(
        self,
        streams: list[VideoStream],
        gate: DigestGate,
        clock: CameraClock,
        session_s: float = SESSION_SECONDS,
        quirks: Quirks = PLAIN,
    ) -> None:
        self.quirks = quirks
        self.sessions = 0  # that are set up now
        self.streams = {f"/{stream.path}": stream for stream in streams}
        self.gate = gate
        self.clock = clock
        self.session_s = session_s
        self._listener = Listener(self._serve, VIEWERS_MAX)
        self.start, self.stop = self._listener.start, self._listener.stop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        try:
            await connection.serve()
        finally:
            connection.leave()


class _Connection:
    """One viewer: its requests, and the packets that go to it while it plays."""

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._session = ""
        self._channel = 0
        self._is_over = False
        self._stream: VideoStream | None = None
        self._rtp = OddRtpSession(server.quirks)
        self._next_report_ticks: int | None = None

    async def serve(self) -> None:
        """Answer requests until the viewer leaves, is silent for too long, or sends rubbish."""
        try:
            while await self._serve_one():
                pass
        except BadInputError:
            self._answer(Request("", "", ""), 400)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return

    async def _serve_one(self) -> bool:
        """Take one request or one packet of the viewer's RTCP (RFC 2326 section 10.12); say whether to go on."""
        async with asyncio.timeout(self._server.session_s):
            first = await self._reader.readexactly(1)
            if first == b"$":
                _, length = struct.unpack(">BH", await self._reader.readexactly(3))
                await self._reader.readexactly(length)
                return True
            request = await read_request(self._reader, first)
            if request is None:
                return False
            self._handle(request)
            await self._writer.drain()
        return not self._is_over

    def leave(self) -> None:
        """Stop getting packets, and make room for another viewer."""
        if self._stream is not None:
            self._stream.viewers.discard(self)
            self._stream = None
            self._server.sessions -= 1

    def show(self, unit: AccessUnit) -> None:
        """Send one picture: a sender report first if one is due, then its packets."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > SEND_BUFFER_BYTES_MAX:
            self.leave()
            transport.abort()
            return
        frames = [_interleaved(self._channel, packet) for packet in self._rtp.packets(unit)]
        now = self._server.clock.now_ticks()
        is_due = self._next_report_ticks is None or now >= self._next_report_ticks
        if is_due and self._server.quirks.has_reports:
            self._next_report_ticks = now + REPORT_SECONDS * TICKS_HZ
            frames.insert(0, _interleaved(self._channel + 1, self._rtp.sender_report(now)))
        self._writer.write(b"".join(frames))

    def _handle(self, request: Request) -> None:
        if request.method == "OPTIONS":
            self._answer(request, 200, f"Public: {_METHODS}")
            return
        verdict = self._server.gate.judge(request.method, request.uri, request.headers.get("authorization"))
        if verdict is not Verdict.WELCOME:
            asks = self._server.gate.challenges(verdict)
            self._answer(request, 401, *(f"WWW-Authenticate: {ask}" for ask in asks))
            return
        match request.method:
            case "DESCRIBE":
                self._describe(request)
            case "SETUP":
                self._setup(request)
            case "PLAY" | "GET_PARAMETER" | "TEARDOWN":
                self._control(request)
            case _:
                self._answer(request, 501)

    def _describe(self, request: Request) -> None:
        stream = self._server.streams.get(request.path)
        if stream is None:
            self._answer(request, 404)
            return
        host = str(self._writer.get_extra_info("sockname")[0])
        base = request.uri.rstrip("/") + "/"
        body = stream.sdp(host).encode()
        self._answer(request, 200, f"Content-Base: {base}", "Content-Type: application/sdp", body=body)

    def _setup(self, request: Request) -> None:
        path, _, track = request.path.rpartition("/")
        stream = self._server.streams.get(path)
        channels = _wanted_channels(request.headers.get("transport", ""))
        if stream is None or track != TRACK:
            self._answer(request, 404)
        elif channels is None:
            self._answer(request, 461)
        elif self._session:
            self._answer(request, 455)
        elif 0 < self._server.quirks.viewers_max <= self._server.sessions:
            self._answer(request, 453)
        else:
            self._server.sessions += 1
            self._stream, self._channel, self._session = stream, channels[0], secrets.token_hex(8)
            transport = f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]};ssrc={self._rtp.ssrc:08X}"
            self._answer(request, 200, f"Transport: {transport}")

    def _control(self, request: Request) -> None:
        said = request.headers.get("session", "").partition(";")[0].strip()
        if self._session and said not in ("", self._session):
            self._answer(request, 454)
        elif request.method == "GET_PARAMETER":
            self._answer(request, 200)
        elif self._stream is None or said != self._session:
            self._answer(request, 454)
        elif request.method == "TEARDOWN":
            self.leave()
            self._is_over = True
            self._answer(request, 200)
        else:
            url = request.uri.rstrip("/")
            url = url if url.endswith(TRACK) else f"{url}/{TRACK}"
            self._answer(request, 200, "Range: npt=now-", f"RTP-Info: url={url};seq={self._rtp.sequence}")
            self._stream.viewers.add(self)

    def _answer(self, request: Request, status: int, *lines: str, body: bytes = b"") -> None:
        sequence = request.headers.get("cseq", "")
        head = [f"RTSP/1.0 {status} {_REASONS[status]}", "Server: Transom virtual camera"]
        head += [f"CSeq: {sequence}"] if re.fullmatch(r"\d{1,10}", sequence, re.ASCII) else []
        head += [f"Session: {self._session};timeout={int(self._server.session_s)}"] if self._session else []
        head += [*lines, *([f"Content-Length: {len(body)}"] if body else [])]
        self._writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def _interleaved(channel: int, packet: bytes) -> bytes:
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet


def _wanted_channels(transport: str) -> tuple[int, int] | None:
    """Find an interleaved pair in a Transport header; None if the viewer wants something else (UDP, say)."""
    for wish in transport.split(","):
        if not wish.strip().upper().startswith("RTP/AVP/TCP"):
            continue
        match = re.search(r"interleaved=(\d{1,3})(?:-(\d{1,3}))?", wish)
        if match is None:
            return 0, 1
        low = int(match[1])
        if low % 2 == 0 and low < _CHANNEL_MAX and match[2] in (None, str(low + 1)):
            return low, low + 1
    return None
