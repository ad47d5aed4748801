"""Sealed bytes in, clip bytes out: the reader of the age v1 files that the hub writes, for whoever holds a key.

Rules of this file: a piece is given out only after its tag held. A damaged file raises after the good pieces before the
damage were given out, so nothing read is final before the iterator ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.crypto import Secret
from agent.deliver.age import (
    PAYLOAD_NONCE_BYTES,
    PIECE_BYTES,
    find_file_key,
    payload_cipher,
    piece_nonce,
)
from agent.deliver.age_kinds import TAG_BYTES
from agent.deliver.age_text import read_header
from agent.errors import BadInputError

_SEALED_PIECE_BYTES = PIECE_BYTES + TAG_BYTES


def open_age(stream: BinaryIO, *identities: Secret) -> Iterator[bytes]:
    """Open a sealed file with the first identity (`AGE-SECRET-KEY-1...`) that fits; give out pieces of up to 64 KiB.

    `stream` is buffered: `read(n)` returns less than `n` bytes at the end only. The header is read and checked at once.
    Raises BadInputError if the file is damaged or sealed to others, ConfigurationError if an identity is not one.
    """
    file_key = find_file_key(read_header(stream), identities)
    nonce = stream.read(PAYLOAD_NONCE_BYTES)
    if len(nonce) != PAYLOAD_NONCE_BYTES:
        raise BadInputError("the sealed file ends after its header: it is cut off")
    return _open_pieces(stream, payload_cipher(file_key, nonce))


def _open_pieces(stream: BinaryIO, cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    index, piece = 0, stream.read(_SEALED_PIECE_BYTES)
    while True:
        following = stream.read(_SEALED_PIECE_BYTES) if len(piece) == _SEALED_PIECE_BYTES else b""
        is_last = not following
        try:
            content = cipher.decrypt(piece_nonce(index, is_last=is_last), piece, None)
        except InvalidTag:
            raise BadInputError(f"piece {index} of the sealed file is damaged, out of order or cut off") from None
        if is_last and index and not content:
            raise BadInputError("the sealed file has an empty last piece, which no writer makes")
        yield content
        if is_last:
            return
        index, piece = index + 1, following
