"""A slab as bytes in memory, written to as a hub does it, to be damaged by a test."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.buffer.chunk import ChunkMeta, StoredChunk
from agent.buffer.recovery import ReadAt, Recovered, recover
from agent.buffer.ring import RingIndex
from agent.buffer.slab import (
    BLOCK_BYTES,
    SLAB_BYTES_MIN,
    ChunkOpener,
    ChunkSealer,
    Cipher,
    Lane,
    SlabHeader,
    pack_slab_header,
    padded,
    wrap_key,
)
from agent.buffer.slab_index import index_meta, pack_footer
from agent.clock import WallTime
from agent.crypto import Secret
from agent.errors import UnavailableError
from tests.simulators.ring_content import START, at, media, stream

KEK = Secret(bytes(32))
VOLUME = bytes(range(16))
BATCHES, CHUNKS_PER_BATCH = 8, 3
ROOM_BYTES = 256 * 1024  # of a slab there are its start and its last block; the rest reads as zeros


@dataclass
class SlabBytes:
    """A slab and what was written to it."""

    header: SlabHeader
    data_key: Secret
    raw: bytearray
    last_block: bytes | None = bytes(BLOCK_BYTES)  # None: a bad sector
    chunks: list[StoredChunk] = field(default_factory=list)
    end: int = BLOCK_BYTES

    @property
    def opener(self) -> ChunkOpener:
        """Return what opens its chunks."""
        return ChunkOpener(self.header, self.data_key)

    def read(self, offset: int, length: int) -> bytes:
        """Read as from a file."""
        border = self.header.size - BLOCK_BYTES
        if offset >= border:
            if self.last_block is None:
                raise UnavailableError("bad sector")
            return self.last_block[offset - border :][:length]
        return bytes(self.raw[offset : offset + length])

    def write(self, session: bytes, batches: Iterable[Iterable[ChunkMeta]]) -> None:
        """Append batches under a new session."""
        sealer = ChunkSealer(self.header.id, self.header.cipher, self.data_key, session)
        for batch in batches:
            position = self.end
            for meta in batch:
                payload = random.Random(meta.sequence).randbytes(500 + meta.sequence * 37 % 4000)  # noqa: S311 - repeatable test content
                length = sealer.seal(meta, payload, memoryview(self.raw)[position:])
                self.chunks.append(StoredChunk(meta, self.header.number, position, length))
                position += length
            self.end = padded(position)

    def leave(self, *, has_footer: bool = True) -> None:
        """Append the index, and say where it is in the last block."""
        index = RingIndex()
        for chunk in self.chunks:
            index.add(chunk)
        sealer = ChunkSealer(self.header.id, self.header.cipher, self.data_key, b"i" * 16)
        target = memoryview(self.raw)[self.end :]
        length = sealer.seal(index_meta(at(99)), index.pack_slab(self.header.number), target)
        if has_footer:
            self.last_block = pack_footer(self.header.id, self.end, length)
        self.end += padded(length)


def batches(first: int, count: int = BATCHES * CHUNKS_PER_BATCH, run: int = 1) -> Iterator[list[ChunkMeta]]:
    """Return chunks numbered from `first` in batches, the stream chunk before the first."""
    for begin in range(first, first + count, CHUNKS_PER_BATCH):
        numbers = range(begin, min(begin + CHUNKS_PER_BATCH, first + count))
        yield [stream(run=run)[0]] * (begin == first) + [media(number, run=run) for number in numbers]


def slab(
    number: int, *, identity: int | None = None, lane: Lane = Lane.SHARED, created: WallTime = START, old: bytes = b""
) -> SlabBytes:
    """Make a slab without chunks, over the bytes of an earlier lap."""
    identity = number * 1000 if identity is None else identity
    blank = SlabHeader(number, identity, VOLUME, Cipher.AES_256_GCM, lane, created, SLAB_BYTES_MIN)
    data_key = Secret(bytes([identity % 256] * 32))
    header = wrap_key(blank, data_key, KEK, bytes([number] * 12))
    raw = bytearray(old.ljust(ROOM_BYTES, b"\0"))
    raw[:BLOCK_BYTES] = pack_slab_header(header)
    return SlabBytes(header, data_key, raw)


def filled(number: int, first: int, *, lane: Lane = Lane.SHARED, old: bytes = b"") -> SlabBytes:
    """Make a slab with 24 chunks numbered from `first`."""
    made = slab(number, lane=lane, old=old)
    made.write(bytes([number] * 16), batches(first))
    return made


def recovered(*reads: ReadAt) -> Recovered:
    """Recover from slots that are read in this way."""

    @contextmanager
    def open_slot(slot: int) -> Iterator[ReadAt]:
        yield reads[slot]

    return recover(range(len(reads)), open_slot, VOLUME, KEK)
