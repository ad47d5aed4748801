"""After a start: the slabs as they lie on disk to the index, by their own word only.

Rules of this file: the step numbers are those of FORMAT.md, Recovery. A damaged place costs the chunks it lies in and
nothing else; a chunk whose tag does not hold is never in the index, unless it has decayed behind a sealed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Final

from agent.buffer.chunk import CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, StoredChunk, unpack_chunk_header
from agent.buffer.ring import RingIndex
from agent.buffer.slab import BLOCK_BYTES, ChunkOpener, Lane, SlabHeader, padded, unpack_slab_header, unwrap_key
from agent.buffer.slab_index import SlabFooter, unpack_footer
from agent.crypto import Secret
from agent.errors import BadInputError, UnavailableError

RESYNC_BYTES_MAX: Final = 16 * 1024 * 1024
"""How far behind a damaged place the next batch is looked for; two of the largest batches."""

ReadAt = Callable[[int, int], bytes]
"""(offset, length) to the bytes there, fewer at the end of the slab; UnavailableError where they cannot be read."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one slab holds, by reading all of it."""

    chunks: tuple[StoredChunk, ...]  # footage only
    end: int  # bytes from the start of the slab to where the next batch belongs
    damaged: int  # chunks whose header stands but whose tag does not hold
    is_left: bool  # there is an index chunk: nothing may follow


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """Where writing goes on in a slab."""

    slot: int
    end: int
    chunks: int  # how many chunks, and runs of cameras, are in it already: its index will hold them too
    runs: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ring as it is on disk. Slots without a header in `headers` are free."""

    index: RingIndex
    headers: Mapping[int, SlabHeader]  # by slot
    open: Mapping[Lane, OpenPlace]  # of each lane the newest slab, if it was not left
    next_number: int  # higher than all
    damaged: int  # chunks in scanned slabs that were not wholly written or have decayed
    scanned: int  # slabs without a sealed index


def recover(
    slots: Iterable[int],
    open_slot: Callable[[int], AbstractContextManager[ReadAt]],
    volume: bytes,
    key_encryption_key: Secret,
) -> Recovered:
    """Rebuild the index from the slabs in `slots`; never raises for what stands in them.

    `open_slot` may raise UnavailableError.
    """
    # 1. Read every slab header; those that cannot be believed leave a free slot.
    found: dict[int, tuple[SlabHeader, Secret]] = {}
    for slot in slots:
        try:
            with open_slot(slot) as read:
                header = read_slab_header(read, volume)
            found[slot] = header, unwrap_key(header, key_encryption_key)
        except (BadInputError, UnavailableError):
            continue
    # 2. Of slabs with the same number or id the one made last stays; the next number is higher than all.
    kept = _without_copies({slot: header for slot, (header, _) in found.items()})
    next_number = max((header.number for header, _ in found.values()), default=0) + 1
    # 3. Load or scan the slabs, oldest first.
    index = RingIndex()
    places: dict[Lane, OpenPlace] = {}
    damaged = scanned = 0
    for slot, header in sorted(kept.items(), key=lambda item: item[1].number):
        places.pop(header.lane, None)  # 4. Only the newest slab of a lane may be gone on with.
        try:
            with open_slot(slot) as read:
                content = _load(header, read, found[slot][1], index)
        except UnavailableError:
            continue
        if content is None:
            continue
        scanned += 1
        damaged += content.damaged
        if not content.is_left:
            runs = {(chunk.meta.camera, chunk.meta.run) for chunk in content.chunks}
            places[header.lane] = OpenPlace(slot, content.end, len(content.chunks), len(runs))
    return Recovered(index, kept, places, next_number, damaged, scanned)


def read_slab_header(read: ReadAt, volume: bytes) -> SlabHeader:
    """Read a slab's header; raises BadInputError if there is none of this ring."""
    header = unpack_slab_header(read(0, BLOCK_BYTES))
    if header.volume != volume:
        raise BadInputError("a slab of another ring")
    return header


def scan(header: SlabHeader, read: ReadAt, opener: ChunkOpener) -> Scan:
    """Find the chunks of one slab whose tags hold."""
    order = _Order()
    chunks: list[StoredChunk] = []
    damaged, is_left = 0, False
    position, end, border = BLOCK_BYTES, BLOCK_BYTES, header.size - BLOCK_BYTES
    # 6. Go from header to header while they are believable.
    while position + CHUNK_HEADER_BYTES <= border and position - end <= RESYNC_BYTES_MAX:
        found = _read_chunk_header(read, position)
        is_ours = found is not None and found.slab == header.id and position + found.stored_bytes <= border
        if found is None or not is_ours or not order.follows(found):
            # 7. Filler, damage, or what an earlier lap left: the next batch can begin at the next block only.
            position = padded(position + 1)
            continue
        # 8. The tag decides.
        if not _is_whole(opener, read, position, found.stored_bytes):
            damaged += 1
            position = _behind_damage(header, read, opener, order, position, found.stored_bytes)
            continue
        order.take(found)
        position = end = position + found.stored_bytes
        if found.meta.kind is ChunkKind.INDEX:
            is_left = True
        else:
            chunks.append(StoredChunk(found.meta, header.number, end - found.stored_bytes, found.stored_bytes))
    return Scan(tuple(chunks), padded(end), damaged, is_left)


class _Order:
    """Which chunks may follow in a slab: none that is there already, and none of a session that another one followed.

    What a torn or repeated write left behind is of an older session, or a copy.
    """

    def __init__(self) -> None:
        self._sessions: dict[bytes, set[int]] = {}  # counters by session, the newest last

    def follows(self, header: ChunkHeader) -> bool:
        counters = self._sessions.get(header.session)
        if counters is None:
            return True
        return header.session == next(reversed(self._sessions)) and header.counter not in counters

    def take(self, header: ChunkHeader) -> None:
        self._sessions.setdefault(header.session, set()).add(header.counter)


def _behind_damage(
    header: SlabHeader, read: ReadAt, opener: ChunkOpener, order: _Order, position: int, length: int
) -> int:
    """Return where to go on behind a chunk whose tag does not hold: at a batch that was written over it, else behind.

    After a torn write the next session begins inside of what the torn chunk's header lays claim to.
    """
    for border in range(padded(position + 1), position + length, BLOCK_BYTES):
        found = _read_chunk_header(read, border)
        is_next = found is not None and found.slab == header.id and order.follows(found)
        if found is not None and is_next and _is_whole(opener, read, border, found.stored_bytes):
            return border
    return position + length


def _without_copies(headers: Mapping[int, SlabHeader]) -> dict[int, SlabHeader]:
    """Leave out all but the newest of the slabs that have the same number or the same id."""
    numbers: set[int] = set()
    ids: set[int] = set()
    kept: dict[int, SlabHeader] = {}
    for slot, header in sorted(headers.items(), key=lambda item: (-item[1].created, item[0])):
        if header.number not in numbers and header.id not in ids:
            kept[slot] = header
        numbers.add(header.number)
        ids.add(header.id)
    return kept


def _load(header: SlabHeader, read: ReadAt, data_key: Secret, index: RingIndex) -> Scan | None:
    """Bring what a slab has into the index: by its own index (then return None), else by a scan."""
    opener = ChunkOpener(header, data_key)
    is_left = True  # a last block that cannot be read may be a footer
    with suppress(BadInputError, UnavailableError):
        footer = _read_footer(read, header)
        if footer is not None:
            index.load_slab(header.number, _open_index(header, read, opener, footer))
            return None
        is_left = False
    found = scan(header, read, opener)
    for chunk in found.chunks:
        index.add(chunk)
    return replace(found, is_left=is_left or found.is_left)


def _read_footer(read: ReadAt, header: SlabHeader) -> SlabFooter | None:
    """Return the footer; None if the last block is none of this slab."""
    try:
        footer = unpack_footer(read(header.size - BLOCK_BYTES, BLOCK_BYTES))
    except BadInputError:
        return None
    return footer if footer.slab == header.id else None


def _open_index(header: SlabHeader, read: ReadAt, opener: ChunkOpener, footer: SlabFooter) -> bytes:
    if footer.offset + footer.length > header.size - BLOCK_BYTES:
        raise BadInputError("a footer that points out of its slab")
    opened, payload = opener.open(read(footer.offset, footer.length))
    if opened.meta.kind is not ChunkKind.INDEX:
        raise BadInputError("a footer that does not point to an index")
    return payload


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
