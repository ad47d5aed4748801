"""The file that leaves: everything in it is accounted for."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cut.h264 import parameter_sets
from agent.cut.h264_ids import avc_configuration
from agent.cut.mp4 import Sample, VideoTrack, write_movie
from tests.simulators.h264_source import Recipe, film, luma, read_number
from tests.simulators.mp4_reader import read_movie


def movie(samples: list[Sample], last_duration: int = 3600) -> bytes:
    """Write a file of these samples."""
    sets = parameter_sets(film(Recipe(pictures=1)).units[0])
    return b"".join(write_movie(VideoTrack(192, 112, avc_configuration(sets), samples, last_duration)))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.booleans(), st.binary(min_size=1, max_size=30)), min_size=1))
def test_every_byte_belongs_to_a_sample(drawn: list[tuple[int, bool, bytes]]) -> None:
    """What a stranger's reader finds are exactly the samples, their times and their sync marks, and nothing else."""
    times = list({at: None for at, _, _ in drawn})
    first = min(times)
    samples = [Sample(at - first, sync, payload) for at, (_, sync, payload) in zip(times, drawn, strict=False)]
    read = read_movie(movie(samples))
    assert [(s.shown_at, s.is_sync, s.payload) for s in read.samples] == [
        (s.shown_at, s.is_sync, s.payload) for s in samples
    ]
    assert read.boxes == ["ftyp", "moov", "mdat"]
    assert not {"edts", "udta", "meta", "free", "skip", "uuid"} & read.all_boxes
    assert read.entries == ["avc1"]


def test_the_file_tells_no_time_of_day() -> None:
    """Only the size, the number of pictures and how long they stay differ between two files."""
    samples = [Sample(0, is_sync=True, payload=b"x"), Sample(3600, is_sync=False, payload=b"y")]
    assert movie(samples) == movie(samples)
    assert read_movie(movie(samples, last_duration=1800)).duration == 5400


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_stock_reader_shows_the_pictures_in_order(b_frames: int) -> None:
    """PyAV plays a file of copied pictures, with signed offsets where they are reordered."""
    source = film(Recipe(pictures=20, gop=20, b_frames=b_frames))
    samples = [
        Sample(
            shown * 3600, nals[-1][0] & 31 == 5, b"".join(len(n).to_bytes(4, "big") + n for n in nals if n[0] & 31 < 6)
        )
        for shown, nals in zip(source.order, source.units, strict=True)
    ]
    sets = parameter_sets(source.units[0])
    content = b"".join(write_movie(VideoTrack(192, 112, avc_configuration(sets), samples, 3600)))
    with av.open(io.BytesIO(content), "r") as container:
        shown = [(frame.pts, read_number(luma(frame))) for frame in container.decode(video=0)]
    assert shown == [(number * 3600, number) for number in range(20)]
    assert ("ctts" in read_movie(content).all_boxes) == (b_frames > 0)
