"""RTP payloads become NAL units: single, aggregated and fragmented ones, as H.264 and H.265 share it.

Rules of this file: a fragment of which a piece is missing is nothing; whatever the bytes are, only BadInputError is
raised.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final

from agent.errors import BadInputError

NAL_BYTES_MAX: Final = 8 * 1024 * 1024
NALS_INSIDE_MAX: Final = 64
_START_CODE: Final = b"\0\0\1"


class Fragments:
    """The pieces of one NAL unit that is being collected."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def is_pending(self) -> bool:
        """Whether a NAL unit was begun and has not ended."""
        return bool(self._pieces)

    def drop(self) -> None:
        """Forget the pieces."""
        self._pieces, self._size = [], 0

    def take(self, header: bytes, piece: bytes, *, is_start: bool, is_end: bool) -> Iterable[bytes | None]:
        """Add a piece; `header` is the NAL unit's, rebuilt, and needed for its first piece only.

        Gives the whole NAL unit, or None for a broken one; whoever hears of that may `drop` before asking for more.
        """
        if is_start and self._pieces:
            return self._begin_anew(header, piece, is_end=is_end)
        if is_start:
            self._pieces, self._size = [header], len(header)
        elif not self._pieces:
            return (None,)
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > NAL_BYTES_MAX:
            raise BadInputError(f"a NAL unit of more than {NAL_BYTES_MAX} bytes")
        if not is_end:
            return ()
        nal = b"".join(self._pieces)
        self.drop()
        return (nal,)

    def _begin_anew(self, header: bytes, piece: bytes, *, is_end: bool) -> Iterator[bytes | None]:
        yield None
        self.drop()
        yield from self.take(header, piece, is_start=True, is_end=is_end)


def separated(nal: bytes) -> Iterator[bytes]:
    """Yield the NAL units of one that has start codes inside, which none may have (H.264 7.4.1, escapes).

    Some cameras (V380, GW) send parameter sets and key picture so, under the header of the first.
    """
    if nal.rfind(_START_CODE) < 0:  # CPython looks from the end in half the time
        yield nal
        return
    for piece in nal.split(_START_CODE, NALS_INSIDE_MAX):
        if whole := piece.rstrip(b"\0"):  # the zero before a start code belongs to it; no NAL unit ends in one
            yield whole


def aggregated(payload: bytes, position: int, order_bytes: tuple[int, int] = (0, 0)) -> Iterator[bytes | None]:
    """Yield NAL units behind 16-bit sizes; None if a size lies.

    `order_bytes` come before the first size and before each further one (RFC 7798 4.4.2: DONL, DOND).
    """
    skipped, following = order_bytes
    while position + skipped + 2 < len(payload):
        position += skipped
        size = int.from_bytes(payload[position : position + 2], "big")
        nal = payload[position + 2 : position + 2 + size]
        if not size or len(nal) != size:
            yield None
            return
        yield nal
        position, skipped = position + 2 + size, following


def format_parameter(fmtp: str, wanted: str) -> str:
    """Return the value of a format parameter of the SDP (RFC 4855), empty if there is none."""
    for parameter in fmtp.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == wanted:
            return value
    return ""


def decoded_sets(value: str) -> list[bytes]:
    """Read a list of base64 NAL units (RFC 6184 8.1, RFC 7798 7.1); broken ones are left out."""
    return [nal for text in value.split(",") if (nal := _decode_base64(text.strip()))]


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
