"""What hub and signer say about presigned URLs: the hub names a part and its pieces, the answer names what is missing.

Rules of this file: a URL that a signer names is believed only on a host of the trust bundle; it is a permission, so it
stands in no error.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agent.command.destination import host_of
from agent.command.strict_json import decode
from agent.crypto import canonical_json
from agent.deliver.part import SealedPart
from agent.errors import BadInputError

PIECE_BYTES: Final = 5 * 1024 * 1024  # S3's least, but for the last: a line that breaks costs no more than that
PIECES_MAX: Final = 512  # of a part, 2.5 GiB
URLS_MAX: Final = 16  # in one answer
PRESIGNED_CHARS_MAX: Final = 3072  # a session token of the signer's can have 2000
EXPIRES_S_MIN: Final = 30
EXPIRES_S_MAX: Final = 7 * 24 * 3600  # SigV4 signs for no longer


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub posts to the signer about a part; `pieces` are SHA-256 digests as S3 writes them, in base64."""

    v: Literal[1]
    part: Annotated[str, Meta(max_length=160)]
    size: Annotated[int, Meta(ge=0, le=PIECES_MAX * PIECE_BYTES)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    media_type: str
    piece_bytes: Annotated[int, Meta(ge=1)]
    pieces: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=\Z")], ...], Meta(min_length=1, max_length=PIECES_MAX)
    ]


class PieceUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the piece `number`, from 1, goes."""

    number: Annotated[int, Meta(ge=1, le=PIECES_MAX)]
    url: Annotated[str, Meta(min_length=1, max_length=PRESIGNED_CHARS_MAX)]

    def __repr__(self) -> str:
        return f"PieceUrl(number={self.number}, url=***)"


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signer's answer: URLs for the first missing pieces; none when the store has the part whole."""

    v: Literal[1]
    expires_in_s: Annotated[int, Meta(ge=EXPIRES_S_MIN, le=EXPIRES_S_MAX)]
    pieces: Annotated[tuple[PieceUrl, ...], Meta(max_length=URLS_MAX)]


def piece_count(size: int) -> int:
    """Return into how many pieces a part of `size` bytes falls; an empty one is one piece. Raises BadInputError."""
    count = max(1, -(-size // PIECE_BYTES))
    if count > PIECES_MAX:
        raise BadInputError(f"a part of {size} bytes is larger than {PIECES_MAX} pieces of {PIECE_BYTES} bytes")
    return count


def write_ask(part: SealedPart, digests: Sequence[bytes]) -> bytes:
    """Write what the hub posts: the part, and each piece's SHA-256, so that URLs are signed for just these bytes."""
    if len(digests) != piece_count(part.size):
        raise ValueError("one digest for each piece")
    sums = tuple(base64.b64encode(digest).decode() for digest in digests)
    asked = Question(1, part.id, part.size, part.sha256, part.media_type, PIECE_BYTES, sums)
    return canonical_json(msgspec.to_builtins(asked))


def read_signed(body: bytes, count: int, hosts: Collection[str]) -> Signed:
    """Read an answer about a part of `count` pieces: numbers that rise, URLs on `hosts` only. Raises BadInputError."""
    signed = decode(body, Signed, "the signer's answer")
    numbers = [piece.number for piece in signed.pieces]
    if numbers != sorted(set(numbers)) or any(number > count for number in numbers):
        raise BadInputError("the signer names pieces that the part does not have, or in disorder")
    if any(not (host := host_of(piece.url)) or host not in hosts for piece in signed.pieces):
        raise BadInputError(
            "the signer sends a piece to a host that is not in the trust bundle",
            cure="list the store's host in the bundle's upload_hosts",
        )
    return signed
