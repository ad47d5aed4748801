"""RTSP requests and responses (RFC 2326 section 4 to 7): found in a camera's bytes, read within limits, written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.errors import BadInputError

HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
HEADERS_MAX: Final = 64
RETRY_S_MAX: Final = 300  # no camera is left alone longer because it said so
SESSION_TIMEOUT_S_DEFAULT: Final = 60  # RFC 2326 section 12.37
_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"RTSP/\d\.\d +([1-9]\d{2})(?: .*)?")
_REQUEST_LINE: Final = re.compile(r"([A-Z_]{1,32}) +(\S+) +RTSP/\d\.\d")
_FIRST_OF_MESSAGE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_SESSION: Final = re.compile(r"([!-+\--:<-~]{1,200})\s*(?:[;,].*)?")
_TIMEOUT: Final = re.compile(r"[;,]\s*timeout\s*[=:]\s*\"?([0-9]{1,6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Header names are lower case; `status` is 0 for a request, `method` is empty for a response."""

    status: int
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the first header of that lower-case name, or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    def headers_of(self, name: str) -> list[str]:
        """Return all headers of that lower-case name in their order."""
        return [value for key, value in self.headers if key == name]

    @property
    def cseq(self) -> int | None:
        """The number that ties an answer to its request; None if the camera leaves it out."""
        return int(self.header("cseq")) if _DIGITS.fullmatch(self.header("cseq")) else None

    @property
    def session(self) -> str:
        """The session's name without its parameters; empty if there is none that could stand in a request."""
        session = _SESSION.fullmatch(self.header("session"))
        return session[1] if session else ""

    @property
    def session_timeout_s(self) -> int:
        """After how much silence the camera forgets the session; cameras write `timeout="60"`, `60s` and 0 for none."""
        timeout = _TIMEOUT.search(self.header("session"))
        return int(timeout[1]) if timeout and int(timeout[1]) else SESSION_TIMEOUT_S_DEFAULT

    @property
    def retry_s(self) -> int:
        """How long the camera asks to be left alone (RFC 2326 section 12.31), 0 if it does not say so in seconds."""
        retry = self.header("retry-after")
        return min(int(retry), RETRY_S_MAX) if _DIGITS.fullmatch(retry) else 0

    def supports(self, method: str) -> bool:
        """Whether an answer to OPTIONS lists this method; some cameras list them under Allow, some in several lines."""
        lists = self.headers_of("public") + self.headers_of("allow")
        return method in re.split(r"[\s,]+", ",".join(lists).upper())


class MessageBuffer:
    """A connection's bytes while they are messages only, because the media comes as datagrams."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """Give out each message that is whole now. Raises BadInputError for anything else, and beyond the limits."""
        self._buffer += octets
        while True:
            start = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))  # some cameras end with a line too many
            del self._buffer[:start]
            end = message_end(self._buffer, 0, len(self._buffer)) if self._buffer else 0
            if not end:
                return
            message = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield message


def write_request(method: str, url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write a request without a body."""
    lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def write_answer(status: str, cseq: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write an answer without a body; `status` is number and word."""
    lines = [f"RTSP/1.0 {status}", f"CSeq: {cseq}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def message_end(buffer: bytearray, start: int, stop: int) -> int:
    """Return where the message that begins at `start` ends, or 0 if it is not complete within `stop` yet.

    Raises BadInputError for what cannot be the beginning of a message, and for more than the limits.
    """
    if buffer[start] not in _FIRST_OF_MESSAGE:
        raise BadInputError(f"neither a frame nor an RTSP message follows (byte {buffer[start]:#04x})")
    head_stop = buffer.find(_END_OF_HEAD, start, min(stop, start + HEAD_BYTES_MAX))
    if head_stop < 0:
        if stop - start >= HEAD_BYTES_MAX:
            raise BadInputError(f"an RTSP message without an end in {HEAD_BYTES_MAX} bytes")
        return 0
    match = _CONTENT_LENGTH.search(buffer, start, head_stop + 2)
    body_bytes = int(match[1]) if match else 0
    if body_bytes > BODY_BYTES_MAX:
        raise BadInputError(f"an RTSP message with a body of {body_bytes} bytes (limit {BODY_BYTES_MAX})")
    end = head_stop + len(_END_OF_HEAD) + body_bytes
    return end if end <= stop else 0


def parse_message(octets: bytes) -> Message:
    """Read one whole message; raises BadInputError if it is none."""
    head, _, body = octets.partition(_END_OF_HEAD)
    first, *lines = head.decode("latin-1").split("\r\n")
    if len(lines) > HEADERS_MAX:
        raise BadInputError(f"an RTSP message with {len(lines)} headers (limit {HEADERS_MAX})")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:  # a line without one is passed over: some cameras fold their headers
            headers.append((name.strip().lower(), value.strip()))
    if status := _STATUS_LINE.fullmatch(first):
        return Message(int(status[1]), "", tuple(headers), body)
    if request := _REQUEST_LINE.fullmatch(first):
        return Message(0, request[1], tuple(headers), body)
    raise BadInputError("neither an RTSP request nor a response")
