"""A ring in memory: a list of chunks that a test can read and break."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.errors import UnavailableError


class ChunkList:
    """Implements `ChunkSink`; `is_broken` makes every append fail. Tests wait for chunks by `wait_until`."""

    def __init__(self) -> None:
        self.chunks: list[tuple[ChunkMeta, bytes]] = []
        self.commits = 0
        self.is_broken = False
        self._changed = threading.Condition()

    def append(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview) -> None:
        """Keep one chunk."""
        if self.is_broken:
            raise UnavailableError("the ring is full")
        with self._changed:
            self.chunks.append((meta, bytes(payload)))
            self._changed.notify_all()

    def commit(self) -> None:
        """Count."""
        with self._changed:
            self.commits += 1
            self._changed.notify_all()

    def of(self, camera: CameraId, kind: ChunkKind = ChunkKind.MEDIA) -> list[tuple[ChunkMeta, bytes]]:
        """Return one camera's chunks of one kind."""
        return [(meta, payload) for meta, payload in list(self.chunks) if meta.camera == camera and meta.kind is kind]

    def wait_until(self, is_so: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Wait until something holds, asking after every append and commit; fail the test after `timeout_s`."""
        due = time.monotonic() + timeout_s
        with self._changed:
            while not is_so():
                remaining_s = due - time.monotonic()
                assert remaining_s > 0, "what the test waits for did not happen"
                self._changed.wait(min(remaining_s, 0.05))
