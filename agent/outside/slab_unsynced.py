"""Chunks between their write and their name in the index: named after the sync, and after a failed one not on trust.

Rules of this file: one thread (the writer's). A later sync that works says nothing about what an earlier one lost: what
was written before a failed one is read back from the disk, and what is not there is not named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.errors import BadInputError, UnavailableError
from agent.outside.slab_batches import Batch, Placed, Slab
from agent.outside.slab_file import SlabFile
from agent.outside.slab_shelf import SlabShelf


class _Written(NamedTuple):
    """Chunks of one batch, and where the batch begins in the slab's file."""

    slab: Slab
    offset: int
    chunks: list[Placed]


class Unsynced:
    """What is written and not synced. The methods that may find chunks gone return how many media chunks are."""

    def __init__(self, shelf: SlabShelf) -> None:
        self._shelf = shelf
        self._written: list[_Written] = []
        self._doubtful: set[Slab] = set()

    @property
    def slabs(self) -> list[Slab]:
        """The slabs that something of it is in, in the order of writing."""
        return list({one.slab: None for one in self._written})

    def note(self, batch: Batch, offset: int) -> None:
        """Note that a batch was written at this place of its slab's file."""
        self._written.append(_Written(batch.slab, offset, batch.chunks))

    def doubt(self, slab: Slab) -> None:
        """Note that a sync of a slab failed, or that its disk was away."""
        self._doubtful.add(slab)

    def publish(self, slab: Slab, file: SlabFile) -> int:
        """Name what was written to a slab and has been synced, or if that is in doubt, what of it is there."""
        lost = 0
        for one in self._take(slab):
            chunks = [
                StoredChunk(placed.meta, file.header.number, one.offset + placed.offset, placed.length)
                for placed in one.chunks
            ]
            if slab in self._doubtful:
                there = [chunk for chunk in chunks if self._is_whole(chunk, file)]
                lost += _forget(slab, [chunk.meta for chunk in chunks if chunk not in there])
                chunks = there
            self._shelf.publish(chunks)
        self._doubtful.discard(slab)
        return lost

    def lose(self, slab: Slab) -> int:
        """Give up what was written to a slab: its file is gone."""
        return _forget(slab, [placed.meta for one in self._take(slab) for placed in one.chunks])

    def _take(self, slab: Slab) -> list[_Written]:
        taken = [one for one in self._written if one.slab is slab]
        self._written = [one for one in self._written if one.slab is not slab]
        return taken

    def _is_whole(self, chunk: StoredChunk, file: SlabFile) -> bool:
        try:
            _, opener = self._shelf.opener(chunk.slab)
            opener.open(file.read_back(chunk.offset, chunk.length))
        except (BadInputError, UnavailableError, OSError):
            return False
        return True


def _forget(slab: Slab, chunks: Iterable[ChunkMeta]) -> int:
    """Count the media chunks among those that are gone; a stream chunk comes again with the next batch."""
    lost = 0
    for meta in chunks:
        lost += meta.kind is ChunkKind.MEDIA
        slab.in_file.discard((meta.camera, meta.run))
    return lost
