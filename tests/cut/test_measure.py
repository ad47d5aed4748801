"""What is measured of a key picture: numbers that follow the lens and not the light, and a snapshot that fits."""

from __future__ import annotations

from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest
from av.video.frame import VideoFrame

from agent.clock import WallTime
from agent.cut.clip import CutOrder
from agent.cut.look import EDGE_BYTES, NOTHING_KNOWN, SAMPLES, LookOrder, Signs
from agent.cut.measure import look, measure, snapshot
from agent.errors import BadInputError
from tests.simulators.clips import window_of
from tests.simulators.h264_source import Recipe, Source, film, film_pictures, without_packets
from tests.simulators.h265_source import H265Recipe, film_h265
from tests.simulators.jpeg_source import JpegRecipe, film_jpeg
from tests.simulators.watched_scene import Moment, Scene, at_night, by_infrared, coded

SCENE = Scene(3)
DAY = Moment(seed=1)


def seen(moment: Moment, asked: LookOrder = NOTHING_KNOWN) -> Signs:
    """Take a picture, send it through a coder, and measure it."""
    return measure(coded(SCENE.picture(moment), moment.crf), WallTime(5), asked)


def test_a_picture_says_what_it_is() -> None:
    """Size, time, and sketches of their sizes."""
    signs = seen(DAY)
    assert (signs.width, signs.height, signs.taken) == (960, 540, 5)
    assert (len(signs.edges), len(signs.samples), signs.likeness, signs.changed) == (EDGE_BYTES, SAMPLES, (), None)


def test_the_same_picture_gives_the_same_numbers() -> None:
    """Nothing is random; and compared with itself it is itself."""
    frame = coded(SCENE.picture(DAY))
    first = measure(frame, WallTime(5), NOTHING_KNOWN)
    again = measure(frame, WallTime(5), LookOrder((first.edges, first.edges), first.samples))
    assert again == msgspec.structs.replace(first, likeness=(1000, 1000), changed=0, changed_within=0)


@pytest.mark.parametrize(
    "moment", [at_night(DAY), by_infrared(DAY), replace(DAY, shadow=0.5), replace(DAY, rain=300), replace(DAY, fog=0.5)]
)
def test_light_and_weather_leave_the_scene_what_it_is(moment: Moment) -> None:
    """The same lines by lamps, by infrared, in sun, rain and fog; no sign of a lens out of focus."""
    day = seen(DAY)
    signs = seen(replace(moment, seed=9), LookOrder((day.edges,)))
    assert signs.likeness[0] > 500
    assert day.sharpness
    assert signs.sharpness
    assert signs.sharpness > 0.8 * day.sharpness


def test_another_view_is_another_scene() -> None:
    """A twentieth of the picture's width is enough; a mast that sways is not."""
    known = LookOrder((seen(DAY).edges,))
    assert seen(replace(DAY, seed=9, turned=(0.05, 0.02)), known).likeness[0] < 420
    assert seen(replace(DAY, seed=9, sway=(4, 3)), known).likeness[0] > 900


def test_what_covers_the_lens_leaves_no_detail() -> None:
    """Dark or bright, and however it is lit; the caption that the camera writes over it does not count."""
    for cover in ("cap", "cloth", "hand", "paint", "torch"):
        assert seen(replace(DAY, cover=cover)).detail <= 16
    assert seen(replace(DAY, cover="cap")).lightest <= 25
    assert seen(replace(DAY, cover="torch")).white > 900
    assert seen(at_night(DAY)).detail > 100


def test_focus_shows_in_sharpness() -> None:
    """By day and by infrared."""
    for light in (DAY, by_infrared(DAY)):
        sharp, soft = seen(light).sharpness, seen(replace(light, blur=4)).sharpness
        assert sharp
        assert soft
        assert soft < 0.6 * sharp


def test_noise_tells_a_live_picture_from_one_that_stands_still() -> None:
    """Even the little that is left of it by day after strong compression."""
    quiet = Moment(seed=1, noise=0.3, crf=34)
    before = seen(quiet).samples
    assert seen(quiet, LookOrder((), before)).changed == 0
    later = seen(replace(quiet, seed=1 + 24 * 60), LookOrder((), before))
    assert (later.changed or 0) > 200
    assert (later.changed_within or 0) > 100


def test_a_clock_that_goes_on_in_a_still_picture_changes_few_parts_of_it() -> None:
    """Most parts of it are what they were, to the step."""
    still = replace(DAY, clock_min=700)
    before = seen(still).samples
    later = seen(replace(still, clock_min=723), LookOrder((), before))
    assert later.changed
    assert later.changed_within == 0


def test_infrared_has_no_colour() -> None:
    """What a picture is learnt as depends on it."""
    assert seen(by_infrared(DAY)).colour <= 1
    assert seen(DAY).colour > 1


@pytest.mark.parametrize("form", ["yuv420p10le", "yuvj422p", "yuv444p", "gray", "nv12"])
@pytest.mark.parametrize("size", [(2, 2), (16, 16), (7, 5), (352, 288), (1000, 4)])
def test_any_picture_can_be_measured(form: str, size: tuple[int, int]) -> None:
    """Whatever its format, size and shape."""
    gray = np.random.default_rng(1).integers(0, 255, (size[1], size[0]), np.uint8)
    frame = VideoFrame.from_ndarray(gray, format="gray").reformat(format=form)
    signs = measure(frame, WallTime(0), LookOrder((bytes(EDGE_BYTES),), bytes(SAMPLES)))
    assert (signs.width, signs.height) == size
    assert snapshot(frame, 100_000).startswith(b"\xff\xd8")


def test_a_snapshot_fits_its_limit() -> None:
    """Smaller and coarser until it does; none if it cannot."""
    frame = coded(SCENE.picture(DAY), 18)
    large = snapshot(frame, 512 * 1024)
    small = snapshot(frame, len(large) // 4)
    assert 0 < len(small) <= len(large) // 4
    assert snapshot(frame, 100) == b""
    shown = cv2.imdecode(np.frombuffer(large, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (540, 960, 3)


def test_masks_are_in_the_snapshot_and_not_in_the_measure() -> None:
    """A painted left half is one grey; what is judged is the whole picture."""
    source = film_pictures([SCENE.picture(DAY)[..., 1].copy()] * 2, gop=1)
    half = ((0, 0), (5000, 0), (5000, 10_000), (0, 10_000))
    asked = LookOrder(snapshot_bytes_max=400_000)
    masked = look(CutOrder(window_of(0, 1), (source.header,), masks=(half,)), asked, source.chunks)
    plain = look(CutOrder(window_of(0, 1), (source.header,)), asked, source.chunks)
    assert masked.signs == plain.signs
    shown = cv2.imdecode(np.frombuffer(masked.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown[:, :470].std() < 1
    assert shown[:, 490:].std() > 10


@pytest.mark.parametrize(
    "source", [film(Recipe(pictures=3)), film_h265(H265Recipe(pictures=3)), film_jpeg(JpegRecipe(pictures=3))]
)
def test_every_codec_that_is_cut_is_looked_at(source: Source) -> None:
    """By its first key picture; without an order for a snapshot there is none."""
    answer = look(CutOrder(window_of(0, 1), (source.header,)), NOTHING_KNOWN, source.chunks)
    assert answer.signs.width > 0
    assert answer.jpeg == b""


def test_without_a_key_picture_there_is_nothing_to_judge() -> None:
    """No chunks, or its first packet lost."""
    source = film(Recipe(pictures=3, width=640, height=480))
    for chunks in ((), without_packets(source, [3]).chunks):
        with pytest.raises(BadInputError, match="no key picture could be decoded"):
            look(CutOrder(window_of(0, 1), (source.header,)), NOTHING_KNOWN, chunks)
