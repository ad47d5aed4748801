"""A chunk as the index keeps it: one short row, in memory and in a slab's sealed index alike.

As objects a chunk takes some 700 bytes, as a row 62: a ring of days is a million chunks.
"""

from __future__ import annotations

import struct
from operator import lt
from typing import Final, NamedTuple

from agent.acquire.stream import CameraId
from agent.acquire.timeline import LEARNING_ERROR_NS, Anchor
from agent.buffer.chunk import (
    CHUNK_HEADER_BYTES,
    CODE_OF_SOURCE,
    PAYLOAD_BYTES_MAX,
    SOURCE_OF_CODE,
    TAG_BYTES,
    ChunkKind,
    ChunkMeta,
    StoredChunk,
)
from agent.buffer.slab import BLOCK_BYTES
from agent.clock import WallTime
from agent.errors import BadInputError

CHUNK_BYTES_MIN: Final = CHUNK_HEADER_BYTES + TAG_BYTES
CHUNK_BYTES_MAX: Final = CHUNK_BYTES_MIN + PAYLOAD_BYTES_MAX

_ROW: Final = struct.Struct("<QqqqQIIIIIBB")
ROW_BYTES: Final = _ROW.size
_MEASURED: Final = struct.Struct("<8xqq8xQ4xI14x")  # arrivals, error and length
_PLACED: Final = "Q32xII14x"  # sequence, offset and length
_PLACED_ONE: Final = struct.Struct(f"<{_PLACED}")
_PLACED_MANY: Final = struct.Struct(f"<{_PLACED * 32}")  # a start reads a quarter of a million rows: half the time
_SEQUENCE: Final = struct.Struct("<Q")
_ERROR: Final = struct.Struct("<32xQ")
_OFFSET: Final = struct.Struct("<40xI")
_SOURCE_AT: Final = ROW_BYTES - 2
_KEY_AT: Final = ROW_BYTES - 1
_SOURCES: Final = bytes(SOURCE_OF_CODE)

Rows = bytes | bytearray
"""Rows one behind the other, `ROW_BYTES` each."""


class Figures(NamedTuple):
    """What some rows say together."""

    size: int  # bytes the chunks take in their slab
    oldest: WallTime  # first and last arrival
    newest: WallTime
    error_ns_max: int


def pack_row(chunk: StoredChunk) -> bytes:
    """Write a chunk as a row (FORMAT.md, Index chunk); its camera, run, kind and slab stand elsewhere."""
    meta, anchor = chunk.meta, chunk.meta.anchor
    return _ROW.pack(
        meta.sequence,
        meta.first_arrival,
        meta.last_arrival,
        anchor.hub,
        anchor.error_ns,
        chunk.offset,
        chunk.length,
        meta.first_rtp,
        meta.last_rtp,
        anchor.rtp,
        CODE_OF_SOURCE[anchor.source],
        meta.is_key,
    )


def unpack_row(rows: Rows, row: int, kind: ChunkKind, camera: CameraId, run: int, slab: int) -> StoredChunk:
    """Read the chunk of row number `row` back."""
    (sequence, first, last, hub, error, offset, length, rtp_first, rtp_last, rtp, source, is_key) = _ROW.unpack_from(
        rows, row * ROW_BYTES
    )
    meta = ChunkMeta(
        camera=camera,
        kind=kind,
        is_key=bool(is_key),
        run=run,
        sequence=sequence,
        first_arrival=WallTime(first),
        last_arrival=WallTime(last),
        first_rtp=rtp_first,
        last_rtp=rtp_last,
        anchor=Anchor(rtp, WallTime(hub), error, SOURCE_OF_CODE[source]),
    )
    return StoredChunk(meta, slab, offset, length)


def sequence_of(rows: Rows, row: int) -> int:
    """Return the sequence number of row number `row`."""
    sequence: int = _SEQUENCE.unpack_from(rows, row * ROW_BYTES)[0]
    return sequence


def offset_of(rows: Rows, row: int) -> int:
    """Return where in its slab the chunk of row number `row` lies."""
    offset: int = _OFFSET.unpack_from(rows, row * ROW_BYTES)[0]
    return offset


def next_settled(rows: Rows, row: int) -> int:
    """Return the first row from `row` on whose anchor is more than a first guess; -1 if there is none."""
    for at in range(row * ROW_BYTES, len(rows), ROW_BYTES):
        if _ERROR.unpack_from(rows, at)[0] < LEARNING_ERROR_NS:
            return at // ROW_BYTES
    return -1


def last_key(rows: Rows, stop: int) -> int:
    """Return the last key chunk's row before `stop`; -1 if there is none."""
    return rows[_KEY_AT : stop * ROW_BYTES : ROW_BYTES].rfind(1)


def figures(rows: Rows) -> Figures:
    """Return what one or more rows say together; the largest error is that of settled anchors if there are any."""
    first, last, errors, lengths = zip(*_MEASURED.iter_unpack(rows), strict=True)
    settled = [error for error in errors if error < LEARNING_ERROR_NS]
    return Figures(sum(lengths), WallTime(min(first)), WallTime(max(last)), max(settled or errors))


def check_rows(stream: Rows, media: Rows) -> None:
    """Raise BadInputError unless these are rows a hub writes: one stream chunk's or none, and media chunks' in order.

    Together they are not empty.
    """
    rows = stream + media
    sequences, offsets, lengths = _placed(rows)
    if stream:
        sequences = sequences[1:]
    if not all(map(lt, sequences, sequences[1:])):
        raise BadInputError("an index whose sequence numbers do not rise")
    if rows[_SOURCE_AT::ROW_BYTES].strip(_SOURCES) or rows[_KEY_AT::ROW_BYTES].strip(b"\0\1"):
        raise BadInputError("an index with an unknown clock source or flag")
    if min(lengths) < CHUNK_BYTES_MIN or max(lengths) > CHUNK_BYTES_MAX or min(offsets) < BLOCK_BYTES:
        raise BadInputError("an index with a chunk outside the limits of version 1")


def _placed(rows: Rows) -> tuple[list[int], list[int], list[int]]:
    """Return the sequences, offsets and lengths of rows."""
    values: list[int] = []
    border = len(rows) - len(rows) % _PLACED_MANY.size
    for many in _PLACED_MANY.iter_unpack(rows[:border]):
        values += many
    for one in _PLACED_ONE.iter_unpack(rows[border:]):
        values += one
    return values[::3], values[1::3], values[2::3]
