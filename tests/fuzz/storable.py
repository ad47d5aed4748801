"""What the recorder stores it must be able to write down: no camera can make a mapping that has no place in a chunk."""

from __future__ import annotations

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor
from agent.buffer.chunk import ChunkHeader, ChunkKind, ChunkMeta, pack_chunk_header
from agent.clock import WallTime
from agent.errors import BadInputError


def check_storable(anchor: Anchor | None) -> None:
    """Raise AssertionError if a chunk with this mapping cannot be written."""
    assert anchor is not None
    moment = WallTime(0)
    meta = ChunkMeta(
        camera=CameraId("door"),
        kind=ChunkKind.MEDIA,
        is_key=True,
        run=1,
        sequence=1,
        first_arrival=moment,
        last_arrival=moment,
        first_rtp=anchor.rtp,
        last_rtp=anchor.rtp,
        anchor=anchor,
    )
    check_packable(meta)


def check_packable(meta: ChunkMeta) -> None:
    """Raise AssertionError if a chunk header does not take this: the recorder asks for it where nothing may fail."""
    try:
        pack_chunk_header(ChunkHeader(meta, 1, 1, bytes(16), 0))
    except BadInputError as error:
        raise AssertionError(f"a chunk that cannot be stored: {error}") from error
