"""What a virtual camera sees: a small shop at night, its clock, a passing car, and sometimes a phone before the lens.

Rules of this file: a picture is a function of its tick (and of the code on the phone), so a camera that was late draws
the same pictures as one that was not. What stands still is painted once, in `camera_backdrop.py`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

from agent.demo import block_code
from agent.demo.camera_backdrop import CAPTION_Y, DESIGN_HEIGHT, DESIGN_WIDTH, KERB_Y, Colour, Image, paint_backdrop
from agent.demo.camera_cadence import TICKS_HZ
from agent.errors import BadInputError

Planes = NDArray[np.uint8]  # (height * 3/2) x width: I420, the luma plane first
CodeMatrix = NDArray[np.uint8]  # a QR code's modules, 1 is dark, without its quiet zone

_CAR_EVERY_S: Final = 9
_WALK_EVERY_S: Final = 23
_NOISE_LEVEL: Final = 1.5  # luma steps, standard deviation: a sensor at night behind its noise filter
_NOISE_TILES: Final = 5
_QUIET_MODULES: Final = 4
_SCREEN_MARGIN: Final = 8  # pixels of white round the code's quiet zone
_PHONE_TOP: Final = 15
_CODE_TEXT_BYTES_MAX: Final = 1000

_INK: Final[Colour] = (240, 242, 244)
_DARK: Final[Colour] = (34, 28, 26)


class Scene:
    """Draws the pictures of the camera called `name`; `width` must be a multiple of 160, `height` even."""

    def __init__(self, name: str, width: int = DESIGN_WIDTH, height: int = DESIGN_HEIGHT) -> None:
        self._size = (width, height)
        self._font = cv2.FontFace("sans")
        self._backdrop = paint_backdrop(f"TRANSOM DEMO - {name}".upper())
        noise = np.random.default_rng(7).normal(0, _NOISE_LEVEL, (_NOISE_TILES, height, width))
        self._brighter = np.clip(np.round(noise), 0, 255).astype(np.uint8)
        self._darker = np.clip(np.round(-noise), 0, 255).astype(np.uint8)

    def picture(self, ticks: int, code: CodeMatrix | None = None) -> Planes:
        """Draw the picture taken at `ticks`; `code` is shown on a phone before the camera."""
        seconds = ticks % (TICKS_HZ * 86_400) / TICKS_HZ
        image = self._backdrop.copy()
        _draw_walker(image, seconds)
        _draw_car(image, seconds)
        if code is not None:
            _draw_phone(image, code, seconds)
            image[CAPTION_Y:] = self._backdrop[CAPTION_Y:]
        self._draw_clock(image, ticks)
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        luma = planes[: self._size[1]]
        tile = ticks // 1000 % _NOISE_TILES
        cv2.subtract(cv2.add(luma, self._brighter[tile], dst=luma), self._darker[tile], dst=luma)
        block_code.draw(luma, ticks)
        return planes

    def _draw_clock(self, image: Image, ticks: int) -> None:
        seconds, part = divmod(ticks, TICKS_HZ)
        moment = datetime.fromtimestamp(seconds, UTC)
        text = f"{moment:%Y-%m-%d %H:%M:%S}.{part * 100 // TICKS_HZ:02d} UTC"
        cv2.putText(image, text, (352, 349), _INK, self._font, 17, 500)


def shrink(planes: Planes, ticks: int) -> Planes:
    """Halve a picture of `ticks` both ways, as a camera's sub stream does; its sides must be multiples of 4."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    luma, chroma = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    halves = [cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in (luma, *chroma)]
    small = np.concatenate([each.ravel() for each in halves]).reshape(height * 3 // 4, width // 2).astype(np.uint8)
    block_code.draw(small[: height // 2], ticks)
    return small


def jpeg(planes: Planes) -> bytes:
    """Write a picture as JPEG, for snapshots."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420))
    return encoded.tobytes()


def code_matrix(text: str) -> CodeMatrix:
    """Make the QR code of `text`; raises BadInputError if it is empty or too long for the phone's screen."""
    if not 0 < len(text.encode()) <= _CODE_TEXT_BYTES_MAX:
        raise BadInputError(f"a code holds 1 to {_CODE_TEXT_BYTES_MAX} bytes of text")
    return np.array([list(row) for row in segno.make(text, error="m", micro=False).matrix], np.uint8)


def _draw_car(image: Image, seconds: float) -> None:
    """Drive a car along the wet street, its lights before it."""
    x = (seconds % _CAR_EVERY_S) / _CAR_EVERY_S * (DESIGN_WIDTH + 520) - 260
    bounce = math.sin(seconds * 9) * 0.5
    ground = 308.0
    _glow(image, x + 150, ground - 8, 120, 30, (120, 190, 214))
    _glow(image, x - 66, ground - 14, 40, 18, (30, 24, 190))
    y = ground - 8 + bounce
    _shape(image, [(x - 62, y), (x + 66, y), (x + 66, y - 15), (x + 40, y - 22), (x - 60, y - 22)], (116, 74, 42))
    _shape(image, [(x - 46, y - 21), (x + 38, y - 21), (x + 18, y - 40), (x - 30, y - 40)], (92, 58, 34))
    _shape(image, [(x - 38, y - 23), (x - 8, y - 23), (x - 8, y - 36), (x - 26, y - 36)], (150, 132, 110))
    _shape(image, [(x - 3, y - 23), (x + 29, y - 23), (x + 15, y - 36), (x - 3, y - 36)], (150, 132, 110))
    _shape(image, [(x - 62, y - 13), (x + 66, y - 13), (x + 66, y - 11), (x - 62, y - 11)], (176, 130, 84))
    for wheel in (x - 36, x + 40):
        _disc(image, wheel, ground - 8, 10.5, (18, 16, 16))
        _disc(image, wheel, ground - 8, 5.0, (130, 126, 122))
    _disc(image, x + 63, y - 12, 4.5, (214, 248, 255))
    _shape(image, [(x - 63, y - 18), (x - 58, y - 18), (x - 58, y - 10), (x - 63, y - 10)], (60, 50, 235))


def _draw_walker(image: Image, seconds: float) -> None:
    """Let somebody walk home along the front."""
    x = DESIGN_WIDTH + 30 - (seconds % _WALK_EVERY_S) / _WALK_EVERY_S * (DESIGN_WIDTH + 60)
    stride = math.sin(seconds * 6.5)
    foot, hip, shoulder = KERB_Y + 12.0, KERB_Y - 20.0, KERB_Y - 46.0 + abs(stride) * 1.2
    for side, cloth in ((-1, (44, 36, 34)), (1, (58, 46, 42))):
        swing = stride * side * 9
        _shape(image, [(x - 4, hip - 4), (x + 4, hip - 4), (x + swing + 3, foot), (x + swing - 3, foot)], cloth)
        _shape(
            image,
            [(x + swing - 5, foot - 3), (x + swing + 3, foot - 3), (x + swing + 3, foot), (x + swing - 6, foot)],
            _DARK,
        )
    coat = [(x - 7, shoulder), (x + 7, shoulder), (x + 9, hip + 6), (x - 9, hip + 6)]
    _shape(image, coat, (70, 96, 150))
    arm = stride * 7
    _shape(image, [(x - 3, shoulder + 3), (x + 3, shoulder + 3), (x + arm + 2, hip), (x + arm - 3, hip)], (56, 78, 124))
    _disc(image, x - 1, shoulder - 8, 6.5, (130, 160, 200))
    _disc(image, x + 0.5, shoulder - 10, 6.2, (30, 34, 52))


def _draw_phone(image: Image, code: CodeMatrix, seconds: float) -> None:
    """Hold a phone with a white screen and the code before the camera; each module is a whole number of pixels."""
    modules = code.shape[0] + 2 * _QUIET_MODULES
    module = max((CAPTION_Y - _PHONE_TOP - 2 * _SCREEN_MARGIN) // modules, 1)
    side = modules * module
    width, height = side + 2 * _SCREEN_MARGIN, DESIGN_HEIGHT  # the phone's lower end is outside the picture
    left = (DESIGN_WIDTH - width) // 2 + round(math.sin(seconds * 1.7) * 2)
    top = _PHONE_TOP + round(math.sin(seconds * 1.1))
    for rim, colour in ((12, (14, 12, 12)), (10, (72, 68, 66)), (8, (22, 20, 20)), (0, (244, 244, 244))):
        _rounded(image, left - rim, top - rim, width + 2 * rim, height, 9 + rim, colour)
    _rounded(image, left + width // 2 - 22, top - 5, 44, 1, 0, (60, 56, 54))
    shades = (
        np.where(np.pad(code, _QUIET_MODULES), 24, 244).astype(np.uint8).repeat(module, axis=0).repeat(module, axis=1)
    )
    y, x = top + _SCREEN_MARGIN, left + _SCREEN_MARGIN
    image[y : y + side, x : x + side] = shades[:, :, None]


def _rounded(image: Image, left: int, top: int, width: int, height: int, radius: int, colour: Colour) -> None:
    cv2.rectangle(image, (left + radius, top), (left + width - radius, top + height), colour, -1)
    cv2.rectangle(image, (left, top + radius), (left + width, top + height - radius), colour, -1)
    for x in (left + radius, left + width - radius):
        for y in (top + radius, top + height - radius):
            _disc(image, x, y, radius, colour)


def _glow(image: Image, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
    """Add light that falls off to nothing at an ellipse of `wide` by `high` pixels."""
    left, right = max(round(x - wide), 0), min(round(x + wide), image.shape[1])
    top, bottom = max(round(y - high), 0), min(round(y + high), CAPTION_Y)
    if left >= right or top >= bottom:
        return
    across = (np.arange(left, right, dtype=np.float32) - x) / wide
    down = (np.arange(top, bottom, dtype=np.float32) - y) / high
    strength = np.clip(1 - across[None, :] ** 2 - down[:, None] ** 2, 0, 1) ** 2
    lit = image[top:bottom, left:right]
    lit[:] = cv2.add(lit, (strength[:, :, None] * np.array(colour, np.float32) * 0.75).astype(np.uint8))


def _shape(image: Image, points: list[tuple[float, float]], colour: Colour) -> None:
    scaled = np.array([(round(x * 16), round(y * 16)) for x, y in points], np.int32)
    cv2.fillPoly(image, [scaled], colour, cv2.LINE_AA, 4)


def _disc(image: Image, x: float, y: float, radius: float, colour: Colour) -> None:
    cv2.circle(image, (round(x * 16), round(y * 16)), round(radius * 16), colour, -1, cv2.LINE_AA, 4)
