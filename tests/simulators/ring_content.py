"""Chunks of a camera that sends a picture group every few seconds, and a clock that stands still until it is moved."""

from __future__ import annotations

from agent.acquire.stream import CameraId, StreamHeader, Track, encode_stream_header
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.clock import SECOND_NS, ClockStanding, Instant, TimeSource, WallTime

CAMERA = CameraId("front-door")
START = WallTime(1_795_000_000 * SECOND_NS)
KEY_EVERY = 4


class StillClock:
    """A trusted clock that moves when told to."""

    def __init__(self, now: WallTime = START, *, is_trusted: bool = True) -> None:
        self.wall = now
        self.trusted = is_trusted

    def now(self) -> WallTime:
        """Return the time it was set to."""
        return self.wall

    def instant(self) -> Instant:
        """Return the same as a monotonic time."""
        return Instant(self.wall)

    def is_trusted(self) -> bool:
        """Return what it was told."""
        return self.trusted

    def standing(self) -> ClockStanding:
        """Say the same."""
        return ClockStanding(TimeSource.NETWORK if self.trusted else TimeSource.NONE)


def at(seconds: float) -> WallTime:
    """Return hub time `seconds` after the start."""
    return WallTime(START + round(seconds * SECOND_NS))


def ticks(seconds: float) -> int:
    """Return the camera's RTP timestamp `seconds` after the start."""
    return round(seconds * 90_000) % 2**32


def stream(camera: CameraId = CAMERA, run: int = 1) -> tuple[ChunkMeta, bytes]:
    """Return a run's stream chunk."""
    header = StreamHeader(camera, run, (Track(0, "video", "H264", 96, 90_000),))
    anchor = Anchor(0, START, 0, ClockSource.ARRIVAL)
    meta = ChunkMeta(
        camera=camera,
        kind=ChunkKind.STREAM,
        is_key=False,
        run=run,
        sequence=0,
        first_arrival=START,
        last_arrival=START,
        first_rtp=0,
        last_rtp=0,
        anchor=anchor,
    )
    return meta, encode_stream_header(header)


def media(
    sequence: int,
    *,
    camera: CameraId = CAMERA,
    run: int = 1,
    is_key: bool | None = None,
    anchor: Anchor | None = None,
) -> ChunkMeta:
    """Return the header of the chunk of second `sequence` (pictures at .0 to .9), a key chunk every `KEY_EVERY`."""
    return ChunkMeta(
        camera=camera,
        kind=ChunkKind.MEDIA,
        is_key=sequence % KEY_EVERY == 0 if is_key is None else is_key,
        run=run,
        sequence=sequence,
        first_arrival=at(sequence),
        last_arrival=at(sequence + 0.9),
        first_rtp=ticks(sequence),
        last_rtp=ticks(sequence + 0.9),
        anchor=anchor or Anchor(ticks(sequence), at(sequence), 1_000_000, ClockSource.SR),
    )
