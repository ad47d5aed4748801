"""A chunk: what one camera sent in at most about a second, as it stood on the wire, with what is needed to find it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, hub_time
from agent.clock import WallTime


class ChunkKind(IntEnum):
    """What a chunk's payload is."""

    STREAM = 1  # a StreamHeader as JSON
    MEDIA = 2  # whole interleaved RTP and RTCP frames: "$", channel, 16-bit length, packet


@dataclass(frozen=True, slots=True)
class ChunkMeta:
    """A chunk's header: stored in the clear, authenticated with the payload."""

    camera: CameraId
    kind: ChunkKind
    is_key: bool  # the first RTP packet of a key picture comes first in the payload
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
    slab: int  # the slab's number, which rises for ever
    offset: int  # bytes from the start of the slab
    length: int  # bytes of header, payload and tag
