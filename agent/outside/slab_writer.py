"""The slab that is written to: chunks are sealed into one aligned buffer, which goes to disk in one write and one sync.

Rules of this file: all errors are OSError; after one, the same batch may be written again at the same place.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import CHUNK_HEADER_BYTES, SESSION_BYTES, TAG_BYTES, StoredChunk
from agent.buffer.slab import (
    BLOCK_BYTES,
    KEY_BYTES,
    ChunkSealer,
    Cipher,
    SlabHeader,
    chunk_nonce,
    make_aead,
    pack_slab_header,
    padded,
)
from agent.crypto import Secret
from agent.outside.backlog import StreamPayload, WaitingChunk

BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
_MEASURED_BYTES: Final = 256 * 1024
_MEASURED_ROUNDS: Final = 4
_CHUNK_EXTRA_BYTES: Final = CHUNK_HEADER_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Batch:
    """What one write brought to disk."""

    stored: tuple[StoredChunk, ...]
    taken: int  # chunks of the backlog in it
    size: int  # bytes written


class SlabWriter:
    """Appends batches to one slab.

    `buffer` is page-aligned memory of `BATCH_BYTES_MAX`, which one writer after the other uses.
    """

    def __init__(self, path: Path, header: SlabHeader, data_key: Secret, buffer: mmap.mmap, *, end: int) -> None:
        self.number = header.number
        self.created = header.created
        self._path = path
        self._size = header.size
        self._end = end
        self._view = memoryview(buffer)
        self._sealer = ChunkSealer(header, data_key, os.urandom(SESSION_BYTES))
        self._runs: set[tuple[CameraId, int]] = set()  # whose stream chunk is in the slab
        self._file, self.is_direct = open_for_writing(path)

    @classmethod
    def create(cls, path: Path, header: SlabHeader, data_key: Secret, buffer: mmap.mmap) -> SlabWriter:
        """Make a slab in a new file or in the place of an old one, whose key is gone when this returns."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            # The new header replaces the old key before anything else happens to the file.
            os.pwrite(file, pack_slab_header(header), 0)
            os.fdatasync(file)
            if size > header.size:
                os.ftruncate(file, header.size)
            os.posix_fallocate(file, 0, header.size)
            os.fsync(file)
        finally:
            os.close(file)
        return cls(path, header, data_key, buffer, end=BLOCK_BYTES)

    def append(self, chunks: Iterable[WaitingChunk]) -> Batch:
        """Seal as many of `chunks` as fit, write and sync them; nothing taken means that the slab is full."""
        room = min(BATCH_BYTES_MAX, self._size - self._end)
        stored: list[StoredChunk] = []
        runs = set(self._runs)
        position, taken = 0, 0
        for chunk in chunks:
            run = chunk.meta.camera, chunk.meta.run
            parts: list[StreamPayload | WaitingChunk] = [chunk] if run in runs else [chunk.stream, chunk]
            if position + sum(len(part.payload) + _CHUNK_EXTRA_BYTES for part in parts) > room:
                break
            for part in parts:
                target = self._view[position:]
                stored.append(self._sealer.seal(part.meta, part.payload, target, self._end + position))
                position += stored[-1].length
            runs.add(run)
            taken += 1
        if taken:
            self._write(position)
            self._runs = runs
        return Batch(tuple(stored), taken, padded(position))

    def close(self) -> None:
        """Close the file; every batch is synced already."""
        self._view.release()
        os.close(self._file)

    def _write(self, length: int) -> None:
        size = padded(length)
        self._view[length:size] = bytes(size - length)
        try:
            written = os.pwrite(self._file, self._view[:size], self._end)
        except OSError as error:
            if error.errno != errno.EINVAL or not self.is_direct:
                raise
            # Some file systems let a file be opened with O_DIRECT and refuse only the write.
            os.close(self._file)
            self._file, self.is_direct = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC), False
            written = os.pwrite(self._file, self._view[:size], self._end)
        if written != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(self._file)
        self._end += size


def open_for_writing(path: Path) -> tuple[int, bool]:
    """Open a slab file past the page cache where the file system can; return the descriptor and whether it could."""
    try:
        return os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC), True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.open(path, os.O_WRONLY | os.O_CLOEXEC), False


def pick_cipher() -> Cipher:
    """Return the cipher this machine is faster with, measured in about 20 ms."""
    plain = bytes(_MEASURED_BYTES)
    sealed = bytearray(_MEASURED_BYTES + 16)
    took: dict[Cipher, float] = {}
    for cipher in Cipher:
        aead = make_aead(cipher, Secret(bytes(KEY_BYTES)))
        rounds: list[float] = []
        for counter in range(_MEASURED_ROUNDS):
            start = time.perf_counter()
            aead.encrypt_into(chunk_nonce(counter), plain, None, sealed)
            rounds.append(time.perf_counter() - start)
        took[cipher] = min(rounds)
    return min(took, key=took.__getitem__)
