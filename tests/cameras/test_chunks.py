"""A camera's chunks on their way to the ring, at once or held back first."""

from __future__ import annotations

import pytest

from agent.acquire.reader import Recorded
from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.acquire.wire import Span
from agent.buffer.chunk import ChunkKind
from agent.cameras.chunks import CameraChunks
from agent.cameras.figures import CameraFigures
from agent.clock import WallTime
from agent.errors import UnavailableError
from tests.simulators.chunk_list import ChunkList

DOOR = CameraId("door")
HEADER = StreamHeader(DOOR, 7, (Track(0, "video", "H264", 96, 90_000),))


def recorded(payload: bytes) -> Recorded:
    """Make a span."""
    moment = WallTime(1)
    span = Span(payload, is_key=True, first_arrival=moment, last_arrival=moment, first_rtp=10, last_rtp=20)
    return Recorded(span, Anchor(10, moment, 5, ClockSource.ARRIVAL))


def test_what_was_held_is_stored_first_and_the_header_once() -> None:
    """The ring has everything in its order, numbered as if nothing had been held."""
    ring, chunks = ChunkList(), CameraChunks(CameraFigures())
    chunks.begin(HEADER)
    chunks.hold()
    assert not chunks.store(recorded(b"one"), ring)
    assert not chunks.store(recorded(b"two"), ring)
    assert (chunks.is_held, ring.chunks) == (True, [])
    assert chunks.let_go(ring)
    assert chunks.store(recorded(b"three"), ring)
    assert [(meta.kind, meta.sequence) for meta, _ in ring.chunks][:2] == [(ChunkKind.STREAM, 0), (ChunkKind.MEDIA, 1)]
    assert [payload for _, payload in ring.of(DOOR)] == [b"one", b"two", b"three"]
    assert not chunks.let_go(ring)


def test_what_is_dropped_never_comes_out() -> None:
    """After a refusal, and where the ring is another one now, which goes on being held from."""
    ring, chunks = ChunkList(), CameraChunks(CameraFigures())
    chunks.begin(HEADER)
    chunks.hold()
    chunks.store(recorded(b"one"), ring)
    chunks.begin_anew()
    assert chunks.is_held
    chunks.drop()
    assert not chunks.is_held
    assert not chunks.let_go(ring)
    assert ring.chunks == []


def test_a_ring_that_takes_nothing_costs_chunks_that_are_counted() -> None:
    """Of what was held all that is left, of what is stored at once the one."""
    figures, ring = CameraFigures(), ChunkList()
    chunks, ring.is_broken = CameraChunks(figures), True
    chunks.begin(HEADER)
    chunks.hold()
    chunks.store(recorded(b"one"), ring)
    chunks.store(recorded(b"two"), ring)
    with pytest.raises(UnavailableError):
        chunks.let_go(ring)
    assert figures.chunks_lost == 3  # the header is one
    with pytest.raises(UnavailableError):
        chunks.store(recorded(b"three"), ring)
    assert figures.chunks_lost == 4
    assert not chunks.is_held
