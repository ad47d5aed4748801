"""A sealed file's header as text: stanzas, base64 and a MAC, in the one form they may have (c2sp.org/age)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import BinaryIO, Final

from agent.errors import BadInputError

VERSION_LINE: Final = b"age-encryption.org/v1\n"
HEADER_BYTES_MAX: Final = 64 * 1024
_BODY_COLUMNS: Final = 64


@dataclass(frozen=True, slots=True)
class Stanza:
    """One recipient's lines in the header: arguments, the first says the kind, and the wrapped file key."""

    arguments: tuple[str, ...]
    body: bytes

    def __bytes__(self) -> bytes:
        text = encode_base64(self.body)
        rows = [text[start : start + _BODY_COLUMNS] for start in range(0, len(text) + 1, _BODY_COLUMNS)]
        return ("-> " + " ".join(self.arguments) + "\n" + "\n".join(rows) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Header:
    """A header as read: its stanzas, the bytes its MAC covers, and the MAC."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes


def read_header(stream: BinaryIO) -> Header:
    """Read a header of at most `HEADER_BYTES_MAX` bytes and leave `stream` at the payload. Raises BadInputError."""
    lines = _Lines(stream)
    if lines.take() != VERSION_LINE:
        raise BadInputError("not an age v1 file")
    stanzas: list[Stanza] = []
    while not (line := lines.take()).startswith(b"--- "):
        if not line.startswith(b"-> "):
            raise BadInputError("a malformed age header")
        arguments = tuple(_visible(argument) for argument in line[3:-1].split(b" "))
        stanzas.append(Stanza(arguments, decode_base64(lines.take_body())))
    if not stanzas:
        raise BadInputError("an age header without recipients")
    return Header(tuple(stanzas), lines.taken[: -len(line)] + b"---", decode_base64(_visible(line[4:-1])))


class _Lines:
    """The header's lines, counted against its limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.taken = b""

    def take(self) -> bytes:
        line = self._stream.readline(HEADER_BYTES_MAX - len(self.taken))
        self.taken += line
        if not line.endswith(b"\n"):
            raise BadInputError("not an age v1 file, or its header is cut off")
        return line

    def take_body(self) -> str:
        """Join a stanza's body: rows of exactly 64 characters, then one shorter row, which may be empty."""
        body = ""
        while True:
            row = self.take()[:-1]
            if len(row) > _BODY_COLUMNS:
                raise BadInputError("a malformed age header: a row is too long")
            body += _visible(row) if row else ""
            if len(row) < _BODY_COLUMNS:
                return body


def _visible(text: bytes) -> str:
    if not text or any(not 33 <= byte <= 126 for byte in text):  # noqa: PLR2004 - VCHAR of RFC 5234
        raise BadInputError("a malformed age header: a character that may not be there")
    return text.decode("ascii")


def encode_base64(content: bytes) -> str:
    """Write base64 without padding."""
    return base64.b64encode(content).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """Read base64 without padding, in its one canonical form only. Raises BadInputError."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise BadInputError("a malformed age header: not base64") from None
    if encode_base64(content) != text:
        raise BadInputError("a malformed age header: base64 that is not canonical")
    return content
