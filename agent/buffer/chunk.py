"""A chunk: what one camera sent in at most about a second, as it stood on the wire, with what is needed to find it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import crc32

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource, hub_time
from agent.clock import WallTime
from agent.errors import BadInputError

CHUNK_HEADER_BYTES: Final = 160
TAG_BYTES: Final = 16
SESSION_BYTES: Final = 16
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
CODE_OF_SOURCE: Final = {ClockSource.SR_ONVIF: 1, ClockSource.SR: 2, ClockSource.ARRIVAL: 3}
SOURCE_OF_CODE: Final = {code: source for source, code in CODE_OF_SOURCE.items()}

_MAGIC: Final = b"TRCH"
_VERSION: Final = 1
_FIELDS: Final = struct.Struct("<4sHHBBBxI32sQQQ16sQqqqQIII16x")
_START: Final = struct.pack("<4sHH", _MAGIC, _VERSION, CHUNK_HEADER_BYTES)
_RESERVED: Final = slice(140, 156)
_CAMERA: Final = re.compile(rb"[a-z0-9-]{1,32}")


class ChunkKind(IntEnum):
    """What a chunk's payload is."""

    STREAM = 1  # a StreamHeader as JSON
    MEDIA = 2  # whole interleaved RTP and RTCP frames: "$", channel, 16-bit length, packet
    INDEX = 3  # what the slab holds, written when it is left; of no camera
    EVENTS = 4  # what the camera told beside its pictures, as JSON (`acquire.camera_event`)


_KINDS: Final = {int(kind): kind for kind in ChunkKind}


@dataclass(frozen=True, slots=True)
class ChunkMeta:
    """A chunk's header: stored in the clear, authenticated with the payload."""

    camera: CameraId
    kind: ChunkKind
    is_key: bool  # its first video packet begins a key picture; sound and RTCP may come before it
    run: int
    sequence: int  # rises by one per chunk of a run: a missing number is a gap
    first_arrival: WallTime
    last_arrival: WallTime
    first_rtp: int  # RTP timestamp of the first and last video packet, 32 bit
    last_rtp: int
    anchor: Anchor  # the best mapping known when the chunk was sealed

    @property
    def first_picture(self) -> WallTime:
        """Hub time of the first video packet's picture."""
        return hub_time(self.anchor, self.first_rtp)

    @property
    def last_picture(self) -> WallTime:
        """Hub time of the last video packet's picture."""
        return hub_time(self.anchor, self.last_rtp)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A committed chunk and where it lies."""

    meta: ChunkMeta
    slab: int  # the slab's number, which says how old it is; not its id
    offset: int  # bytes from the start of the slab
    length: int  # bytes of header, payload and tag


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What stands in the slab before a sealed payload: the chunk's own header and what it was sealed for.

    All of it is the payload's associated data, so a payload cannot be moved to another chunk or slab.
    """

    meta: ChunkMeta
    payload_bytes: int  # before sealing; the tag follows it
    slab: int  # the slab's id: a chunk may be sealed before its slab has a file or a number
    session: bytes  # 16 random bytes of the writer that opened the slab; its key is derived with them
    counter: int  # the nonce: rises within a session, never comes twice

    @property
    def stored_bytes(self) -> int:
        """Bytes of header, payload and tag."""
        return CHUNK_HEADER_BYTES + self.payload_bytes + TAG_BYTES


def pack_chunk_header(header: ChunkHeader) -> bytes:
    """Write a header as `CHUNK_HEADER_BYTES` bytes (FORMAT.md, Chunk); raises BadInputError if a value does not fit."""
    return pack_header_fields(header.meta, header.payload_bytes, header.slab, header.session, header.counter)


def pack_header_fields(meta: ChunkMeta, payload_bytes: int, slab: int, session: bytes, counter: int) -> bytes:
    """Do the same from the parts of a `ChunkHeader`, without making one: this runs for every chunk that is sealed."""
    anchor = meta.anchor
    if payload_bytes > PAYLOAD_BYTES_MAX or len(session) != SESSION_BYTES:
        raise BadInputError(f"a chunk of {payload_bytes} bytes (limit {PAYLOAD_BYTES_MAX})")
    try:
        fields = _FIELDS.pack(
            _MAGIC,
            _VERSION,
            CHUNK_HEADER_BYTES,
            meta.kind,
            meta.is_key,
            CODE_OF_SOURCE[anchor.source],
            payload_bytes,
            pack_camera(meta.camera),
            meta.run,
            meta.sequence,
            slab,
            session,
            counter,
            meta.first_arrival,
            meta.last_arrival,
            anchor.hub,
            anchor.error_ns,
            meta.first_rtp,
            meta.last_rtp,
            anchor.rtp,
        )
    except struct.error as error:
        raise BadInputError(f"a chunk header of {meta.camera} holds a number that does not fit: {error}") from error
    return fields + crc32(fields).to_bytes(4, "little")


def unpack_chunk_header(raw: bytes | memoryview) -> ChunkHeader:
    """Read a header back from the first `CHUNK_HEADER_BYTES` of `raw`; raises BadInputError if they are not one.

    The checksum finds damage only; what the header says is certain when the payload's tag has been verified with it.
    """
    # 1. Size, magic, version, header length.
    if len(raw) < CHUNK_HEADER_BYTES or raw[:8] != _START:
        raise BadInputError("not a chunk header of version 1")
    # 2. Checksum.
    fields = raw[: _FIELDS.size]
    if crc32(fields) != int.from_bytes(raw[_FIELDS.size : CHUNK_HEADER_BYTES], "little"):
        raise BadInputError("a chunk header whose checksum does not hold")
    (_, _, _, kind, flags, source, payload_bytes, camera, run, sequence, slab, session, counter, *times) = (
        _FIELDS.unpack(fields)
    )
    first_arrival, last_arrival, anchor_hub, anchor_error, first_rtp, last_rtp, anchor_rtp = times
    # 3. Kind, flags, source, camera.
    name = unpack_camera(camera)
    if kind not in _KINDS or flags > 1 or source not in SOURCE_OF_CODE:
        raise BadInputError("a chunk header with an unknown kind, flag or clock source")
    # 4. Limits; the reserved bytes are zero.
    if payload_bytes > PAYLOAD_BYTES_MAX or fields[11] or any(fields[_RESERVED]):
        raise BadInputError("a chunk header outside the limits of version 1")
    anchor = Anchor(anchor_rtp, WallTime(anchor_hub), anchor_error, SOURCE_OF_CODE[source])
    meta = ChunkMeta(
        camera=name,
        kind=_KINDS[kind],
        is_key=flags == 1,
        run=run,
        sequence=sequence,
        first_arrival=WallTime(first_arrival),
        last_arrival=WallTime(last_arrival),
        first_rtp=first_rtp,
        last_rtp=last_rtp,
        anchor=anchor,
    )
    return ChunkHeader(meta, payload_bytes, slab, session, counter)


def pack_camera(camera: CameraId) -> bytes:
    """Return a camera's id as the up to 32 bytes of a header; raises BadInputError if it is not one."""
    name = camera.encode("ascii", "replace")
    if not _CAMERA.fullmatch(name):
        raise BadInputError("a camera's id must be 1-32 characters of a-z, 0-9 and -")
    return name


def unpack_camera(raw: bytes) -> CameraId:
    """Read a camera's id from the 32 zero-filled bytes of a header; raises BadInputError if it is not one."""
    name = raw.rstrip(b"\0")
    if not _CAMERA.fullmatch(name):
        raise BadInputError("not a camera's id")
    return CameraId(name.decode("ascii"))
