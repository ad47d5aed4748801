"""Sealed chunks on their way to the disk: aligned memory with a bound, in which the oldest batch gives way.

Rules of this file: one thread fills, one thread writes; filling never waits; the batch that is being written stays.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.acquire.stream import CameraId
from agent.buffer.chunk import CHUNK_HEADER_BYTES, TAG_BYTES, ChunkKind, ChunkMeta
from agent.buffer.slab import ChunkSealer, Cipher, Lane, padded
from agent.clock import Instant, WallTime
from agent.crypto import Secret

BATCH_BYTES: Final = 1024 * 1024
SPARES_MIN: Final = 2
CHUNK_EXTRA_BYTES: Final = CHUNK_HEADER_BYTES + TAG_BYTES

RunKey = tuple[CameraId, int]


@dataclass(frozen=True, slots=True)
class SealedStream:
    """A run's stream chunk as it is sealed for one slab: header, payload and tag."""

    meta: ChunkMeta
    sealed: bytes


@dataclass(slots=True, eq=False)
class Slab:
    """A slab that chunks are sealed for; it has a file when its first batch is written."""

    id: int
    lane: Lane
    cipher: Cipher
    size: int
    created: WallTime
    opened: Instant  # when this process began to write to it
    data_key: Secret
    sealer: ChunkSealer
    end: int  # where the next batch belongs if all batches are written
    chunks: int = 0  # in it so far, those of before a restart too: its index names them all
    runs: int = 0  # in it at most
    streams: dict[RunKey, SealedStream] = field(default_factory=dict)  # sealed for it, the newest at least
    in_file: set[RunKey] = field(default_factory=set)  # whose stream chunk the writer has brought to its file
    is_begun: bool = False  # it has a file, or had one
    is_given_up: bool = False  # its place on the disk fails: what is sealed from now on belongs elsewhere
    before: Slab | None = None  # the slab that was given up for it

    def keep(self, meta: ChunkMeta, sealed: bytes) -> None:
        """Keep a stream chunk in case its batch is dropped or lost; beyond a batch of them the oldest is forgotten."""
        self.streams[meta.camera, meta.run] = SealedStream(meta, sealed)
        while sum(len(stream.sealed) for stream in self.streams.values()) > BATCH_BYTES:
            del self.streams[next(iter(self.streams))]


class Placed(NamedTuple):
    """A sealed chunk in a batch, `offset` bytes from the batch's start."""

    meta: ChunkMeta
    offset: int
    length: int


class Batch:
    """Chunks of one slab back to back in page-aligned memory of `BATCH_BYTES`."""

    def __init__(self, slab: Slab, memory: mmap.mmap) -> None:
        self.slab = slab
        self.memory = memory
        self.chunks: list[Placed] = []
        self.length = 0

    def has_room(self, payload_bytes: int) -> bool:
        """Whether a chunk with so many bytes of payload still fits."""
        return self.length + payload_bytes + CHUNK_EXTRA_BYTES <= BATCH_BYTES

    def seal(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview) -> Placed:
        """Add a chunk, sealed for the batch's slab."""
        with memoryview(self.memory) as view, view[self.length :] as target:
            length = self.slab.sealer.seal(meta, payload, target)
        return self._placed(meta, length)

    def add(self, meta: ChunkMeta, sealed: bytes) -> Placed:
        """Add a chunk that is sealed for the batch's slab."""
        self.memory[self.length : self.length + len(sealed)] = sealed
        return self._placed(meta, len(sealed))

    def sealed(self, placed: Placed) -> bytes:
        """Return header, payload and tag of one of its chunks."""
        return self.memory[placed.offset : placed.offset + placed.length]

    def blocks(self) -> memoryview:
        """Return the batch filled up to whole blocks, to be released by the caller."""
        size = padded(self.length)
        self.memory[self.length : size] = bytes(size - self.length)
        return memoryview(self.memory)[:size]

    def _placed(self, meta: ChunkMeta, length: int) -> Placed:
        placed = Placed(meta, self.length, length)
        self.chunks.append(placed)
        self.length += length
        return placed


@dataclass(frozen=True, slots=True)
class SlabEnd:
    """No batch of this slab follows: it gets its index."""

    slab: Slab


@dataclass(frozen=True, slots=True)
class Commit:
    """All that came before belongs on the disk now."""


Item = Batch | SlabEnd | Commit


class BatchQueue:
    """What waits for the disk, at most `bytes_max` of it; beyond that the oldest batch is dropped and counted."""

    def __init__(self, bytes_max: int) -> None:
        self._batches_max = max(2, bytes_max // BATCH_BYTES)
        self._wake = threading.Condition()
        self._items: deque[Item] = deque()
        self._spares: list[mmap.mmap] = []
        self._made = 0  # batches of memory in use or spare
        self._taken = 0  # since the last commit
        self._spares_max = SPARES_MIN
        self._is_closed = False
        self.growing: dict[Lane, Batch] = {}  # belongs to the filling thread
        self._is_busy = False  # the first item is being written
        self._is_put_off = False
        self.dropped_chunks = 0

    def batch(self, slab: Slab) -> Batch:
        """Return an empty batch for a slab, which grows from now on; drops the oldest if there is no memory left."""
        with self._wake:
            self._taken += not self._is_put_off  # what an outage takes is given back
            memory = self._spares.pop() if self._spares else None
            if memory is None and self._made >= self._batches_max:
                memory = self._drop_oldest()
            if memory is None:
                memory = mmap.mmap(-1, BATCH_BYTES, flags=mmap.MAP_PRIVATE)
                self._made += 1
            batch = self.growing[slab.lane] = Batch(slab, memory)
            return batch

    def put(self, item: Item) -> None:
        """Hand an item to the writer. Commits that follow each other are one."""
        with self._wake:
            if isinstance(item, Batch):
                self.growing.pop(item.slab.lane, None)
            if isinstance(item, Commit):
                # New memory costs the kernel more than sealing into it: what a commit takes is kept for the next.
                self._spares_max = max(SPARES_MIN, self._taken + 1, self._spares_max - 1)
                self._taken = 0
            if not (isinstance(item, Commit) and self._items and isinstance(self._items[-1], Commit)):
                self._items.append(item)
                self._wake.notify_all()  # at once for each batch: waiting for more would keep them all in memory

    def first(self, timeout_s: float) -> Item | None:
        """Wait for the oldest item and mark it as being written; None after the time or when closed and empty."""
        with self._wake:
            self._wake.wait_for(lambda: self._items or self._is_closed, timeout_s)
            self._is_busy = bool(self._items)
            return self._items[0] if self._items else None

    def done(self) -> None:
        """Let go of the item that was being written."""
        with self._wake:
            item = self._items.popleft()
            self._is_busy = self._is_put_off = False
            self._wake.notify_all()
            if isinstance(item, Batch):
                self._give_back(item.memory)

    def put_off(self, wait_s: float) -> None:
        """Leave the first item for later, and wait; returns at once when closed."""
        with self._wake:
            self._is_busy, self._is_put_off = False, True
            self._wake.wait_for(lambda: self._is_closed, wait_s)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until everything that was put has been written; say whether it has."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._items, timeout_s)

    def close(self) -> None:
        """Say that nothing follows."""
        with self._wake:
            self._is_closed = True
            self._wake.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether nothing follows."""
        with self._wake:
            return self._is_closed

    @property
    def is_behind(self) -> bool:
        """Whether the disk fails, or is slower than the commits: then small pieces would only fill the memory."""
        with self._wake:
            return self._is_put_off or any(isinstance(item, Commit) for item in self._items)

    @property
    def waiting_bytes(self) -> int:
        """Bytes in batches that are not written yet, the growing ones included."""
        with self._wake:
            waiting = [item for item in self._items if isinstance(item, Batch)]
            return sum(batch.length for batch in (*waiting, *self.growing.values()))

    def free(self) -> None:
        """Give all memory back; nobody may use the queue any more."""
        with self._wake:
            for item in (*self._items, *self.growing.values()):
                if isinstance(item, Batch):
                    item.memory.close()
            self._items.clear()
            self.growing.clear()
            while self._spares:
                self._spares.pop().close()

    def _give_back(self, memory: mmap.mmap) -> None:
        if len(self._spares) < self._spares_max:
            self._spares.append(memory)
        else:
            memory.close()
            self._made -= 1

    def _drop_oldest(self) -> mmap.mmap | None:
        """Give up the oldest batch that is not being written and return its memory.

        Its stream chunks are not lost: their slab keeps them, and the writer brings them where they are missing.
        """
        batch = next((item for item in list(self._items)[self._is_busy :] if isinstance(item, Batch)), None)
        if batch is None:
            return None
        self.dropped_chunks += sum(placed.meta.kind is ChunkKind.MEDIA for placed in batch.chunks)
        kept: deque[Item] = deque()
        for place, item in enumerate(self._items):
            is_busy = place == 0 and self._is_busy
            if item is not batch and (is_busy or self._is_needed(item, kept)):
                kept.append(item)
        self._items = kept
        return batch.memory

    def _is_needed(self, item: Item, earlier: deque[Item]) -> bool:
        """Say whether an item still means something: an outage must not pile up commits and ends of empty slabs."""
        match item:
            case Commit():
                is_alone = len(earlier) == 1 and self._is_busy  # that one does not know of what came since
                return not earlier or is_alone or not isinstance(earlier[-1], Commit)
            case SlabEnd(slab):
                return slab.is_begun or any(isinstance(other, Batch) and other.slab is slab for other in earlier)
            case Batch():
                return True
