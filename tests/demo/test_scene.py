"""The scene: repeatable pictures with a readable code, and a phone whose QR code real readers can read."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
import zxingcpp

from agent.demo import block_code
from agent.demo.h264_rtp import EncoderSettings, H264Encoder
from agent.demo.scene import Scene, code_matrix, jpeg, shrink
from agent.errors import BadInputError

TICKS = 161_582_080_590_000 + 24_317
CLAIM = "TRANSOM:1:" + "claim-0123456789abcdef-" * 3


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Paint one scene for all tests of this file."""
    return Scene("Front door")


def test_a_picture_depends_on_its_tick_only(scene: Scene) -> None:
    """The same tick gives the same picture from a second camera of that name; another tick gives another."""
    assert np.array_equal(scene.picture(TICKS), Scene("Front door").picture(TICKS))
    assert not np.array_equal(scene.picture(TICKS), scene.picture(TICKS + 6000))


def test_the_scene_moves_smoothly(scene: Scene) -> None:
    """Between two pictures something moves, but most of the picture stays as it is."""
    first, second = (scene.picture(TICKS + k * 6000)[:326].astype(int) for k in (60, 61))
    changed = float((abs(first - second) > 12).mean())
    assert 0.0005 < changed < 0.2


@pytest.mark.parametrize("size", [(640, 360), (320, 180), (1280, 720)])
def test_pictures_have_the_size_asked_for_and_tell_their_time(size: tuple[int, int]) -> None:
    """Every size gives I420 planes of that size with a readable code, and so does its half."""
    planes = Scene("Yard", *size).picture(TICKS)
    assert planes.shape == (size[1] * 3 // 2, size[0])
    assert block_code.read(planes[: size[1]]) == TICKS
    half = shrink(planes, TICKS)
    assert half.shape == (size[1] * 3 // 4, size[0] // 2)
    assert block_code.read(half[: size[1] // 2]) == TICKS


def test_the_code_on_the_phone_is_read_by_zxing(scene: Scene) -> None:
    """A claim of 37 modules is read from the drawn picture, at every moment of the hand's sway."""
    matrix = code_matrix(CLAIM)
    assert matrix.shape == (37, 37)
    for second in range(5):
        luma = scene.picture(TICKS + second * 90_000, matrix)[:360]
        assert [found.text for found in zxingcpp.read_barcodes(luma)] == [CLAIM]
        assert block_code.read(luma) == TICKS + second * 90_000


def test_the_code_on_the_phone_is_read_from_a_decoded_key_picture(scene: Scene) -> None:
    """After x264 at the camera's usual rate the key picture that follows still holds a readable code."""
    encoder, decoder = H264Encoder(EncoderSettings(gop=5)), av.CodecContext.create("h264", "r")
    matrix = code_matrix(CLAIM)
    texts = []
    for number in range(12):
        ticks = TICKS + number * 6000
        for unit in encoder.encode(scene.picture(ticks, matrix if number > 2 else None), ticks):
            [frame] = decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in unit.nal_units)))
            if unit.is_key:
                texts.append([found.text for found in zxingcpp.read_barcodes(frame.to_ndarray(format="gray"))])
    assert texts == [[], [CLAIM], [CLAIM]]


def test_a_text_too_long_for_the_phone_is_refused() -> None:
    """Nothing and far too much text make no code."""
    for text in ("", "x" * 1001):
        with pytest.raises(BadInputError, match="bytes of text"):
            code_matrix(text)


def test_a_snapshot_is_a_jpeg_of_the_picture(scene: Scene) -> None:
    """A JPEG decodes to the picture's size and still tells the time."""
    decoded = cv2.imdecode(np.frombuffer(jpeg(scene.picture(TICKS)), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    assert block_code.read(np.asarray(decoded, np.uint8)) == TICKS
