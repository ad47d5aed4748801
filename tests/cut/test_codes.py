"""QR codes in a camera's picture."""

from __future__ import annotations

import numpy as np
import segno

from agent.cut.clip import CutOrder
from agent.cut.codes import read_codes, read_texts
from tests.simulators.clips import window_of
from tests.simulators.h264_source import Gray, Recipe, film, film_pictures


def scene(text: str, scale: int, size: tuple[int, int] = (480, 640)) -> Gray:
    """Draw a QR code on a gray wall."""
    rows = np.array([list(row) for row in segno.make(text, error="m").matrix], np.uint8)
    code = np.pad(255 - 255 * rows, 4, constant_values=255).repeat(scale, 0).repeat(scale, 1)
    wall = np.full(size, 120, np.uint8)
    wall[40 : 40 + code.shape[0], 60 : 60 + code.shape[1]] = code
    return wall


def test_a_code_held_to_the_camera_is_read_from_its_stream() -> None:
    """From wire bytes to the text, by the newest key picture."""
    source = film_pictures([scene("older", 4)] * 4 + [scene("transom:claim:ABCD-EFGH", 4)] * 4, gop=4)
    assert read_codes(CutOrder(window_of(0, 1), (source.header,)), source.chunks) == ["transom:claim:ABCD-EFGH"]


def test_a_picture_without_codes_gives_none() -> None:
    """Nothing to read is not an error."""
    source = film(Recipe(pictures=3))
    assert read_codes(CutOrder(window_of(0, 1), (source.header,)), source.chunks) == []
    assert read_codes(CutOrder(window_of(0, 1), (source.header,)), ()) == []


def test_texts_are_bounded() -> None:
    """A code with a long text is cut to the limit."""
    (text,) = read_texts(scene("z" * 2300, 3, (900, 900)))
    assert text == "z" * 2048
