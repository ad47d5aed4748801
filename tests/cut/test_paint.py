"""Painting over decoded pictures: every plane, every format a decoder gives, and never the decoder's own copy."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from agent.consent.mask import Masks
from agent.cut.masks import BLOCK_PIXELS, covered_blocks
from agent.cut.paint import paint
from agent.errors import BadInputError

MASKS: Masks = (((2500, 2500), (7000, 3000), (5000, 9900)), ((0, 0), (100, 0), (0, 100)))
SIZE = (150, 90)  # no multiple of a block
FORMATS = [
    *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray", "gbrp"),
    *("yuv420p9le", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray10le", "gbrp10le", "yuv420p12le", "yuv420p14le"),
]


def noise(name: str) -> VideoFrame:
    """Fill a frame of a format with noise."""
    frame, drawn = VideoFrame(*SIZE, name), np.random.default_rng(1)
    for component in frame.format.components:
        plane = frame.planes[component.plane]
        samples = plane.buffer_size // (2 if component.bits > 8 else 1)
        kind = np.uint16 if component.bits > 8 else np.uint8
        plane.update(drawn.integers(0, 2**component.bits, samples, kind).tobytes())
    return frame


def planes(frame: VideoFrame) -> list[tuple[np.ndarray, int]]:
    """Return each component's samples and their middle, plane by plane."""
    found = []
    for component in frame.format.components:
        plane = frame.planes[component.plane]
        kind = np.uint16 if component.bits > 8 else np.uint8
        lines = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)
        found.append((lines[:, : component.width], 2 ** (component.bits - 1)))
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_component_is_grey_where_a_block_is_covered_and_untouched_elsewhere(name: str) -> None:
    """Looked up sample by sample: the block a sample lies in decides, in every plane."""
    before, frame = planes(noise(name)), noise(name)
    paint(frame, MASKS)
    rows = covered_blocks(MASKS, *SIZE)
    for (old, middle), (new, _) in zip(before, planes(frame), strict=True):
        across, down = BLOCK_PIXELS // -(-SIZE[0] // old.shape[1]), BLOCK_PIXELS // -(-SIZE[1] // old.shape[0])
        for y in range(new.shape[0]):
            hidden = np.zeros(new.shape[1], bool)
            for begin, end in rows[y // down]:
                hidden[begin * across : end * across] = True
            assert hidden.any() or y >= down * 5 or not rows[y // down]
            assert (new[y, hidden] == middle).all()
            assert (new[y, ~hidden] == old[y, ~hidden]).all()


@pytest.mark.parametrize("name", ["nv12", "yuyv422", "pal8", "rgb24", "yuv420p10be", "grayf32le"])
def test_a_format_that_is_not_understood_is_refused(name: str) -> None:
    """Never passed on unpainted."""
    frame = VideoFrame(*SIZE, name)
    with pytest.raises(BadInputError, match=f"{name} cannot be masked"):
        paint(frame, MASKS)
    paint(frame, ())


def test_the_decoders_own_copy_stays_as_it_is() -> None:
    """It refers to it in the pictures that follow: painting one frame changes no other that shares its memory."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 96, "yuv420p"
    encoder.options = {"preset": "ultrafast", "x264-params": "keyint=infinite:bframes=0"}
    still = VideoFrame.from_ndarray(np.full((144, 160), 200, np.uint8), format="yuv420p")
    packets = [packet for pts in range(4) for packet in encoder.encode(_at(still, pts))] + encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    shown = []
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            shown.append(planes(frame)[0][0].copy())
            paint(frame, (((0, 0), (9999, 0), (9999, 9999), (0, 9999)),))
            assert (planes(frame)[0][0] == 128).all()
    assert len(shown) == 4
    assert all(abs(int(picture.min()) - 200) < 4 for picture in shown)


def _at(frame: VideoFrame, pts: int) -> VideoFrame:
    frame.pts = pts
    return frame
