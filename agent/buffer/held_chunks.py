"""Chunks of a camera that nobody has vouched for yet, in memory until it is known whether they may be stored.

Rules of this file: bounded, and in the order in which they came; what is never let go was never in the ring.
"""

from __future__ import annotations

from typing import Final

from agent.buffer.chunk import ChunkMeta

HELD_BYTES_MAX: Final = 2 * 1024 * 1024
"""Of one camera: what 5 Mbit/s bring in 3 s. Of one that sends more the rest waits in the kernel, and in the camera."""

CHUNK_BYTES: Final = 512  # that a small chunk costs beside its payload


class HeldChunks:
    """Holds chunks until they are taken; `is_full` says that no more should be read, it refuses none."""

    def __init__(self) -> None:
        self._chunks: list[tuple[ChunkMeta, bytes]] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether reading on can wait until the word is there."""
        return self._bytes >= HELD_BYTES_MAX

    def append(self, meta: ChunkMeta, payload: bytes | memoryview) -> None:
        """Hold one chunk; copies the payload."""
        self._chunks.append((meta, bytes(payload)))
        self._bytes += len(payload) + CHUNK_BYTES

    def take(self) -> list[tuple[ChunkMeta, bytes]]:
        """Return all of them, oldest first, and hold them no longer."""
        chunks, self._chunks, self._bytes = self._chunks, [], 0
        return chunks
