"""Reads the requests that HTTP and RTSP clients send: one shape, hard limits, and every lie a BadInputError."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from agent.errors import BadInputError

HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
_LENGTH_DIGITS_MAX: Final = 9


class TooLargeError(BadInputError):
    """A head or body over its limit; HTTP and RTSP answer it with 413."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case, of headers sent twice the last one counts."""

    method: str
    uri: str
    version: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The URI's path without a slash at its end; empty if the URI is not one."""
        try:
            return urlsplit(self.uri).path.rstrip("/")
        except ValueError:
            return ""


async def read_request(reader: asyncio.StreamReader, begun: bytes = b"") -> Request | None:
    """Read one request whose first bytes were `begun`; None if the client is gone.

    The reader must have been made with `limit=HEAD_BYTES_MAX`. Raises BadInputError.
    """
    try:
        head = begun + await reader.readuntil(b"\r\n\r\n")
        request = parse_head(head)
        return Request(
            request.method,
            request.uri,
            request.version,
            request.headers,
            await reader.readexactly(body_length(request)),
        )
    except asyncio.LimitOverrunError as error:
        raise TooLargeError(f"a request head over {HEAD_BYTES_MAX} bytes") from error
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def parse_head(head: bytes) -> Request:
    """Read a request line and its headers (RFC 9112 section 3, RFC 2326 section 6)."""
    try:
        line, *rest = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError as error:
        raise BadInputError("a request that is not text") from error
    match line.split(" "):
        case [method, uri, version] if (
            method.isascii() and method and uri and version.startswith(("HTTP/1.", "RTSP/1."))
        ):
            pass
        case _:
            raise BadInputError("not a request line")
    headers: dict[str, str] = {}
    for entry in filter(None, rest):
        name, colon, content = entry.partition(":")
        if not colon or not name or name != name.strip():
            raise BadInputError("not a header line")
        headers[name.lower()] = content.strip()
    return Request(method, uri, version, headers)


def body_length(request: Request) -> int:
    """Return how many bytes follow the head. Raises BadInputError if that is not said plainly or too much."""
    if "transfer-encoding" in request.headers:
        raise BadInputError("a body of unknown length")
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadInputError("not a length")
    if len(text) > _LENGTH_DIGITS_MAX or int(text) > BODY_BYTES_MAX:
        raise TooLargeError(f"a body over {BODY_BYTES_MAX} bytes")
    return int(text)
