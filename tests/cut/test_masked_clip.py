"""A masked clip: nothing of what lay under the mask is in it, and everything else is as it must be."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from agent.clock import WallTime
from agent.consent.mask import Masks
from agent.cut.clip import CutOrder
from agent.cut.codes import read_codes
from agent.cut.masks import covered_blocks
from tests.cut.test_codes import scene
from tests.simulators.clips import cut, pictures_of, shown_by_ffmpeg, shown_by_pyav, window_of
from tests.simulators.h264_source import EPOCH, Gray, Recipe, Source, draw, film, film_pictures
from tests.simulators.mp4_reader import read_movie

MASKS: Masks = (((0, 4000), (6000, 4000), (3000, 9999)), ((9000, 9000), (9999, 9000), (9999, 9999), (9000, 9999)))
RECIPES = [
    Recipe(),
    Recipe(gop=250, b_frames=3, x264="b-pyramid=normal:ref=4"),
    Recipe(b_frames=3, gop=20, x264="open-gop=1:b-pyramid=none"),
    Recipe(profile="baseline", gop=12, slices=3),
    Recipe(pix_fmt="yuvj420p", gop=30),
    Recipe(profile="high10", pix_fmt="yuv420p10le"),
    Recipe(profile="high422", pix_fmt="yuv422p"),
    Recipe(profile="high444", pix_fmt="yuv444p"),
    Recipe(x264="interlaced=1"),
]


def hidden(width: int, height: int, masks: Masks = MASKS) -> np.ndarray:
    """Return which pixels are covered."""
    covered = np.zeros((height, width), bool)
    for row, runs in enumerate(covered_blocks(masks, width, height)):
        for begin, end in runs:
            covered[row * 16 : row * 16 + 16, begin * 16 : end * 16] = True
    return covered


def lumas(clip: bytes) -> list[Gray]:
    """Decode a clip's pictures: their luma as it is coded, 8 bits of it."""
    with av.open(io.BytesIO(clip)) as container:
        found = []
        for frame in container.decode(video=0):
            bits, plane = frame.format.components[0].bits, frame.planes[0]
            lines = np.frombuffer(bytes(plane), np.uint16 if bits > 8 else np.uint8).reshape(plane.height, -1)
            found.append((lines[:, : frame.width] >> (bits - 8)).astype(np.uint8))
        return found


def noisy(seed: int, strength: int) -> Source:
    """Film pictures that are alike but under the mask, without a loss: noise that moves there, or nothing."""
    drawn, pictures = np.random.default_rng(seed), []
    for number in range(30):
        picture = draw(number, 192, 112)
        covered = hidden(192, 112)
        picture[covered] = drawn.integers(0, strength, int(covered.sum()), np.uint8)
        pictures.append(picture)
    return film_pictures(pictures, gop=10, is_lossless=True)


def test_what_lies_under_the_mask_changes_no_byte_of_the_clip() -> None:
    """Three cameras see other things there, two of them much noise: one and the same clip."""
    sources = [noisy(1, 255), noisy(2, 255), noisy(3, 1)]
    sizes = [sum(len(chunk.wire) for chunk in source.chunks) for source in sources]
    assert sizes[0] != sizes[1]
    assert sizes[0] > 2 * sizes[2]
    # On a busy machine x264 now and then codes the same pictures in other bits: what comes from one can come from all.
    clips: list[set[bytes]] = [set(), set(), set()]
    for _ in range(10):
        for found, source in zip(clips, sources, strict=True):
            found.add(cut([source], window_of(0.1, 1), masks=MASKS)[0])
        if set.intersection(*clips):
            break
    assert set.intersection(*clips)
    bare = [cut([source], window_of(0.1, 1))[0] for source in sources]
    assert len(set(bare)) == 3


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.profile}-g{r.gop}-b{r.b_frames}-{r.pix_fmt}-{r.x264}")
def test_every_picture_of_the_window_is_there_and_masked(recipe: Recipe) -> None:
    """Exactly the window, all of it encoded anew, flat where it is covered and unharmed elsewhere."""
    source, window = film(recipe), window_of(0.33, 1.9)
    clip, report = cut([source], window, masks=MASKS)
    numbers = [n for moment, n in zip(source.times, source.numbers, strict=True) if moment in window]
    assert (report.pictures, report.copied, report.reencoded, report.masks) == (len(numbers), 0, len(numbers), MASKS)
    masked, bare = lumas(clip), lumas(cut([source], window)[0])
    assert len(masked) == len(bare) == len(numbers)
    covered = hidden(recipe.width, recipe.height)
    for picture, original in zip(masked, bare, strict=True):
        assert np.abs(picture[covered].astype(int) - 128).max() <= 16  # the encoder's, from the visible side
        assert picture[covered].std() < 1
        assert np.abs(picture[~covered].astype(int) - original[~covered]).mean() < 5
    assert shown_by_ffmpeg(clip, recipe.width, recipe.height) == (numbers, "")


@pytest.mark.parametrize("recipe", [RECIPES[0], RECIPES[2]])
def test_no_original_byte_passes(recipe: Recipe) -> None:
    """Neither slices nor parameter sets nor SEI are the camera's."""
    source = film(recipe)
    clip, _ = cut([source], window_of(0, 2.4), masks=MASKS)
    originals = {nal for unit in source.units for nal in unit}
    nals = [nal for sample in read_movie(clip).samples for nal in sample.nals]
    assert {nal[0] & 31 for nal in nals} == {1, 5}
    assert not originals.intersection(nals)
    assert not any(nal[1:] in clip for nal in originals if len(nal) > 8)


def test_after_a_change_of_size_the_mask_follows_the_fractions() -> None:
    """The camera changes its picture inside the window; what is scaled into the clip is masked at the same place."""
    small = film(Recipe(pictures=10, width=176, height=96), run=2, start=WallTime(EPOCH + 400_000_000))
    clip, report = cut([film(Recipe(pictures=10)), small], window_of(0, 1), masks=MASKS)
    assert (report.pictures, report.copied) == (20, 0)
    assert all(picture[hidden(192, 112)].std() < 2 for picture in lumas(clip))


def test_a_whole_picture_can_be_masked() -> None:
    """Nothing is left to see, and the pictures are still counted and timed."""
    everything: Masks = (((0, 0), (10_000, 0), (10_000, 10_000), (0, 10_000)),)
    clip, report = cut([film(Recipe())], window_of(0, 1), masks=everything)
    assert report.pictures == 25
    assert all((picture == 128).all() for picture in lumas(clip))


def test_a_masked_code_is_not_read() -> None:
    """The search for QR codes sees no more than a clip would show."""
    source = film_pictures([scene("transom:claim:ABCD-EFGH", 4)] * 4, gop=4)
    headers, left = (source.header,), ((0, 0), (6000, 0), (6000, 10_000), (0, 10_000))
    assert read_codes(CutOrder(window_of(0, 1), headers), source.chunks) == ["transom:claim:ABCD-EFGH"]
    assert read_codes(CutOrder(window_of(0, 1), headers, masks=(left,)), source.chunks) == []


def test_without_leave_to_copy_everything_is_encoded_anew() -> None:
    """The second try after a failure: the same pictures, no slice of the camera's."""
    source = film(Recipe())
    clip, report = cut([source], window_of(0, 2.4), may_copy=False)
    assert (report.pictures, report.copied, report.masks) == (60, 0, ())
    assert [number for _, number in shown_by_pyav(clip)] == list(range(60))
    assert len(pictures_of(clip)) == 60
    originals = {nal for unit in source.units for nal in unit}
    assert not originals.intersection(nal for sample in read_movie(clip).samples for nal in sample.nals)


def test_the_gray_pictures_of_the_tests_are_filmed_without_a_loss() -> None:
    """What the comparison above stands on: decoded, they are what was filmed."""
    picture: Gray = np.random.default_rng(4).integers(0, 256, (112, 192), np.uint8)
    picture[:32] = draw(5, 192, 112)[:32]
    clip, report = cut([film_pictures([picture] * 3, gop=3, is_lossless=True)], window_of(0, 0.12))
    assert report.copied == 3
    assert all((shown == picture).all() for shown in lumas(clip))
