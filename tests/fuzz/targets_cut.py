"""A camera's packets as the cut takes them apart: each function takes any bytes and may raise BadInputError.

Rules of this file: an input is what stands in the packets, each behind its 16-bit size; the first byte of a packet
says what comes before it: bit 0 the marker, bit 1 a loss, bits 2 and 3 how many pictures later.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import WireChunk
from agent.cut.codec import Codec
from agent.cut.depacketize import depacketize
from agent.cut.join import CodedPicture, CodedSegment, join_segments, kept_nals, samples_of
from agent.cut.known_codecs import H264, H265, JPEG
from agent.cut.pictures import plan_pictures
from tests.simulators.h264_source import Recipe, Source, film, rtp_frame
from tests.simulators.h265_source import H265Recipe, film_h265
from tests.simulators.jpeg_source import JpegRecipe, film_jpeg

_ANCHOR: Final = Anchor(0, WallTime(10**18), 0, ClockSource.SR)
_FRAME_TICKS: Final = 3600


def h264_pictures(raw: bytes) -> None:
    """Check what is copied of H.264."""
    _pictures(raw, H264)


def h265_pictures(raw: bytes) -> None:
    """Check what is copied of H.265."""
    _pictures(raw, H265)


def jpeg_pictures(raw: bytes) -> None:
    """Check that JPEG is put together, and never copied."""
    _pictures(raw, JPEG)


def _pictures(raw: bytes, codec: Codec) -> None:
    """Check that a plan delivers or refuses each picture of the window once, and copies whole runs of it only."""
    wire, sequence, timestamp, position = b"", 0, 0, 0
    while position + 3 <= len(raw):
        size, flags = int.from_bytes(raw[position : position + 2], "big"), raw[position + 2]
        payload, position = raw[position + 3 : position + 3 + size], position + 3 + size
        sequence, timestamp = sequence + 1 + (flags >> 1 & 1), timestamp + _FRAME_TICKS * (flags >> 2 & 3)
        wire += rtp_frame(sequence, timestamp, payload, marker=bool(flags & 1))
    header = StreamHeader(CameraId("c"), 1, (Track(0, "video", codec.encoding, 96, 90_000),), "")
    units = depacketize([header], [WireChunk(1, 0, _ANCHOR, wire)])
    for window in (
        Window(WallTime(0), WallTime(2 * 10**18)),
        Window(WallTime(10**18 + 1), WallTime(10**18 + SECOND_NS)),
    ):
        plan = plan_pictures(units, window)
        planned = [index for segment in plan.segments for index in segment.units]
        inside = [index for index, unit in enumerate(units) if unit.time in window]
        assert sorted([*planned, *plan.refused]) == inside
        copies = [segment for segment in plan.segments if segment.is_copy]
        assert not copies or codec.clip is not None
        coded = []
        for segment in copies:
            assert not any(units[index].is_torn for index in segment.units)
            assert not any(units[index].is_gap for index in segment.units[1:])
            pictures = [CodedPicture(index, False, kept_nals(codec, units[index].nals)) for index in segment.units]  # noqa: FBT003 - whether it is a sync sample does not matter here
            if codec.clip is not None:
                assert codec.clip.as_first(pictures[0].nals)
            coded.append(CodedSegment(is_copy=True, pictures=tuple(pictures), sets=segment.sets))
        if coded and codec.clip is not None:
            pictures, sets = join_segments(coded, codec, {})
            assert codec.clip.configuration(sets)
            samples, _ = samples_of(pictures, [units[one.unit].time for one in pictures], window)
            assert len(samples) == sum(len(segment.units) for segment in copies)


def _recorded(source: Source) -> bytes:
    """Write a source's packets as an input."""
    written, before = b"", None
    for chunk in source.chunks:
        position = 0
        while position < len(chunk.wire):
            size = int.from_bytes(chunk.wire[position + 2 : position + 4], "big")
            packet = chunk.wire[position + 4 : position + 4 + size]
            if chunk.wire[position + 1] == 0:
                timestamp = int.from_bytes(packet[4:8], "big")
                flags = packet[1] >> 7 | (4 if before not in (None, timestamp) else 0)
                written, before = written + (size - 12).to_bytes(2, "big") + bytes([flags]) + packet[12:], timestamp
            position += 4 + size
    return written


H264_SEEDS: Final = tuple(
    _recorded(film(recipe)) for recipe in (Recipe(pictures=6, gop=3), Recipe(pictures=8, gop=4, b_frames=2, slices=2))
)
H265_SEEDS: Final = tuple(
    _recorded(film_h265(recipe))
    for recipe in (H265Recipe(pictures=6, gop=3), H265Recipe(pictures=12, gop=4, b_frames=2, is_open=True))
)
JPEG_SEEDS: Final = tuple(
    _recorded(film_jpeg(recipe))
    for recipe in (JpegRecipe(pictures=2), JpegRecipe(pictures=2, restart_interval=4, sends_tables=False))
)
