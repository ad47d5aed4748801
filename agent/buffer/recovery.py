"""After a start: the slabs as they lie on disk to the index, by their own word only.

Rules of this file: the step numbers are those of FORMAT.md, Recovery. A damaged place costs the chunks it lies in and
nothing else; a chunk that was not wholly written is never in the index of the slab that is written to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.buffer.chunk import CHUNK_HEADER_BYTES, ChunkHeader, StoredChunk, unpack_chunk_header
from agent.buffer.ring import RingIndex
from agent.buffer.slab import BLOCK_BYTES, ChunkOpener, SlabHeader, padded, unpack_slab_header, unwrap_key
from agent.crypto import Secret
from agent.errors import BadInputError, UnavailableError

RESYNC_BYTES_MAX: Final = 16 * 1024 * 1024
"""How far behind a damaged place the next batch is looked for; two of the largest batches."""

ReadAt = Callable[[int, int], bytes]
"""(offset, length) to the bytes there, fewer at the end of the slab; UnavailableError where they cannot be read."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one slab holds."""

    chunks: tuple[StoredChunk, ...]
    end: int  # bytes from the start of the slab to where the next batch belongs
    damaged: int  # chunks whose header stands but whose tag does not hold; counted where tags are verified


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ring as it is on disk. Slots without a header in `headers` are free."""

    index: RingIndex
    headers: Mapping[int, SlabHeader]  # by slot
    newest: int | None  # slot of the slab that was written last
    end: int  # where its next batch belongs
    next_number: int  # a slab number that was never used
    damaged: int  # chunks of the newest slab that were not wholly written or have decayed


def recover(slots: Mapping[int, ReadAt], volume: bytes, key_encryption_key: Secret) -> Recovered:
    """Rebuild the index from the slabs in `slots`; never raises for what stands in them."""
    # 1. Read every slab header; those that cannot be believed leave a free slot.
    headers: dict[int, SlabHeader] = {}
    keys: dict[int, Secret] = {}
    numbers: set[int] = set()
    for slot, read in slots.items():
        try:
            header = read_slab_header(read, volume)
            keys[slot] = unwrap_key(header, key_encryption_key)
        except (BadInputError, UnavailableError):
            continue
        if header.number not in numbers:
            numbers.add(header.number)
            headers[slot] = header
    # 2. The newest slab has the highest number; the next one gets a number that no lost slab can have had.
    newest = max(headers, key=lambda slot: headers[slot].number, default=None)
    next_number = max(numbers, default=0) + 1 + len(slots) - len(headers)
    # 3. Scan the slabs, oldest first: tags in the newest, headers only in the others.
    index, end, damaged = RingIndex(), BLOCK_BYTES, 0
    for slot in sorted(headers, key=lambda slot: headers[slot].number):
        opener = ChunkOpener(headers[slot], keys[slot]) if slot == newest else None
        found = scan(headers[slot], slots[slot], opener)
        for chunk in found.chunks:
            index.add(chunk)
        end, damaged = found.end, found.damaged
    return Recovered(index, headers, newest, end, next_number, damaged)


def read_slab_header(read: ReadAt, volume: bytes) -> SlabHeader:
    """Read a slab's header; raises BadInputError if there is none of this ring."""
    header = unpack_slab_header(read(0, BLOCK_BYTES))
    if header.volume != volume:
        raise BadInputError("a slab of another ring")
    return header


def scan(header: SlabHeader, read: ReadAt, opener: ChunkOpener | None) -> Scan:
    """Find the chunks of one slab; with an opener, only those whose tag holds."""
    order = _Order(header.number)
    chunks: list[StoredChunk] = []
    damaged = 0
    position, end = BLOCK_BYTES, BLOCK_BYTES
    # 4. Go from header to header while they are believable.
    while position + CHUNK_HEADER_BYTES <= header.size and position - end <= RESYNC_BYTES_MAX:
        found = _read_chunk_header(read, position)
        if found is None or position + found.stored_bytes > header.size or not order.follows(found):
            # 5. Filler, damage, or what an earlier lap left: the next batch can begin at the next block only.
            position = padded(position + 1)
            continue
        # 6. In the newest slab the tag decides.
        if opener is None or _is_whole(opener, read, position, found.stored_bytes):
            chunks.append(StoredChunk(found.meta, header.number, position, found.stored_bytes))
            order.take(found)
            end = position + found.stored_bytes
        else:
            damaged += 1
        position += found.stored_bytes
    return Scan(tuple(chunks), padded(end), damaged)


class _Order:
    """Which chunk headers may follow in a slab: a writer session's counters rise, a session that was left is over.

    What a torn or repeated write left behind has an older session or a lower counter.
    """

    def __init__(self, slab: int) -> None:
        self._slab = slab
        self._counters: dict[bytes, int] = {}  # newest session last

    def follows(self, header: ChunkHeader) -> bool:
        if header.slab != self._slab:
            return False
        if header.session not in self._counters:
            return True
        return header.session == next(reversed(self._counters)) and header.counter > self._counters[header.session]

    def take(self, header: ChunkHeader) -> None:
        self._counters[header.session] = header.counter


def _read_chunk_header(read: ReadAt, position: int) -> ChunkHeader | None:
    try:
        return unpack_chunk_header(read(position, CHUNK_HEADER_BYTES))
    except (BadInputError, UnavailableError):
        return None


def _is_whole(opener: ChunkOpener, read: ReadAt, position: int, length: int) -> bool:
    try:
        opener.open(read(position, length))
    except (BadInputError, UnavailableError):
        return False
    return True
