"""The part of the scene that stands still: a corner shop at night, painted once when a virtual camera starts.

Rules of this file: painted at twice the size and shrunk, which makes the edges smooth; colours are blue-green-red.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # height x width x 3
Colour = tuple[int, int, int]

DESIGN_WIDTH: Final = 640
DESIGN_HEIGHT: Final = 360
CAPTION_Y: Final = 326  # below it: the caption with the clock and the block code
KERB_Y: Final = 262
_SCALE: Final = 2
_LETTER_MIN: Final = 12

_BRICK: Final[Colour] = (58, 64, 104)
_MORTAR: Final[Colour] = (44, 48, 78)
_WARM: Final[Colour] = (120, 200, 255)
_AMBER: Final[Colour] = (92, 186, 255)
_WOOD: Final[Colour] = (48, 74, 38)
_RED: Final[Colour] = (52, 48, 186)
_CREAM: Final[Colour] = (206, 226, 238)
_ASPHALT: Final[Colour] = (50, 44, 42)
_PAVEMENT: Final[Colour] = (88, 84, 82)
_CAPTION: Final[Colour] = (30, 24, 20)


def paint_backdrop(title: str) -> Image:
    """Paint the shop with `title` on its sign, 640 x 360."""
    image = np.zeros((DESIGN_HEIGHT * _SCALE, DESIGN_WIDTH * _SCALE, 3), np.uint8)
    _paint_sky(image)
    _paint_neighbours(image)
    _paint_facade(image)
    _paint_shop_window(image)
    _paint_door(image)
    _paint_awning(image)
    _paint_sign(image, title)
    _paint_street(image)
    image = _add_glow(image)
    _box(image, 0, CAPTION_Y, DESIGN_WIDTH, DESIGN_HEIGHT, _CAPTION)
    _box(image, 0, CAPTION_Y, DESIGN_WIDTH, CAPTION_Y + 1, _AMBER)
    return np.asarray(cv2.resize(image, (DESIGN_WIDTH, DESIGN_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _box(image: Image, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    image[round(top * _SCALE) : round(bottom * _SCALE), round(left * _SCALE) : round(right * _SCALE)] = colour


def _shape(image: Image, points: list[tuple[float, float]], colour: Colour) -> None:
    scaled = np.array([(round(x * _SCALE * 16), round(y * _SCALE * 16)) for x, y in points], np.int32)
    cv2.fillPoly(image, [scaled], colour, cv2.LINE_AA, 4)


def _disc(image: Image, x: float, y: float, radius: float, colour: Colour) -> None:
    centre = (round(x * _SCALE * 16), round(y * _SCALE * 16))
    cv2.circle(image, centre, round(radius * _SCALE * 16), colour, -1, cv2.LINE_AA, 4)


def _paint_sky(image: Image) -> None:
    height = KERB_Y * _SCALE
    blend = np.linspace(0, 1, height)[:, None, None]
    top, bottom = np.array((54, 26, 16)), np.array((104, 66, 58))
    image[:height] = np.broadcast_to(top * (1 - blend) + bottom * blend, (height, image.shape[1], 3)).astype(np.uint8)
    for x, y in (
        (22, 20),
        (71, 48),
        (118, 14),
        (205, 24),
        (262, 9),
        (341, 22),
        (402, 12),
        (470, 27),
        (628, 60),
        (540, 10),
    ):
        _disc(image, x, y, 0.8, (214, 206, 200))
    _disc(image, 590, 34, 15, (206, 226, 232))
    _disc(image, 584, 31, 14, (66, 34, 24))


def _paint_neighbours(image: Image) -> None:
    for left, top, right in ((-4, 92, 74), (572, 74, 644)):
        _box(image, max(left, 0), top, min(right, DESIGN_WIDTH), KERB_Y, (46, 34, 30))
        for column in range(2):
            for row in range(4):
                x, y = left + 14 + column * 32, top + 16 + row * 36
                is_lit = (column, row) in ((1, 0), (0, 2))
                _box(image, x, y, x + 16, y + 21, (96, 158, 206) if is_lit else (66, 50, 44))


def _paint_facade(image: Image) -> None:
    left, top, right = 72, 40, 574
    _box(image, left, top, right, KERB_Y, _MORTAR)
    shades = np.random.default_rng(3)
    for row in range((KERB_Y - top) // 6):
        for column in range(-1, (right - left) // 14 + 1):
            x = left + column * 14 + (row % 2) * 7
            tint = int(shades.integers(-9, 10))
            brick = (_BRICK[0] + tint, _BRICK[1] + tint, _BRICK[2] + tint)
            _box(image, max(x, left), top + row * 6, min(x + 13, right), top + row * 6 + 5, brick)
    _box(image, left - 6, top - 7, right + 6, top + 2, (74, 78, 92))
    _box(image, left - 6, top - 7, right + 6, top - 5, (110, 114, 126))


def _paint_shop_window(image: Image) -> None:
    left, top, right, bottom = 104, 140, 384, 240
    _box(image, left - 6, top - 4, right + 6, bottom + 6, _WOOD)
    _box(image, left - 10, bottom + 6, right + 10, bottom + 12, (70, 100, 58))
    height = (bottom - top) * _SCALE
    blend = np.linspace(0, 1, height)[:, None, None]
    light = np.array((132, 202, 244)) * (1 - blend) + np.array((66, 122, 188)) * blend
    pane = image[top * _SCALE : bottom * _SCALE, left * _SCALE : right * _SCALE]
    pane[:] = np.broadcast_to(light, pane.shape).astype(np.uint8)
    for shelf in (176, 208):
        _box(image, left, shelf, right, shelf + 3, (44, 74, 112))
        for number in range(17):
            x, tall = left + 9 + number * 16, 8 + (number * 7 + shelf) % 14
            colour = ((60, 92, 168), (66, 118, 84), (128, 96, 66), (58, 134, 196))[(number + shelf) % 4]
            _box(image, x, shelf - tall, x + 9, shelf, colour)
            _box(image, x + 2, shelf - tall - 3, x + 7, shelf - tall, colour)
    for number in range(9):
        _disc(image, left + 22 + number * 29, bottom - 8, 9, (56, 120, 186))
        _disc(image, left + 20 + number * 29, bottom - 11, 5, (84, 156, 216))
    _box(image, left, bottom - 5, right, bottom, (44, 74, 112))
    for x in (left + 91, left + 186):
        _box(image, x, top, x + 4, bottom, _WOOD)


def _paint_door(image: Image) -> None:
    left, top, right = 428, 136, 500
    _box(image, left - 7, top - 2, right + 7, KERB_Y, (40, 58, 32))
    _box(image, left, top + 4, right, top + 22, _WARM)  # the transom
    for x in (left + 23, left + 47):
        _box(image, x, top + 4, x + 2, top + 22, (40, 58, 32))
    _box(image, left, top + 27, right, KERB_Y, _WOOD)
    _box(image, left + 9, top + 35, right - 9, top + 88, (96, 160, 214))
    _box(image, left + 35, top + 35, left + 38, top + 88, _WOOD)
    _box(image, left + 9, top + 95, right - 9, KERB_Y - 8, (38, 60, 30))
    _disc(image, right - 5, top + 84, 2.6, (120, 200, 226))
    _box(image, left + 20, top + 52, left + 52, top + 66, _CREAM)
    _text(image, "OPEN", left + 36, top + 63.5, 11, (50, 60, 140), 700)
    _box(image, left - 6, KERB_Y - 4, right + 6, KERB_Y, (118, 114, 112))
    for x in (404, 526):
        _box(image, x - 4, 168, x + 4, 184, (28, 28, 30))
        _box(image, x - 2.5, 170, x + 2.5, 182, (190, 236, 255))


def _paint_awning(image: Image) -> None:
    left, right, top, bottom, stripes = 92, 546, 108, 132, 26
    step = (right - left) / stripes
    spread = step * 1.04
    for number in range(stripes):
        colour = _RED if number % 2 == 0 else _CREAM
        middle = (left + right) / 2
        upper, lower = left + 10 + number * (step - 20 / stripes), middle + (number - stripes / 2) * spread
        upper_end = upper + step - 20 / stripes
        _shape(image, [(upper, top), (upper_end, top), (lower + spread, bottom), (lower, bottom)], colour)
        _disc(image, lower + spread / 2, bottom, spread / 2, colour)
        shade: Colour = (colour[0] * 3 // 4, colour[1] * 3 // 4, colour[2] * 3 // 4)
        _box(image, lower, bottom - 2, lower + spread, bottom, shade)


def _paint_sign(image: Image, title: str) -> None:
    left, top, right, bottom = 108, 56, 530, 100
    _box(image, left, top, right, bottom, (56, 92, 116))
    _box(image, left + 2, top + 2, right - 2, bottom - 2, (40, 30, 26))
    size = 27
    while size > _LETTER_MIN and _text_width(title, size, 700) > (right - left - 24):
        size -= 1
    _text(image, title, (left + right) / 2, (top + bottom) / 2 + size * 0.36, size, _WARM, 700)


def _paint_street(image: Image) -> None:
    _box(image, 0, KERB_Y, DESIGN_WIDTH, KERB_Y + 16, _PAVEMENT)
    for x in range(0, DESIGN_WIDTH, 46):
        _shape(image, [(x, KERB_Y), (x + 1.2, KERB_Y), (x - 6.8, KERB_Y + 16), (x - 8, KERB_Y + 16)], (68, 64, 62))
    _box(image, 0, KERB_Y + 16, DESIGN_WIDTH, KERB_Y + 19, (116, 112, 110))
    _box(image, 0, KERB_Y + 19, DESIGN_WIDTH, DESIGN_HEIGHT, _ASPHALT)
    for x in range(-30, DESIGN_WIDTH, 90):
        _shape(image, [(x, 313), (x + 46, 313), (x + 42, 317), (x - 4, 317)], (150, 156, 160))
    # The street is wet: the lit front stands in it upside down.
    shine_top, shine_bottom = (KERB_Y + 1) * _SCALE, CAPTION_Y * _SCALE
    depth = shine_bottom - shine_top
    mirrored = cv2.GaussianBlur(image[KERB_Y * _SCALE - depth * 2 : KERB_Y * _SCALE][::-2], (0, 0), 7, sigmaY=3)
    street = image[shine_top:shine_bottom]
    street[:] = cv2.addWeighted(street, 0.86, mirrored, 0.34, 0)


def _add_glow(image: Image) -> Image:
    bright = cv2.subtract(image, np.full_like(image, 120))
    small = cv2.resize(bright, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)  # a wide blur needs no detail
    near, far = (
        cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma * _SCALE / 4), (image.shape[1], image.shape[0]))
        for sigma in (8, 26)
    )
    lit = cv2.add(cv2.addWeighted(image, 0.94, near, 0.4, 0), far)
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float32)
    away = ((x / image.shape[1] - 0.5) ** 2 + (y / image.shape[0] - 0.5) ** 2)[:, :, None]
    return np.asarray(lit * (1 - 0.5 * away), np.uint8)


def _text(image: Image, text: str, middle_x: float, base_y: float, size: int, colour: Colour, weight: int) -> None:
    left = middle_x - _text_width(text, size, weight) / 2
    at = (round(left * _SCALE), round(base_y * _SCALE))
    cv2.putText(image, text, at, colour, cv2.FontFace("sans"), size * _SCALE, weight)


def _text_width(text: str, size: int, weight: int) -> float:
    box = cv2.getTextSize((DESIGN_WIDTH, DESIGN_HEIGHT), text, (0, 0), cv2.FontFace("sans"), size * _SCALE, weight)
    return float(box[2]) / _SCALE
