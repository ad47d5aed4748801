"""Footage whose source a test exchanges while a process uses it, as when another clock dates it."""

from __future__ import annotations

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage
from agent.clock import Window
from agent.ports import ChunkSource


class SwitchedFootage:
    """The footage of a process: another `source` of it counts at once."""

    def __init__(self, source: ChunkSource) -> None:
        self.source = source

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what there is."""
        return self.source.footage(camera, window)

    def read(self, chunk: StoredChunk) -> bytes:
        """Return the bytes of a chunk."""
        return self.source.read(chunk)
