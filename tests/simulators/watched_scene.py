"""What cameras look at, drawn: yards and shops by day, by night and by infrared, with weather and traffic, and spoilt.

Every scene is a function of its seed, every picture one of scene, light and moment, so that rates can be counted again.
The pictures go through x264 as a camera's key pictures do; what is measured is what a decoder makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

Picture = np.ndarray[Any, np.dtype[np.uint8]]  # height x width x 3, blue green red
WIDTH, HEIGHT = 960, 540
MARGIN = 0.45  # of the side that a turned camera can look beyond its picture


@dataclass(frozen=True)
class Moment:
    """What is so at one moment: how much light, what stands before the camera, how it does."""

    light: float = 1.0  # of full daylight
    lamps: float = 0.45  # of the street, once it is dark
    is_infrared: bool = False
    noise: float = 1.5  # luma steps, standard deviation
    people: int = 0
    cars: int = 0
    headlights: int = 0
    lorry: float = 0.0  # of the width, hidden by it
    rain: int = 0
    fog: float = 0.0
    shadow: float = 0.0  # where the shadow's border is; 0: overcast
    sway: tuple[float, float] = (0.0, 0.0)  # of a mast in the wind, pixels
    turned: tuple[float, float] = (0.0, 0.0)  # of the width and height
    blur: float = 0.0  # pixels, standard deviation
    cover: str = ""  # "cap", "cloth", "hand", "paint", "torch"
    seed: int = 0  # of what moves and of the noise
    crf: int = 26
    clock_min: int | None = None  # what its caption shows; None: by `seed`


@dataclass
class Scene:
    """One place. `seed` draws it; a hundred seeds are a hundred places."""

    seed: int
    width: int = WIDTH
    height: int = HEIGHT
    _visible: Picture = field(init=False)
    _infrared: Picture = field(init=False)
    _lamps: np.ndarray[Any, np.dtype[np.float32]] = field(init=False)

    def __post_init__(self) -> None:
        """Paint how its surfaces reflect, and where its lamps shine, on a canvas larger than the picture."""
        random = np.random.default_rng(self.seed)
        across, down = round(self.width * (1 + 2 * MARGIN)), round(self.height * (1 + 2 * MARGIN))
        self._visible, self._infrared = _paint(random, across, down)
        y, x = np.mgrid[0:down, 0:across].astype(np.float32)
        lamps = np.zeros((down, across), np.float32)
        for _ in range(int(random.integers(2, 6))):
            cx, cy, reach = random.uniform(0.2, 0.8) * across, random.uniform(0.2, 0.7) * down, random.uniform(0.1, 0.3)
            lamps += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (reach * across) ** 2))
        self._lamps = np.clip(lamps, 0, 1)

    def picture(self, moment: Moment) -> Picture:
        """Take a picture, as the sensor has it."""
        random = np.random.default_rng((self.seed, moment.seed))
        surfaces = self._infrared if moment.is_infrared else self._visible
        image = self._crop(surfaces, moment).astype(np.float32)
        if moment.is_infrared:
            y, x = np.mgrid[-1 : 1 : self.height * 1j, -1 : 1 : self.width * 1j].astype(np.float32)
            image *= (1.1 * np.exp(-(x**2 + y**2) / 1.2))[..., None]
        else:
            lamps = self._crop(self._lamps, moment)[..., None] * moment.lamps
            image *= np.clip(moment.light + lamps * (1 - moment.light), 0, 1.3)
        if moment.shadow and not moment.is_infrared:
            border = int(moment.shadow * self.width)
            points = np.array([[0, 0], [border, 0], [border + self.width // 4, self.height], [0, self.height]])
            shade = np.ones((self.height, self.width), np.float32)
            cv2.fillPoly(shade, [points], 0.5)
            image *= shade[..., None]
        _traffic(image, moment, random)
        if moment.fog:
            image = image * (1 - moment.fog) + 190 * min(moment.light, 1.0) * moment.fog
        _rain(image, moment, random)
        image = _spoilt(image, moment, random)
        image += random.normal(0, moment.noise, image.shape[:2])[..., None]
        if not moment.is_infrared:
            image += random.normal(0, moment.noise / 2, image.shape)
        taken: Picture = np.clip(image, 0, 255).astype(np.uint8)
        minute = moment.seed if moment.clock_min is None else moment.clock_min
        caption = f"CAM {self.seed:03d}  2026-11-28 {minute // 60 % 24:02d}:{minute % 60:02d}"
        cv2.putText(taken, caption, (16, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (250, 250, 250), 2)
        return taken

    def _crop(self, canvas: Any, moment: Moment) -> Any:  # noqa: ANN401 - one to three planes
        left = self.width * (MARGIN + moment.turned[0]) + moment.sway[0]
        top = self.height * (MARGIN + moment.turned[1]) + moment.sway[1]
        where = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
        return cv2.warpAffine(canvas, where, (self.width, self.height), flags=cv2.INTER_LINEAR)


def coded(picture: Picture, crf: int = 26) -> VideoFrame:
    """Return what a decoder makes of a camera's key picture."""
    height, width = picture.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, 25), Fraction(25), 1
    encoder.options = {"preset": "veryfast", "crf": str(crf), "tune": "zerolatency"}
    packets = encoder.encode(VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p"))
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return frames[0]


def at_night(moment: Moment) -> Moment:
    """Return the same moment by lamplight, as a sensor sees it that amplifies."""
    return replace(moment, light=0.12, noise=4.0, shadow=0.0)


def by_infrared(moment: Moment) -> Moment:
    """Return the same moment by the camera's own infrared lamps."""
    return replace(moment, is_infrared=True, noise=5.0, shadow=0.0)


def _paint(random: np.random.Generator, across: int, down: int) -> tuple[Picture, Picture]:
    visible = np.zeros((down, across, 3), np.uint8)
    infrared = np.zeros((down, across, 3), np.uint8)
    horizon = int(down * random.uniform(0.3, 0.5))
    _both(visible, infrared, random, (0, 0, across, horizon), (150, 230), (10, 40))
    _both(visible, infrared, random, (0, horizon, across, down), (60, 140), (50, 120))
    for _ in range(int(random.integers(6, 12))):  # houses, with windows and doors
        x, wide = int(random.integers(0, across)), int(random.uniform(0.08, 0.25) * across)
        top, foot = int(horizon - random.uniform(0.0, 0.3) * down), int(horizon + random.uniform(0.0, 0.2) * down)
        _both(visible, infrared, random, (x, top, x + wide, foot), (40, 220), (40, 220))
        step = int(random.integers(18, 46))
        for column in range(x + step // 3, x + wide - step // 2, step):
            for row in range(top + step // 3, foot - step // 2, step):
                _both(
                    visible, infrared, random, (column, row, column + step // 2, row + step // 2), (20, 120), (20, 200)
                )
    for _ in range(int(random.integers(20, 40))):  # crates, cars, bins, signs
        x, y = int(random.integers(0, across)), int(random.integers(horizon, down))
        wide, high = (int(v) for v in random.integers(14, 90, 2))
        _both(visible, infrared, random, (x, y, x + wide, y + high), (10, 245), (10, 245))
    for _ in range(int(random.integers(8, 20))):  # kerbs, poles, lines
        points = [(int(random.integers(0, across)), int(random.integers(horizon // 2, down))) for _ in range(2)]
        for canvas, grey in ((visible, random.integers(10, 250)), (infrared, random.integers(10, 250))):
            cv2.line(canvas, points[0], points[1], (int(grey),) * 3, int(random.integers(2, 5)), cv2.LINE_AA)
    for _ in range(int(random.integers(0, 4))):  # trees: dark by day, white by infrared
        x, y, size = int(random.integers(0, across)), int(horizon), int(random.integers(40, 130))
        leaves = random.normal(0, size / 2.5, (900, 2))
        for dx, dy in leaves:
            shade = int(random.integers(30, 90))
            place = (int(x + dx), int(y - size / 2 + dy))
            cv2.circle(visible, place, 3, (shade // 2, shade, shade // 3), -1)
            cv2.circle(infrared, place, 3, (shade + 130,) * 3, -1)
    grain = random.normal(0, 6, (down, across, 1))
    return (
        np.clip(cv2.GaussianBlur(visible, (3, 3), 0) + grain, 0, 255).astype(np.uint8),
        np.clip(cv2.GaussianBlur(infrared, (3, 3), 0) + grain, 0, 255).astype(np.uint8),
    )


def _both(
    visible: Picture,
    infrared: Picture,
    random: np.random.Generator,
    box: tuple[int, int, int, int],
    shades: tuple[int, int],
    heat: tuple[int, int],
) -> None:
    """Paint a surface that has a colour by day and a grey of its own by infrared."""
    colour = random.integers(shades[0], shades[1]) + random.integers(-25, 26, 3)
    left, top, right, bottom = box
    cv2.rectangle(visible, (left, top), (right, bottom), [int(c) for c in np.clip(colour, 0, 255)], -1)
    cv2.rectangle(infrared, (left, top), (right, bottom), (int(random.integers(*heat)),) * 3, -1)


def _traffic(image: Any, moment: Moment, random: np.random.Generator) -> None:  # noqa: ANN401 - floats
    height, width = image.shape[:2]
    dim = 1.0 if moment.is_infrared else max(moment.light, 0.15)
    for _ in range(moment.people):
        x, y = int(random.uniform(0, width)), int(random.uniform(0.4, 0.9) * height)
        cloth = [float(c) * dim for c in random.uniform(10, 200, 3)]
        cv2.ellipse(image, (x, y), (14, 44), 0, 0, 360, cloth, -1)
        cv2.circle(image, (x, y - 54), 11, (110 * dim, 140 * dim, 190 * dim), -1)
    for _ in range(moment.cars):
        x, y = int(random.uniform(0, width)), int(random.uniform(0.5, 0.9) * height)
        paint = [float(c) * dim for c in random.uniform(10, 240, 3)]
        cv2.rectangle(image, (x, y - 34), (x + 150, y + 30), paint, -1)
        cv2.rectangle(image, (x + 30, y - 66), (x + 120, y - 34), [c * 0.5 for c in paint], -1)
    if moment.lorry:
        paint = [float(c) * dim for c in random.uniform(60, 240, 3)]
        left = int(random.uniform(0, 1 - moment.lorry) * width)
        cv2.rectangle(
            image, (left, int(0.2 * height)), (left + int(moment.lorry * width), int(0.95 * height)), paint, -1
        )
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(moment.headlights):
        cx, cy = random.uniform(0, width), random.uniform(0.4, 0.9) * height
        away = (x - cx) ** 2 + (y - cy) ** 2
        image += (255 * np.exp(-away / (2 * 40.0**2)) + 60 * np.exp(-away / (2 * 200.0**2)))[..., None]


def _rain(image: Any, moment: Moment, random: np.random.Generator) -> None:  # noqa: ANN401 - floats
    height, width = image.shape[:2]
    shade = 200.0 if moment.is_infrared else 60 + 140 * moment.light
    for _ in range(moment.rain):
        x, y, length = random.integers(0, width), random.integers(0, height), random.integers(15, 60)
        cv2.line(image, (int(x), int(y)), (int(x + length // 6), int(y + length)), (shade,) * 3, 1, cv2.LINE_AA)


def _spoilt(image: Any, moment: Moment, random: np.random.Generator) -> Any:  # noqa: ANN401 - floats
    height, width = image.shape[:2]
    if moment.blur:
        image = cv2.GaussianBlur(image, (0, 0), moment.blur)
    if moment.cover in {"cap", "cloth", "hand", "paint"}:  # too near to be in focus: broad shades, no lines
        shades = random.normal(0, 1, (4, 6, 1)).astype(np.float32) * (1 if moment.cover == "cap" else 14)
        level = {"cap": 2.0, "cloth": 22.0, "hand": 70.0, "paint": 150.0}[moment.cover]
        soft = cv2.resize(shades, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.repeat((level + soft)[..., None], 3, axis=2)
    if moment.cover == "torch":
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        return image + (520 * np.exp(-(x**2 + y**2) / 1.5))[..., None]
    return image
