"""RTSP requests and responses (RFC 2326 section 4 to 7), found between interleaved frames and read within limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.errors import BadInputError

HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
HEADERS_MAX: Final = 64
_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"RTSP/\d\.\d +(\d{3})(?: .*)?")
_REQUEST_LINE: Final = re.compile(r"([A-Z_]{1,32}) +(\S+) +RTSP/\d\.\d")
_FIRST_OF_MESSAGE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


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
