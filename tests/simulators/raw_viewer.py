"""A small RTSP viewer for tests: it speaks to a camera byte by byte, logs in as told, and collects raw packets."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

PATIENCE_S: Final = 10
_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Reply:
    """One RTSP answer."""

    status: int
    headers: dict[str, list[str]]
    body: str

    def header(self, name: str) -> str:
        """Return the first header of that name, or an empty string."""
        return self.headers.get(name, [""])[0]


def digest_header(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """Answer one Digest challenge (RFC 7616), with qop if it is offered."""
    asked = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    algorithm = asked.get("algorithm", "MD5")

    def digest(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    first, second = digest(f"{user}:{asked['realm']}:{password}"), digest(f"{method}:{uri}")
    middle, extra = asked["nonce"], ""
    if "qop" in asked:
        middle, extra = f"{asked['nonce']}:00000001:abcd:auth", ', qop=auth, nc=00000001, cnonce="abcd"'
    return (
        f'Digest username="{user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
        f'algorithm={algorithm}, response="{digest(f"{first}:{middle}:{second}")}"{extra}'
    )


class RawViewer:
    """One RTSP connection; `algorithm` picks the challenge that is answered."""

    def __init__(self, url: str, user: str = "", password: str = "", algorithm: str = "MD5") -> None:
        self.url = url
        self._user, self._password, self._algorithm = user, password, algorithm
        self._challenge = ""
        self._sequence = 0
        self._begun: list[tuple[int, bytes]] = []
        split = urlsplit(url)
        self.socket = socket.create_connection((split.hostname or "", split.port or 554), PATIENCE_S)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()

    def ask(self, method: str, uri: str = "", **headers: str) -> Reply:
        """Send one request, log in if asked to, return the answer."""
        reply = self.ask_once(method, uri, **headers)
        asked = [each for each in reply.headers.get("www-authenticate", []) if f"algorithm={self._algorithm}" in each]
        if reply.status == 401 and self._user and asked:
            self._challenge = asked[0]
            reply = self.ask_once(method, uri, **headers)
        return reply

    def ask_once(self, method: str, uri: str = "", **headers: str) -> Reply:
        """Send one request with the login known so far; return the answer."""
        uri = uri or self.url
        self._sequence += 1
        if self._challenge:
            headers["Authorization"] = digest_header(self._challenge, method, uri, self._user, self._password)
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self._sequence}", *(f"{k}: {v}" for k, v in headers.items())]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        return self.reply()

    def reply(self) -> Reply:
        """Read one answer; packets that come before it are kept for `packet`."""
        while (first := self._exactly(1)) == b"$":
            self._begun.append(self._rest_of_packet())
        status = int((first + self._file.readline()).split(b" ")[1])
        headers: dict[str, list[str]] = {}
        while (line := self._file.readline().decode().rstrip("\r\n")) != "":
            name, _, content = line.partition(":")
            headers.setdefault(name.lower(), []).append(content.strip())
        length = int(headers.get("content-length", ["0"])[0])
        return Reply(status, headers, self._exactly(length).decode())

    def play(self) -> str:
        """Describe, set up and play; return the SDP."""
        sdp = self.ask("DESCRIBE")
        assert sdp.status == 200, sdp
        setup = self.ask("SETUP", f"{self.url}/trackID=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        assert setup.status == 200, setup
        assert self.ask("PLAY", Session=setup.header("session").split(";")[0]).status == 200
        return sdp.body

    def packet(self) -> tuple[int, bytes]:
        """Return the channel and bytes of the next interleaved packet."""
        if self._begun:
            return self._begun.pop(0)
        assert self._exactly(1) == b"$"
        return self._rest_of_packet()

    def _rest_of_packet(self) -> tuple[int, bytes]:
        channel, length = struct.unpack(">BH", self._exactly(3))
        return channel, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        got = self._file.read(count)
        if len(got) != count:
            raise ConnectionError("the camera hung up")
        return got
