"""The encoder of the edges."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame
from msgspec.structs import replace

from agent.cut.bits import split_annex_b
from agent.cut.codec import ClipForm, PictureForm
from agent.cut.encode import fitted, open_encoder
from agent.cut.h264_ids import AVC
from agent.cut.h265_ids import HEVC
from agent.cut.known_codecs import H264, H265

FORM = PictureForm(192, 112, 1, 8, True, 0, "4.1", 2)  # noqa: FBT003 - progressive


def frame(width: int = 192, height: int = 112, name: str = "yuv420p") -> VideoFrame:
    """Make a gray frame."""
    return VideoFrame.from_ndarray(np.full((height, width), 90, np.uint8), format="gray").reformat(format=name)


def test_a_frame_that_fits_is_not_touched() -> None:
    """Both ranges of the same format fit."""
    for name in ("yuv420p", "yuvj420p"):
        one = frame(name=name)
        assert fitted(one, FORM) is one


@pytest.mark.parametrize(
    ("like", "form", "name"),
    [
        (frame(96, 64), FORM, "yuv420p"),
        (frame(name="yuvj422p"), FORM, "yuvj420p"),
        (frame(name="yuv444p"), FORM, "yuv420p"),
        (frame(), replace(FORM, bit_depth=10), "yuv420p10le"),
        (frame(name="yuv422p"), replace(FORM, chroma_format=2), "yuv422p"),
    ],
)
def test_other_frames_take_the_clips_form(like: VideoFrame, form: PictureForm, name: str) -> None:
    """Size and format are the clip's, full range stays full range."""
    got = fitted(like, form)
    assert (got.width, got.height, got.format.name) == (192, 112, name)


@pytest.mark.parametrize("level", ["4.1", "1.0", ""])
@pytest.mark.parametrize("clip", [AVC, HEVC], ids=["h264", "h265"])
def test_an_edge_is_one_key_picture_and_names_no_encoder(clip: ClipForm, level: str) -> None:
    """Only sets and slices come out, and user data never; levels that the pictures break are no obstacle."""
    codec = H264 if clip is AVC else H265
    encoder = open_encoder(clip, replace(FORM, level=level, width=1280, height=720), frame(1280, 720), 40_000_000, 2000)
    packets = []
    for number in range(5):
        one = frame(1280, 720)
        one.pts = number * 3600
        packets += encoder.encode(one)
    packets += encoder.encode(None)
    assert [packet.is_keyframe for packet in packets] == [True, False, False, False, False]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
    for packet in packets:
        nals = split_annex_b(bytes(packet))
        kept = [nal for nal in nals if codec.is_slice(nal)]
        assert kept
        if clip is HEVC:
            assert not any(nal[0] >> 1 in (39, 40) and nal[2] == 5 for nal in nals)
    sets = codec.parameter_sets(split_annex_b(bytes(packets[0])))
    assert codec.form(sets, next(n for n in split_annex_b(bytes(packets[0])) if codec.is_slice(n))).width == 1280
