"""A slab that is left gets an index of what is in it, and a footer that says where, so that a start need not read all.

Rules of this file: FORMAT.md is the specification. Neither proves anything until the index chunk's tag holds under
the slab's key; who finds one wrong reads the slab instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import (
    CHUNK_HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    TAG_BYTES,
    ChunkKind,
    ChunkMeta,
    pack_camera,
    unpack_camera,
)
from agent.buffer.row import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, ROW_BYTES, Figures, Rows, check_rows
from agent.buffer.slab import BLOCK_BYTES, SLAB_BYTES_MAX, padded
from agent.clock import WallTime
from agent.errors import BadInputError

_COUNT: Final = struct.Struct("<I4x")
_GROUP: Final = struct.Struct("<32sQIIQqqQ")
_FOOTER_MAGIC: Final = b"TRIX"
_FOOTER_VERSION: Final = 1
_FOOTER: Final = struct.Struct("<4sH2xQQQ")
_FOOTER_BYTES: Final = _FOOTER.size + 4
_INDEX_CAMERA: Final = CameraId("index")

EVENTS_RUN: Final = 0
"""Stands where a chunk of events has no run; those of footage begin at 1."""


@dataclass(frozen=True, slots=True)
class SlabRun:
    """What one slab has of one run, or of a camera's events: those are run `EVENTS_RUN`, and `media` their rows."""

    camera: CameraId
    run: int
    stream: Rows  # the row of its stream chunk, or nothing
    media: Rows  # those of its media chunks, by sequence
    figures: Figures  # of both


@dataclass(frozen=True, slots=True)
class SlabFooter:
    """What a slab's last block says: where its index chunk is."""

    slab: int  # the slab's id
    offset: int
    length: int  # bytes of header, payload and tag


def index_meta(now: WallTime) -> ChunkMeta:
    """Return the header that an index chunk is sealed with."""
    return ChunkMeta(
        camera=_INDEX_CAMERA,
        kind=ChunkKind.INDEX,
        is_key=False,
        run=0,
        sequence=0,
        first_arrival=now,
        last_arrival=now,
        first_rtp=0,
        last_rtp=0,
        anchor=Anchor(0, now, 0, ClockSource.ARRIVAL),
    )


def index_bytes_max(chunks: int, runs: int) -> int:
    """Return how much room index and footer of a slab need at most, with `chunks` chunks of `runs` runs in it."""
    payload_bytes = _COUNT.size + runs * _GROUP.size + chunks * ROW_BYTES
    return padded(CHUNK_HEADER_BYTES + payload_bytes + TAG_BYTES) + BLOCK_BYTES


def pack_slab_index(contents: Iterable[SlabRun]) -> bytes:
    """Write an index chunk's payload; raises BadInputError if it would be longer than a payload may be."""
    runs = sorted(contents, key=lambda run: (run.camera, run.run))
    parts: list[Rows] = [_COUNT.pack(len(runs))]
    for run in runs:
        rows, streams = len(run.media) // ROW_BYTES, len(run.stream) // ROW_BYTES
        parts += (_GROUP.pack(pack_camera(run.camera), run.run, rows, streams, *run.figures), run.stream, run.media)
    payload = b"".join(parts)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise BadInputError(f"an index of {len(payload)} bytes (limit {PAYLOAD_BYTES_MAX})")
    return payload


def unpack_slab_index(payload: bytes) -> tuple[SlabRun, ...]:
    """Read an index chunk's payload back; raises BadInputError if it is not one that a hub writes."""
    # 1. The number of groups.
    if len(payload) < _COUNT.size or payload[4:8] != bytes(4):
        raise BadInputError("not an index")
    runs: list[SlabRun] = []
    last = (CameraId(""), 0)
    position = _COUNT.size
    for _ in range(_COUNT.unpack_from(payload)[0]):
        # 2. Each group: whole, in order, not empty.
        if position + _GROUP.size > len(payload):
            raise BadInputError("an index that ends too soon")
        name, number, rows, streams, *known = _GROUP.unpack_from(payload, position)
        camera = unpack_camera(name)
        media_at = position + _GROUP.size + streams * ROW_BYTES
        end = media_at + rows * ROW_BYTES
        is_known = streams <= (number != EVENTS_RUN) and rows + streams > 0
        if not is_known or end > len(payload) or (camera, number) <= last:
            raise BadInputError("an index with a group that is empty, repeated, out of order or too long")
        # 3. Its rows.
        stream, media = payload[position + _GROUP.size : media_at], payload[media_at:end]
        check_rows(stream, media)
        runs.append(SlabRun(camera, number, stream, media, Figures(*known)))
        last, position = (camera, number), end
    # 4. Nothing behind them.
    if position != len(payload):
        raise BadInputError("an index with bytes behind its last group")
    return tuple(runs)


def pack_footer(slab: int, offset: int, length: int) -> bytes:
    """Write the last block of the slab with the id `slab`, whose index chunk of `length` bytes lies at `offset`."""
    fields = _FOOTER.pack(_FOOTER_MAGIC, _FOOTER_VERSION, slab, offset, length)
    return (fields + crc32(fields).to_bytes(4, "little")).ljust(BLOCK_BYTES, b"\0")


def unpack_footer(raw: bytes) -> SlabFooter:
    """Read a slab's last block; raises BadInputError if it is not a footer."""
    # 1. Size, magic, version.
    if len(raw) < _FOOTER_BYTES or raw[:4] != _FOOTER_MAGIC:
        raise BadInputError("not a slab footer")
    _, version, slab, offset, length = _FOOTER.unpack_from(raw)
    if version != _FOOTER_VERSION:
        raise BadInputError(f"a slab footer of version {version}; this program reads version {_FOOTER_VERSION}")
    # 2. Checksum.
    if crc32(raw[: _FOOTER.size]) != int.from_bytes(raw[_FOOTER.size : _FOOTER_BYTES], "little"):
        raise BadInputError("a slab footer whose checksum does not hold")
    # 3. Limits; the reserved bytes are zero.
    is_whole = BLOCK_BYTES <= offset <= SLAB_BYTES_MAX and offset % BLOCK_BYTES == 0
    if not is_whole or not CHUNK_BYTES_MIN <= length <= CHUNK_BYTES_MAX or raw[6:8] != bytes(2):
        raise BadInputError("a slab footer outside the limits of version 1")
    return SlabFooter(slab, offset, length)
