"""A camera's events to a chunk that lies in the ring beside its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from agent.acquire.camera_event import CameraEvent, encode_events
from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.buffer.slab_index import EVENTS_RUN
from agent.clock import WallTime


def event_chunk(
    camera: CameraId, events: Sequence[CameraEvent], sequence: int, now: WallTime
) -> tuple[ChunkMeta, bytes]:
    """Return the chunk of 1 to 64 events (FORMAT.md, Events). Raises BadInputError outside the limits.

    `sequence` must rise for each chunk of a camera, also over a restart: the time in nanoseconds does.
    """
    payload = encode_events(events)
    first = min(event.at - event.error_ns for event in events)
    meta = ChunkMeta(
        camera=camera,
        kind=ChunkKind.EVENTS,
        is_key=False,
        run=EVENTS_RUN,
        sequence=sequence,
        first_arrival=WallTime(min(max(first, 0), now)),
        last_arrival=now,
        first_rtp=0,
        last_rtp=0,
        anchor=Anchor(0, now, 0, ClockSource.ARRIVAL),
    )
    return meta, payload
