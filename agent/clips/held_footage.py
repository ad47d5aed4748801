"""Footage of a window wherever it lies: in the ring, and where that has recycled it, in what was held in time.

Rules of this file: the ring is asked first; a hold adds what the ring has no more, and never a window or camera that
was not asked for, so that holding changes nothing about what may be cut.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.hold import Hold, Holds
from agent.buffer.ring import Footage
from agent.clock import WallTime, Window
from agent.errors import UnavailableError
from agent.ports import ChunkSource

_SLABS_PER_HOLD: Final = 1 << 40


class RingAndHeld:
    """Ring and holds as one source of chunks (`ports.ChunkSource`); a held chunk's slab number is negative."""

    def __init__(self, ring: ChunkSource, holds: Holds) -> None:
        self._ring, self._holds = ring, holds
        self._names: list[str] = []  # of holds that gave a chunk; the place is part of the chunk's slab number

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed or held for a window; chunks by run and number, each once."""
        found = self._ring.footage(camera, window)
        chunks = {_key(chunk): chunk for chunk in found.chunks}
        headers = {header.meta.run: header for header in found.headers}
        recorded = len(chunks)
        for hold, kept in self._kept(camera, window):
            for chunk in kept.chunks:
                chunks.setdefault(_key(chunk), self._marked(hold, chunk))
            for header in kept.headers:
                headers.setdefault(header.meta.run, self._marked(hold, header))
        if len(chunks) == recorded:
            return found
        ordered = tuple(chunks[key] for key in sorted(chunks))
        runs = sorted({chunk.meta.run for chunk in ordered})
        newest = max((chunk.meta.last_picture for chunk in ordered), default=None)
        return Footage(tuple(headers[run] for run in runs), ordered, found.newest_picture or newest)

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""
        if chunk.slab < 0:
            place, slab = divmod(-chunk.slab, _SLABS_PER_HOLD)
            return self._holds.read(self._names[place - 1], replace(chunk, slab=slab))
        try:
            return self._ring.read(chunk)
        except UnavailableError:  # recycled since it was found
            meta = chunk.meta
            window = Window(meta.first_picture, WallTime(max(meta.first_picture, meta.last_picture) + 1))
            for hold, kept in self._kept(meta.camera, window):
                same = [
                    one
                    for one in (*kept.headers, *kept.chunks)
                    if (one.meta.kind, _key(one)) == (meta.kind, _key(chunk))
                ]
                if same:
                    return self._holds.read(hold.name, same[0])
            raise

    def _kept(self, camera: CameraId, window: Window) -> list[tuple[Hold, Footage]]:
        kept = []
        for hold in self._holds.held():
            if camera in hold.cameras and hold.window.intersection(window):
                try:
                    kept.append((hold, self._holds.footage(hold.name, camera, window)))
                except UnavailableError:  # released meanwhile, or its disk fails: then there is what the ring has
                    continue
        return kept

    def _marked(self, hold: Hold, chunk: StoredChunk) -> StoredChunk:
        if hold.name not in self._names:
            self._names.append(hold.name)
        return replace(chunk, slab=-((self._names.index(hold.name) + 1) * _SLABS_PER_HOLD + chunk.slab))


def _key(chunk: StoredChunk) -> tuple[int, int]:
    return chunk.meta.run, chunk.meta.sequence
