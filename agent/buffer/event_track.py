"""One camera's events as the index holds them: rows by slab, found by when they were told.

Rules of this file: chunks of events are few, so they are looked through, slab by slab; they are ordered by sequence
number, and of two with the same one the copy in the newer slab counts: it stays longer.
"""

from __future__ import annotations

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.buffer.row import ROW_BYTES, Rows, sequence_of, unpack_row
from agent.buffer.slab_index import EVENTS_RUN
from agent.clock import Window


class EventTrack:
    """The committed chunks of events of one camera."""

    def __init__(self) -> None:
        self._slabs: dict[int, dict[int, bytes]] = {}  # by slab: rows by sequence

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left."""
        return not self._slabs

    def add(self, slab: int, rows: Rows) -> None:
        """Take rows of a slab, in any order."""
        known = self._slabs.setdefault(slab, {})
        for row in range(len(rows) // ROW_BYTES):
            known[sequence_of(rows, row)] = bytes(rows[row * ROW_BYTES : (row + 1) * ROW_BYTES])

    def rows(self, slab: int) -> bytes:
        """Return what a slab has, by sequence."""
        known = self._slabs.get(slab, {})
        return b"".join(known[sequence] for sequence in sorted(known))

    def forget(self, slab: int) -> None:
        """Drop what a slab had."""
        self._slabs.pop(slab, None)

    def chunks(self, camera: CameraId, window: Window) -> tuple[StoredChunk, ...]:
        """Return the chunks whose times, both ends included, reach into a window."""
        found: dict[int, StoredChunk] = {}
        for slab in sorted(self._slabs):
            for sequence, row in self._slabs[slab].items():
                chunk = unpack_row(row, 0, ChunkKind.EVENTS, camera, EVENTS_RUN, slab)
                if chunk.meta.first_arrival < window.end and window.start <= chunk.meta.last_arrival:
                    found[sequence] = chunk
        return tuple(found[sequence] for sequence in sorted(found))
