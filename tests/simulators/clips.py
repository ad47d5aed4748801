"""Cut a synthetic source and look at the file with other people's eyes."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
from collections.abc import Sequence

import av
import msgspec
import numpy as np

from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.clock import WallTime, Window
from agent.consent.mask import Masks
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.splice import make_clip
from tests.simulators.h264_source import CAMERA, EPOCH, Gray, Source, luma, read_number


def window_of(start_s: float, end_s: float) -> Window:
    """Return a window in seconds behind the first picture."""
    return Window(WallTime(EPOCH + round(start_s * 1e9)), WallTime(EPOCH + round(end_s * 1e9)))


def cut(
    sources: Sequence[Source],
    window: Window,
    sound: Window | None = None,
    masks: Masks = (),
    *,
    may_copy: bool = True,
) -> tuple[bytes, ClipReport]:
    """Cut a window out of sources that follow each other, in this process; with their sound if it is granted."""
    order = CutOrder(window, tuple(source.header for source in sources), sound, masks, may_copy)
    pieces, report = make_clip(order, [chunk for source in sources for chunk in source.chunks])
    return b"".join(pieces), report


def shown_by_pyav(clip: bytes) -> list[tuple[int, int]]:
    """Play a clip: (time in ticks, number) of every picture."""
    if not clip:
        return []
    with av.open(io.BytesIO(clip), "r") as container:
        return [(int(frame.pts or 0), read_number(luma(frame))) for frame in container.decode(video=0)]


def pictures_of(clip: bytes) -> dict[int, Gray]:
    """Play a clip: the pictures by their number."""
    with av.open(io.BytesIO(clip), "r") as container:
        return {read_number(luma(frame)): luma(frame).copy() for frame in container.decode(video=0)}


def shown_by_ffmpeg(clip: bytes, width: int, height: int) -> tuple[list[int], str]:
    """Play a clip with the system's ffmpeg: the numbers it shows, and its complaints."""
    tool = shutil.which("ffmpeg")
    assert tool, "ffmpeg is missing: apt-get install ffmpeg"
    command = [
        tool,
        "-v",
        "warning",
        "-i",
        "pipe:0",
        "-fps_mode",
        "passthrough",
        "-pix_fmt",
        "gray",
        "-f",
        "rawvideo",
        "-",
    ]
    done = subprocess.run(command, input=clip, capture_output=True, check=False, timeout=60)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width)
    told = [line for line in done.stderr.decode().splitlines() if "deprecated pixel format" not in line]
    return [read_number(picture) for picture in pictures], "\n".join(told)


def stored(chunk: WireChunk, *, is_key: bool) -> StoredChunk:
    """Describe a wire chunk as the ring's index would."""
    stamps, position = [], 0
    while position < len(chunk.wire):
        if chunk.wire[position + 1] == 0:
            stamps.append(int.from_bytes(chunk.wire[position + 8 : position + 12], "big"))
        position += 4 + int.from_bytes(chunk.wire[position + 2 : position + 4], "big")
    meta = ChunkMeta(
        CAMERA, ChunkKind.MEDIA, is_key, chunk.run, chunk.sequence, EPOCH, EPOCH, stamps[0], stamps[-1], chunk.anchor
    )
    return StoredChunk(meta, 1, chunk.sequence * 4096, len(chunk.wire))


def poisoned(source: Source, drawn: random.Random) -> list[WireChunk]:
    """Return a source's chunks with bytes changed at will inside one packet of twenty, its RTP header left alone."""
    chunks = []
    for chunk in source.chunks:
        wire, position = bytearray(chunk.wire), 0
        while position < len(wire):
            length = int.from_bytes(wire[position + 2 : position + 4], "big")
            if drawn.random() < 0.05:
                for _ in range(drawn.randrange(1, 6)):
                    wire[position + 4 + drawn.randrange(12, max(length, 13)) % length] = drawn.randrange(256)
            position += 4 + length
        chunks.append(msgspec.structs.replace(chunk, wire=bytes(wire)))
    return chunks
