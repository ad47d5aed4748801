"""Clip bytes in, sealed bytes out: an age v1 file that only its recipients can open, written as the clip is cut.

Rules of this file: every file has its own key, which lives in its writer and nowhere else; memory stays flat (two
pieces of 64 KiB). Format and limits: FORMAT.md beside this file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.crypto import Secret
from agent.deliver.age import (
    PAYLOAD_NONCE_BYTES,
    PIECE_BYTES,
    encode_header,
    payload_cipher,
    piece_nonce,
)
from agent.deliver.age_kinds import FILE_KEY_BYTES


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a finished file is: its bytes and the hex digest of all of them, and that of what is inside."""

    size: int
    sha256: str
    clear_sha256: str


class AgeWriter:
    """Seals what is written to it and emits the sealed bytes in order.

    Only `finish` marks the last piece: a writer that is dropped before leaves a file that every reader rejects.
    If `emit` raises, the writer is spent and its file worthless. Raises BadInputError for recipients that are no good.
    """

    def __init__(self, recipients: Sequence[str], emit: Callable[[bytes], object]) -> None:
        self._emit = emit
        self._digest, self._clear = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        self._index = 0
        self._pending = bytearray()  # kept back: only `finish` knows which piece is the last
        file_key, nonce = Secret(os.urandom(FILE_KEY_BYTES)), os.urandom(PAYLOAD_NONCE_BYTES)
        header = encode_header(recipients, file_key)
        self._cipher = payload_cipher(file_key, nonce)
        self._is_spent = False
        self._put(header + nonce)

    def write(self, content: bytes | bytearray | memoryview) -> None:
        """Take the clip's next bytes, any number of them."""
        rest = memoryview(content).cast("B")
        self._clear.update(rest)
        while rest:
            if len(self._pending) == PIECE_BYTES:
                self._seal_piece(is_last=False)
            room = PIECE_BYTES - len(self._pending)
            self._pending += rest[:room]
            rest = rest[room:]

    def finish(self) -> Sealed:
        """Seal the last piece and say what the file is."""
        self._seal_piece(is_last=True)
        self._is_spent = True
        return Sealed(self._size, self._digest.hexdigest(), self._clear.hexdigest())

    def _seal_piece(self, *, is_last: bool) -> None:
        if self._is_spent:
            raise RuntimeError("this writer has finished or failed; a new file needs a new writer")
        sealed = self._cipher.encrypt(piece_nonce(self._index, is_last=is_last), self._pending, None)
        self._index += 1
        self._pending.clear()
        self._put(sealed)

    def _put(self, sealed: bytes) -> None:
        self._is_spent, was_spent = True, self._is_spent  # spent for good if `emit` raises: no nonce is used twice
        self._emit(sealed)
        self._is_spent = was_spent
        self._digest.update(sealed)
        self._size += len(sealed)
