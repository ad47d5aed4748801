"""A camera's own JPEG, redrawn: what came is not what goes, masks are in the pixels, rubbish is refused."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cut.look import SNAPSHOT_BYTES_MAX, StillOrder
from agent.cut.still import redraw
from agent.errors import BadInputError
from agent.outside.cutter import ChildCutter

ASKED = StillOrder(SNAPSHOT_BYTES_MAX, 640, 360)
LEFT = ((((0, 0), (5000, 0), (5000, 10_000), (0, 10_000))),)


def white(columns: int = 640, rows: int = 360, comment: bytes = b"") -> bytes:
    """Return a white picture as a camera writes it, with a comment if there is one (T.81, B.2.4.5)."""
    _, jpeg = cv2.imencode(".jpg", np.full((rows, columns, 3), 255, np.uint8))
    head = jpeg.tobytes()
    told = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment if comment else b""
    return head[:2] + told + head[2:]


def brightness(jpeg: bytes) -> tuple[float, float, tuple[int, ...]]:
    """Return how bright the left and the right half of a picture are, and its shape."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    half = picture.shape[1] // 2
    return float(picture[:, : half - 16].mean()), float(picture[:, half + 16 :].mean()), picture.shape


def test_what_a_camera_wrote_beside_its_picture_stays_behind() -> None:
    """Comments, thumbnails, whatever hides in a JPEG: only pixels come through."""
    jpeg = redraw(white(comment=b"owner: somebody; <script>"), (), ASKED)
    assert b"somebody" not in jpeg
    left, right, shape = brightness(jpeg)
    assert (round(left), round(right), shape) == (255, 255, (360, 640, 3))


def test_masks_are_painted_over() -> None:
    """The left half is covered: it is grey, and the right one is not."""
    left, right, _ = brightness(redraw(white(), LEFT, ASKED))
    assert 120 < left < 136
    assert right > 250


def test_a_picture_of_another_shape_is_not_shown_where_there_are_masks() -> None:
    """It may show more of the scene than the stream; without masks it does not matter."""
    with pytest.raises(BadInputError, match="shape"):
        redraw(white(640, 480), LEFT, ASKED)
    with pytest.raises(BadInputError, match="shape"):
        redraw(white(), LEFT, StillOrder(SNAPSHOT_BYTES_MAX))  # the stream's shape is not known
    assert redraw(white(640, 480), (), ASKED)
    assert redraw(white(320, 182), LEFT, ASKED)


def test_a_picture_that_does_not_fit_is_refused() -> None:
    """Nothing is shown rather than more than was asked for."""
    with pytest.raises(BadInputError, match="fit"):
        redraw(white(), (), StillOrder(100, 640, 360))


@pytest.mark.parametrize("damage", [white()[:300], b"\xff\xd8\xff\xd9", b"", b"<html>", bytes(1000)])
def test_rubbish_is_refused(damage: bytes) -> None:
    """Cut short, empty, a web page."""
    with pytest.raises(BadInputError):
        redraw(damage, (), ASKED)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=1, max_size=40), st.integers(0, 2000), st.booleans())
def test_damaged_pictures_are_shown_or_refused(noise: bytes, at: int, has_masks: bool) -> None:  # noqa: FBT001 - drawn
    """Nothing else comes of any bytes."""
    good = white(64, 36)
    at %= len(good)
    damaged = good[:at] + noise + good[at + len(noise) :]
    with contextlib.suppress(BadInputError):
        assert redraw(damaged, LEFT if has_masks else (), ASKED).startswith(b"\xff\xd8")


def test_the_child_redraws_without_files_and_network() -> None:
    """By the confined process, which may load nothing any more when the picture comes."""
    cutter = ChildCutter()
    assert brightness(cutter.redraw(white(), LEFT, ASKED))[1] > 250
    with pytest.raises(BadInputError):
        cutter.redraw(b"\xff\xd8 no picture", (), ASKED)
