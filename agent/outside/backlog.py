"""Chunks on their way from the recorder's thread to the disk's: memory with a bound, in which the oldest gives way."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from agent.buffer.chunk import CHUNK_HEADER_BYTES, ChunkMeta

SPARE_BYTES_MIN: Final = 64 * 1024
SPARES_BYTES_MAX: Final = 16 * 1024 * 1024  # kept for reuse when nothing waits


@dataclass(frozen=True, slots=True, eq=False)
class StreamPayload:
    """A run's stream chunk, kept while a chunk of the run waits; written once to each slab the run reaches."""

    meta: ChunkMeta
    payload: bytes


@dataclass(frozen=True, slots=True, eq=False)
class WaitingChunk:
    """A media chunk that is not on disk yet."""

    meta: ChunkMeta
    payload: bytes | memoryview
    stream: StreamPayload

    @property
    def size(self) -> int:
        """Bytes of memory it answers for; its stream chunk is counted with each, which errs on the safe side."""
        return CHUNK_HEADER_BYTES + len(self.payload) + len(self.stream.payload)


class Backlog:
    """A queue of chunks from one producer to one consumer. `put` never waits; it drops the oldest over `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._wake = threading.Condition(threading.RLock())
        self._chunks: deque[WaitingChunk] = deque()
        self._spares = _Spares()
        self._bytes = 0
        self._dropped = 0
        self._released = 0  # chunks at the old end that the consumer may have
        self._taken = 0  # chunks at the old end that it is writing now
        self._is_released = False
        self._is_closed = False

    def put(self, chunk: WaitingChunk) -> None:
        """Take a copy of a chunk; the consumer gets it after the next `release`."""
        with self._wake:
            self._chunks.append(replace(chunk, payload=self._spares.copy(chunk.payload)))
            self._bytes += chunk.size
            while self._bytes > self._bytes_max and self._taken < len(self._chunks):
                self._remove(self._taken)
                self._dropped += 1

    def release(self) -> None:
        """Let the consumer have all that was put so far."""
        with self._wake:
            self._released = len(self._chunks)
            self._is_released = True
            self._wake.notify_all()

    def close(self) -> None:
        """Release everything for the last time."""
        with self._wake:
            self._is_closed = True
            self.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a release, at most `timeout_s`; return whether the backlog was closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_released, timeout_s)
            self._is_released = False
            return self._is_closed

    def take(self, bytes_max: int) -> list[WaitingChunk]:
        """Return the oldest released chunks up to `bytes_max`, at least one if there is one; `settle` ends it."""
        with self._wake:
            taken: list[WaitingChunk] = []
            for chunk in islice(self._chunks, self._released):
                bytes_max -= chunk.size
                if taken and bytes_max < 0:
                    break
                taken.append(chunk)
            self._taken = len(taken)
            return taken

    def settle(self, written: int) -> None:
        """Let go of the first `written` of the chunks taken; the others stay and come first again."""
        with self._wake:
            self._taken = 0
            for _ in range(written):
                self._remove(0)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of memory in use."""
        with self._wake:
            return self._bytes

    @property
    def dropped(self) -> int:
        """Chunks that were given up since the start."""
        with self._wake:
            return self._dropped

    def _remove(self, index: int) -> None:
        chunk = self._chunks[index]
        self._bytes -= chunk.size
        del self._chunks[index]
        self._spares.take_back(chunk.payload)
        self._released -= index < self._released


class _Spares:
    """Memory that was used before: fresh pages for every chunk would cost the kernel more than sealing it."""

    def __init__(self) -> None:
        self._stores: dict[int, list[bytearray]] = {}  # by their size, which is a power of two
        self._bytes = 0

    def copy(self, payload: bytes | memoryview) -> memoryview:
        size = 1 << max(len(payload) - 1, SPARE_BYTES_MIN - 1).bit_length()
        stores = self._stores.get(size)
        if stores:
            self._bytes -= size
        view = memoryview(stores.pop() if stores else bytearray(size))[: len(payload)]
        view[:] = payload
        return view

    def take_back(self, payload: bytes | memoryview) -> None:
        store = payload.obj if isinstance(payload, memoryview) else None
        if isinstance(store, bytearray) and self._bytes + len(store) <= SPARES_BYTES_MAX:
            self._bytes += len(store)
            self._stores.setdefault(len(store), []).append(store)
