"""A sink that records nothing: it keeps each camera's newest pictures in memory, so a blank hub can be shown a code.

Rules of this file: one thread appends, any thread reads. What is kept is an immutable tuple that is replaced whole,
so a reader sees one state or the next and needs no lock.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.stream import CameraId, StreamHeader, decode_stream_header
from agent.buffer.chunk import ChunkKind, ChunkMeta

LATCH_BYTES_MAX: Final = 4 * 1024 * 1024  # of one camera: a key picture of 4K and what follows it
LATCH_CAMERAS_MAX: Final = 64

KeptChunk = tuple[ChunkMeta, bytes]
_Kept = tuple[StreamHeader, tuple[KeptChunk, ...], int]  # the run's header, chunks from the key chunk on, their bytes


class KeyFrameLatch:
    """A `ChunkSink` that keeps, of each camera, the chunks since its newest key chunk, up to `LATCH_BYTES_MAX`."""

    def __init__(self) -> None:
        self._kept: dict[CameraId, _Kept] = {}

    def append(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview) -> None:
        """Take one chunk. A key chunk replaces what was kept; what exceeds the limit is left out until the next one.

        Raises BadInputError if a stream chunk is not a stream header.
        """
        if meta.kind is ChunkKind.STREAM:
            if meta.camera in self._kept or len(self._kept) < LATCH_CAMERAS_MAX:
                self._kept[meta.camera] = (decode_stream_header(bytes(payload)), (), 0)
            return
        kept = self._kept.get(meta.camera)
        if kept is None or kept[0].run != meta.run:
            return
        header, chunks, size = (kept[0], (), 0) if meta.is_key else kept
        is_gap = not meta.is_key and (not chunks or chunks[-1][0].sequence + 1 != meta.sequence)
        if not is_gap and size + len(payload) <= LATCH_BYTES_MAX:
            self._kept[meta.camera] = (header, (*chunks, (meta, bytes(payload))), size + len(payload))

    def commit(self) -> None:
        """Do nothing: there is no disk behind this sink."""

    def newest(self, camera: CameraId) -> tuple[StreamHeader, tuple[KeptChunk, ...]] | None:
        """Return the stream's header and the chunks since its newest key chunk; None before there is one."""
        kept = self._kept.get(camera)
        return (kept[0], kept[1]) if kept and kept[1] else None

    def cameras(self) -> tuple[CameraId, ...]:
        """Return the cameras of which there is a key picture, sorted."""
        kept = dict(self._kept)
        return tuple(sorted(camera for camera, (_, chunks, _) in kept.items() if chunks))
