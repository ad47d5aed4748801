"""The block code: what is drawn is read back, after any encoding, and nothing else is."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent.demo import block_code
from agent.demo.h264_rtp import EncoderSettings, H264Encoder
from agent.demo.scene import Scene

BASE = 161_582_080_590_000 + 24_317
PERIOD = 6000
VECTOR_CHECK = "dc9e"  # of 80 00 00 00 00 00 00 01


@given(st.integers(0, 2**64 - 1), st.sampled_from([(360, 640), (180, 320), (90, 160), (720, 1280)]))
@settings(max_examples=50)
def test_every_time_is_read_back(ticks: int, shape: tuple[int, int]) -> None:
    """Any 64-bit time survives drawing at every size."""
    image = np.full(shape, 90, np.uint8)
    block_code.draw(image, ticks)
    assert block_code.read(image) == ticks


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 200))))
@settings(max_examples=40)
def test_any_picture_can_be_asked(image: np.ndarray) -> None:
    """Reading never raises, whatever the picture's size and content."""
    assert block_code.read(image) is None or image.shape[1] >= block_code.COLUMNS


def test_the_code_is_laid_out_as_written() -> None:
    """A vector: the first and last bit of the time and nothing else, then the check value of CRC-16/CCITT-FALSE."""
    image = np.full((360, 640), 90, np.uint8)
    block_code.draw(image, 1 << 63 | 1)
    cells = image[340:356:8, 20:340:8] > 128
    assert np.packbits(cells).tobytes().hex() == "8000000000000001" + VECTOR_CHECK
    assert block_code._checksum(b"123456789") == 0x29B1
    assert set(np.unique(image)) == {90, block_code.DARK, block_code.BRIGHT}
    assert (image[:336] == 90).all()


def test_one_wrong_cell_makes_the_code_unreadable() -> None:
    """The checksum finds every single damaged cell."""
    image = np.full((360, 640), 90, np.uint8)
    block_code.draw(image, BASE)
    for row in range(block_code.ROWS):
        for column in range(block_code.COLUMNS):
            damaged = image.copy()
            cell = damaged[336 + row * 8 : 344 + row * 8, 16 + column * 8 : 24 + column * 8]
            cell[:] = block_code.DARK + block_code.BRIGHT - cell
            assert block_code.read(damaged) is None


def test_a_plain_picture_has_no_time() -> None:
    """A flat or slightly noisy corner is not taken for a code of zeros."""
    noise = np.random.default_rng(1).integers(80, 100, (360, 640)).astype(np.uint8)
    assert block_code.read(noise) is None
    assert block_code.read(np.zeros((360, 640), np.uint8)) is None


@pytest.mark.parametrize(
    "encoder",
    [
        EncoderSettings(bitrate_bps=60_000),
        EncoderSettings(bitrate_bps=80_000, b_frames=2),
        EncoderSettings(width=320, height=180, bitrate_bps=40_000),
    ],
    ids=["low-rate", "b-frames", "small"],
)
def test_every_picture_is_readable_after_x264_at_a_low_rate(encoder: EncoderSettings) -> None:
    """Each of 60 pictures tells its time after encoding at rates no camera is set to, and comes at that time."""
    scene, x264 = Scene("Front door", encoder.width, encoder.height), H264Encoder(encoder)
    times = [BASE + number * PERIOD for number in range(60)]
    units = [unit for ticks in times for unit in x264.encode(scene.picture(ticks), ticks)] + x264.flush()
    decoder = av.CodecContext.create("h264", "r")
    packets = []
    for unit in units:
        packet = av.Packet(b"".join(b"\0\0\0\1" + nal for nal in unit.nal_units))
        packet.pts = unit.ticks
        packets.append(packet)
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    assert [(frame.pts, block_code.read(frame.to_ndarray(format="gray"))) for frame in frames] == [
        (t, t) for t in times
    ]


def test_the_code_survives_scaling_and_a_brighter_picture() -> None:
    """A transcoded, smaller and washed-out copy still tells its time."""
    image = np.full((360, 640), 90, np.uint8)
    block_code.draw(image, BASE)
    copy = cv2.resize(image, (480, 270), interpolation=cv2.INTER_LINEAR)
    washed = (copy.astype(np.float32) * 0.6 + 70).astype(np.uint8)
    assert block_code.read(washed) == BASE
