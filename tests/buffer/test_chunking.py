"""Spans become numbered chunks behind their run's header."""

from __future__ import annotations

from agent.acquire.reader import Recorded
from agent.acquire.stream import CameraId, StreamHeader, Track, decode_stream_header
from agent.acquire.timeline import Anchor, ClockSource
from agent.acquire.wire import Span
from agent.buffer.chunk import ChunkKind
from agent.buffer.chunking import Chunking
from agent.clock import WallTime

HEADER = StreamHeader(CameraId("door"), 7, (Track(0, "video", "H264", 96, 90_000),))
SPAN = Span(b"frames", is_key=True, first_arrival=WallTime(1), last_arrival=WallTime(2), first_rtp=10, last_rtp=20)
RECORDED = Recorded(SPAN, Anchor(10, WallTime(1), 5, ClockSource.ARRIVAL))


def test_header_comes_once_then_media_count_from_one() -> None:
    """Sequence 0 is the stream description, 1 and on are media."""
    chunking = Chunking()
    chunking.begin(HEADER)
    chunks = [*chunking.chunks(RECORDED), *chunking.chunks(RECORDED)]
    assert [(meta.kind, meta.sequence) for meta, _ in chunks] == [
        (ChunkKind.STREAM, 0),
        (ChunkKind.MEDIA, 1),
        (ChunkKind.MEDIA, 2),
    ]
    assert decode_stream_header(bytes(chunks[0][1])) == HEADER
    assert chunks[1][1] == b"frames"
    assert not chunks[0][0].is_key
    assert chunks[1][0].is_key


def test_header_that_was_not_taken_comes_again_and_the_number_is_lost() -> None:
    """A ring that refuses the header gets it again before the next span; the lost span leaves a gap."""
    chunking = Chunking()
    chunking.begin(HEADER)
    next(chunking.chunks(RECORDED))
    assert [meta.sequence for meta, _ in chunking.chunks(RECORDED)] == [0, 2]


def test_no_run_no_chunks() -> None:
    """Before a run began there is nothing to number."""
    assert list(Chunking().chunks(RECORDED)) == []
