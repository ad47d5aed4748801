"""A scripted RTSP camera on a real socket: it checks logins by its own arithmetic and can misbehave on purpose.

Its pictures are RTP packets of H.264 whose slices are noise: for the recorder, which never decodes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulators.threaded_server import ThreadedServer

PICTURE_TICKS = 900  # 10 ms at 90 kHz
SDP = """v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=Camera\r
t=0 0\r
a=control:*\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1\r
a=control:trackID=1\r
m=audio 0 RTP/AVP 0\r
a=control:trackID=2\r
"""


def rtp_frame(channel: int, sequence: int, rtp: int, payload: bytes, *, marker: bool) -> bytes:
    """Make one interleaved RTP frame of payload type 96."""
    packet = struct.pack(">BBHII", 0x80, 96 | marker << 7, sequence & 0xFFFF, rtp & 0xFFFFFFFF, 0x1234) + payload
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet


def sender_report_frame(channel: int, ntp64: int, rtp: int) -> bytes:
    """Make one interleaved RTCP sender report."""
    packet = struct.pack(">BBHIQIII", 0x80, 200, 6, 0x1234, ntp64, rtp & 0xFFFFFFFF, 0, 0)
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet


def ntp64(wall_ns: int) -> int:
    """Write ns since 1970 as a 64-bit NTP timestamp."""
    seconds, nanoseconds = divmod(wall_ns, 1_000_000_000)
    return (seconds + 2_208_988_800) << 32 | (nanoseconds << 32) // 1_000_000_000


def picture_frames(number: int, first_rtp: int, *, is_key: bool, fragments: int = 8) -> list[bytes]:
    """Make the frames of one H.264 picture: for a key picture SPS and PPS first, then the slice in fragments (FU-A)."""
    rtp, sequence, frames = first_rtp + number * PICTURE_TICKS, number * 100, []
    nal_type = 5 if is_key else 1
    if is_key:
        frames.append(rtp_frame(0, sequence, rtp, b"\x67" + b"s" * 10, marker=False))
        frames.append(rtp_frame(0, sequence + 1, rtp, b"\x68" + b"p" * 4, marker=False))
    for index in range(fragments):
        flags = 0x80 * (index == 0) | 0x40 * (index == fragments - 1)
        payload = bytes([0x7C, flags | nal_type]) + bytes([number & 0xFF]) * (1000 if index < fragments - 1 else 300)
        frames.append(rtp_frame(0, sequence + 2 + index, rtp, payload, marker=index == fragments - 1))
    return frames


@dataclass
class CameraScript:
    """How the camera behaves. `pictures_per_session` cuts the connection after so many pictures."""

    user: str = ""
    password: str = ""
    algorithm: str = "MD5"
    is_basic_only: bool = False  # it wants the password in clear
    session_timeout_s: int = 60
    public: str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
    key_every: int = 5
    picture_s: float = 0.01
    pictures_per_session: int | None = None
    pictures_at_first: int | None = None  # the same, of the first session only
    garbage_after: int | None = None
    is_silent: bool = False
    asks_options: bool = False  # the camera sends a request of its own between frames
    sends_reports: bool = True
    first_rtp: int = 4_000_000_000
    status_of: dict[str, int] = field(default_factory=dict)  # answer this method with this status
    headers_of: dict[str, str] = field(default_factory=dict)  # and with this header line
    flood: bytes = b""  # sent after each picture
    hangs_up: bool = False  # every session that plays
    drips: bool = False  # media comes byte by byte, and so do answers


class RtspCamera(ThreadedServer):
    """The server, a context manager: `requests` holds what clients asked (method, headers), `media` what was sent."""

    def __init__(self, script: CameraScript) -> None:
        super().__init__()
        self.script = script
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sessions_of: list[int] = []  # in which session each was asked
        self.responses: list[str] = []  # status lines that the client sent
        self.media: list[bytes] = []  # the frames of each session, joined

    @property
    def url(self) -> str:
        """The stream's URL."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def methods(self) -> list[str]:
        """Return the methods asked so far."""
        return [method for method, _ in list(self.requests)]

    def logins(self, session: int | None = None) -> list[str]:
        """Return what was sent to log in, in all sessions or in that one (from 1 on)."""
        return [
            headers["authorization"]
            for (_, headers), of in zip(list(self.requests), list(self.sessions_of), strict=False)
            if "authorization" in headers and session in {None, of}
        ]

    def serve(self, client: socket.socket) -> None:
        """Hold one session, as the script says."""
        with client, contextlib.suppress(OSError):
            client.settimeout(0.005)
            media: Iterator[bytes] | None = None
            received = b""
            while not self.stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    more = client.recv(65536)
                    if not more:
                        return
                    received += more
                while b"\r\n\r\n" in received and not self.script.is_silent:
                    head, _, received = received.partition(b"\r\n\r\n")
                    answer, method = self._answer(head.decode())
                    self._send(client, answer)
                    if method == "PLAY" and b" 200 " in answer[:20]:
                        self.media.append(b"")
                        media = self._media()
                    if method == "TEARDOWN":
                        return
                if media is not None:
                    sent = next(media, None)
                    if sent is None:
                        return
                    self._send(client, sent + self.script.flood)

    def _send(self, client: socket.socket, octets: bytes) -> None:
        size = 1 if self.script.drips else max(len(octets), 1)
        for at in range(0, len(octets), size):
            client.settimeout(5)
            client.sendall(octets[at : at + size])
            client.settimeout(0.005)
            if self.script.drips and self.stopped.wait(0.001):
                return

    def _answer(self, head: str) -> tuple[bytes, str]:
        first, *lines = head.split("\r\n")
        if first.startswith("RTSP/"):
            self.responses.append(first)
            return b"", ""
        method, url, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.sessions_of.append(self.sessions)
        self.requests.append((method, headers))
        status, extra, body = self.script.status_of.get(method, 200), "", ""
        more = self.script.headers_of.get(method, "")
        if self.script.user and method != "OPTIONS" and not self._is_authorized(method, url, headers):
            status = 401
            digest = f'Digest realm="camera", nonce="n-0-1", algorithm={self.script.algorithm}, qop="auth"'
            offered = ['Basic realm="camera"'] if self.script.is_basic_only else [digest, 'Basic realm="camera"']
            extra = "".join(f"WWW-Authenticate: {one}\r\n" for one in offered)
        elif method == "OPTIONS":
            extra = f"Public: {self.script.public}\r\n"
        elif method == "DESCRIBE":
            body, extra = SDP, f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            extra = f"Transport: {headers['transport']}\r\nSession: abc;timeout={self.script.session_timeout_s}\r\n"
        if body:
            extra += f"Content-Length: {len(body)}\r\n"
        extra += f"{more}\r\n" if more else ""
        return f"RTSP/1.0 {status} Word\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n{body}".encode(), method

    def _is_authorized(self, method: str, url: str, headers: dict[str, str]) -> bool:
        if self.script.is_basic_only:
            told = base64.b64encode(f"{self.script.user}:{self.script.password}".encode()).decode()
            return headers.get("authorization") == f"Basic {told}"
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', headers.get("authorization", "").removeprefix("Digest ")))
        if given.get("nonce") != "n-0-1" or given.get("uri") != url:
            return False

        def hashed(text: str) -> str:
            return hashlib.new(self.script.algorithm.replace("-", "").lower(), text.encode()).hexdigest()

        a1 = hashed(f"{self.script.user}:camera:{self.script.password}")
        a2 = hashed(f"{method}:{url}")
        return bool(given["response"] == hashed(f"{a1}:n-0-1:{given['nc']}:{given['cnonce']}:auth:{a2}"))

    def _media(self) -> Iterator[bytes]:
        script, number = self.script, 0
        while script.pictures_per_session is None or number < script.pictures_per_session:
            if script.hangs_up or (len(self.media) == 1 and number == script.pictures_at_first):
                return
            frames = picture_frames(number, script.first_rtp, is_key=number % script.key_every == 0)
            if script.sends_reports and number % script.key_every == 1:
                rtp = script.first_rtp + number * PICTURE_TICKS
                frames.append(sender_report_frame(1, ntp64(time.time_ns()), rtp))
            joined = b"".join(frames)
            if number == script.garbage_after:
                yield joined + bytes(range(256))
            self.media[-1] += joined
            if script.asks_options and number == script.key_every:
                yield b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\nSET_PARAMETER * RTSP/1.0\r\nCSeq: 78\r\n\r\n"
            yield joined
            number += 1
            self.stopped.wait(script.picture_s)
