"""Events as a chunk of the ring: its header, and the sealed vector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.acquire.camera_event import CameraEvent, EventClock, decode_events
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind
from agent.buffer.event_chunk import event_chunk
from agent.buffer.slab import ChunkOpener
from agent.clock import WallTime
from agent.errors import BadInputError
from tests.vectors.buffer.make import DATA_KEY, slab_header

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/buffer/vectors.json").read_text())


def event(at: int, error_ns: int = 5) -> CameraEvent:
    """Return an event."""
    return CameraEvent(EventKind.MOTION, at, error_ns, EventClock.CAMERA, "t")


def test_a_chunk_says_from_when_on_its_events_may_be() -> None:
    """From the earliest possible moment of one of them to when they were stored; it has no run and no picture."""
    meta, payload = event_chunk(CameraId("door"), [event(100), event(50, 9)], 7, WallTime(200))
    assert (meta.kind, meta.run, meta.sequence, meta.is_key) == (ChunkKind.EVENTS, 0, 7, False)
    assert (meta.first_arrival, meta.last_arrival, meta.anchor.hub) == (41, 200, 200)
    assert [one.at for one in decode_events(payload)] == [100, 50]


def test_times_that_cannot_be_do_not_break_the_header() -> None:
    """An event with an endless bound, or from behind the hub's clock that was set back, still fits."""
    assert event_chunk(CameraId("door"), [event(5, 2**62)], 7, WallTime(200))[0].first_arrival == 0
    assert event_chunk(CameraId("door"), [event(2**62)], 7, WallTime(200))[0].first_arrival == 200
    with pytest.raises(BadInputError):
        event_chunk(CameraId("door"), [], 7, WallTime(200))


def test_the_vector_is_opened() -> None:
    """Another program's chunk of events, sealed under the vectors' key."""
    (vector,) = (v for v in VECTORS if v["of"] == "events chunk")
    opened, payload = ChunkOpener(slab_header(), DATA_KEY).open(bytes.fromhex(vector["hex"]))
    events = decode_events(payload)
    assert (opened.meta, payload) == event_chunk(CameraId("front-door"), events, 42, opened.meta.last_arrival)
