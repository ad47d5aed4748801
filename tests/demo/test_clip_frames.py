"""Every sample is decoded, past what a player would show, and the brightness of any format can be read."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from agent.demo.clip_frames import drawn_ticks, luma
from agent.opening.clip_boxes import take_apart
from tests.simulators.damaged_clips import rewritten, samples_of
from tests.simulators.logged_streams import Sort, film
from tests.simulators.proven_cuts import cut_and_prove, windows

FILMED = film(Sort(b_frames="pyramid"))
CLIP = cut_and_prove([FILMED], windows(FILMED)["on pictures"]).clip


def test_every_sample_shows_its_own_picture() -> None:
    """In decode order, with B pictures: the times that are drawn are as far apart as the samples."""
    track = take_apart(CLIP).video
    drawn = drawn_ticks(CLIP, "h264", track)
    first = min(ticks[0] or 0 for ticks in drawn.values())
    assert [[sample.shown_at + first] for sample in track.samples] == [drawn[n] for n in range(len(track.samples))]


def test_what_the_decoder_refuses_shows_nothing() -> None:
    """The other samples are decoded nevertheless."""
    samples = samples_of(CLIP)
    broken = rewritten(CLIP, [*samples[:-1], (samples[-1][0], b"\0\0\0\5\x41\xff\xff\xff\xff")])
    drawn = drawn_ticks(broken, "h264", take_apart(broken).video)
    assert sorted(drawn) == list(range(len(samples) - 1))


@pytest.mark.parametrize("form", ["yuv420p", "yuvj422p", "nv12", "gray", "rgb24", "yuv420p10le"])
def test_the_brightness_of_any_format_can_be_read(form: str) -> None:
    """As one byte a pixel, within rounding."""
    gray = np.arange(64, 64 + 96, dtype=np.uint8).repeat(64).reshape(96, 64)
    picture = VideoFrame.from_ndarray(np.vstack([gray, np.full((48, 64), 128, np.uint8)]), format="yuv420p")
    read = luma(picture.reformat(format=form))
    assert read.shape == gray.shape
    assert np.abs(read.astype(int) - gray).max() < 30  # ranges differ, brightness rises all the same
    assert (np.diff(read[:, 0].astype(int)) >= 0).all()
