"""A ring on disk with chunks of whole frames, and ways to break it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import CHUNK_HEADER_BYTES, StoredChunk
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import CAMERA, media, stream
from tests.simulators.ring_log import settle
from tests.simulators.rtsp_camera import rtp_frame

_SETTLED_BYTES: Final = 2 * 1024 * 1024


def framed(sequence: int, size: int = 300) -> bytes:
    """Return two interleaved frames."""
    return rtp_frame(0, sequence, 0, bytes(size), marker=False) + rtp_frame(0, sequence + 1, 0, b"end", marker=True)


def record_framed(
    log: SlabLog,
    sequences: Iterable[int],
    *,
    camera: CameraId = CAMERA,
    run: int = 1,
    size: int = 300,
    is_key: bool | None = None,
) -> None:
    """Record the chunks of these seconds, and wait until the disk has them."""
    log.append(*stream(camera, run))
    every = max(1, _SETTLED_BYTES // size)  # more than the ring's memory holds would be given up on a busy machine
    for count, sequence in enumerate(sequences):
        log.append(media(sequence, camera=camera, run=run, is_key=is_key), framed(sequence, size))
        if count % every == every - 1:
            settle(log)
    settle(log)


def slab_files(directory: Path) -> list[Path]:
    """Return the ring's slabs, in the order in which they were made."""
    return sorted(path for path in directory.iterdir() if path.name.startswith("slab-"))


def flip(directory: Path, chunk: StoredChunk) -> None:
    """Change one bit of a chunk's sealed payload, in the one slab there is."""
    (slab,) = slab_files(directory)
    with slab.open("r+b") as file:
        file.seek(chunk.offset + CHUNK_HEADER_BYTES + 7)
        octet = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([octet ^ 1]))
