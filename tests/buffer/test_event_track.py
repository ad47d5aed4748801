"""Events in the ring's index: found by camera and window, gone with their slab, never taken for footage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.camera_event import CameraEvent, EventClock
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.event_chunk import event_chunk
from agent.buffer.ring import RingIndex
from agent.clock import WallTime, Window
from agent.errors import BadInputError

DOOR, YARD = CameraId("door"), CameraId("yard")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/buffer/vectors.json").read_text())


def chunk(at: int, slab: int, camera: CameraId = DOOR, sequence: int = 0) -> StoredChunk:
    """Return a stored chunk of one event."""
    event = CameraEvent(EventKind.MOTION, at, 5, EventClock.CAMERA, "t")
    meta, payload = event_chunk(camera, [event], sequence or at, WallTime(at + 2))
    return StoredChunk(meta, slab, 4096 + at, len(payload) + 176)


def ats(index: RingIndex, start: int, end: int, camera: CameraId = DOOR) -> list[int]:
    """Return the sequences of the chunks of a window."""
    return [one.meta.sequence for one in index.events(camera, Window(WallTime(start), WallTime(end)))]


def test_events_are_found_by_camera_and_window() -> None:
    """Whatever may have happened in the window, by its bound, in the order of telling."""
    index = RingIndex()
    for at, slab in ((300, 2), (100, 1), (200, 1)):
        index.add(chunk(at, slab))
    index.add(chunk(150, 1, YARD))
    assert ats(index, 0, 1000) == [100, 200, 300]
    assert ats(index, 196, 197) == [200]  # 200 within 5
    assert ats(index, 203, 295) == []
    assert ats(index, 0, 1000, YARD) == [150]
    assert ats(index, 0, 1000, CameraId("none")) == []


def test_events_leave_with_their_slab_and_are_no_footage() -> None:
    """They keep a slab from counting as older than they are; they make no span, no usage and no footage."""
    index = RingIndex()
    index.add(chunk(100, 1))
    index.add(chunk(300, 2))
    window = Window(WallTime(0), WallTime(1000))
    assert (index.spans(), dict(index.usage()), index.last_run) == ((), {}, 0)
    assert index.footage(DOOR, window).chunks == ()
    assert index.newest_arrivals() == {1: 102, 2: 302}
    index.forget(1)
    assert ats(index, 0, 1000) == [300]
    index.forget(2)
    assert (ats(index, 0, 1000), index.newest_arrivals()) == ([], {})


def test_of_two_copies_the_newer_slab_counts() -> None:
    """A chunk that was moved to another slab is told once, from where it stays longer."""
    index = RingIndex()
    index.add(chunk(100, 2))
    index.add(chunk(100, 1))
    (found,) = index.events(DOOR, Window(WallTime(0), WallTime(1000)))
    assert found.slab == 2


@given(st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from([DOOR, YARD])), unique=True, max_size=30))
def test_a_slabs_index_brings_events_back(told: list[tuple[int, CameraId]]) -> None:
    """What was packed is loaded to the same chunks."""
    index, loaded = RingIndex(), RingIndex()
    for at, camera in told:
        index.add(chunk(at, 1, camera))
    loaded.load_slab(1, index.pack_slab(1))
    window = Window(WallTime(0), WallTime(10**7))
    for camera in (DOOR, YARD):
        assert loaded.events(camera, window) == index.events(camera, window)
        assert ats(loaded, 0, 10**7, camera) == sorted(at for at, name in told if name == camera)
    assert loaded.newest_arrivals() == index.newest_arrivals()


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["of"] == "index with events"], ids=lambda v: v["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """The good index lists one chunk of events beside the footage; one with a stream row among events is refused."""
    index = RingIndex()
    if vector["failure"]:
        with pytest.raises(BadInputError):
            index.load_slab(5, bytes.fromhex(vector["hex"]))
        assert index.newest_arrivals() == {}
        return
    index.load_slab(5, bytes.fromhex(vector["hex"]))
    (found,) = index.events(CameraId("front-door"), Window(WallTime(0), WallTime(2**62)))
    assert (found.offset, found.length, found.meta.sequence) == (45_056, 400, 42)
    assert index.pack_slab(5).hex() == vector["hex"]
    assert len(index.usage()) == 2
