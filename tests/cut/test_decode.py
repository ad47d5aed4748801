"""Frames come out of the decoder as the camera's encoder meant them, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from msgspec.structs import replace

from agent.cut.codec import PictureKind
from agent.cut.decode import decode_units
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.tracing import Tracing, trace
from tests.simulators.h264_source import Recipe, draw, film, film_pictures

Frames = dict[int, tuple[bytes, ...]]
RECOVERY_POINT = b"\x06\x06\x01\xc4\x80"
OPEN = "open-gop=1:b-pyramid=normal"
RECIPES = [
    Recipe(b_frames=2, gop=20, x264=f"{OPEN}:ref=1"),
    Recipe(b_frames=3, gop=20, x264=f"{OPEN}:ref=3"),
    Recipe(b_frames=3, gop=23, slices=3, x264=f"{OPEN}:ref=4:direct=temporal:weightb=1"),
    Recipe(b_frames=4, gop=20, profile="main", x264=f"{OPEN}:ref=4:cabac=0"),
    Recipe(b_frames=4, gop=18, x264="open-gop=1:b-pyramid=strict:ref=2:weightp=2"),
    Recipe(b_frames=2, gop=20, x264="open-gop=1:b-pyramid=none:ref=4:mixed-refs=1"),
    Recipe(b_frames=3, gop=20, height=128, x264=f"{OPEN}:interlaced=1:ref=3"),
]


def frames_of(units: Sequence[AccessUnit], tracing: Tracing, wanted: Iterable[int]) -> Frames:
    """Decode these units."""
    return {index: tuple(map(bytes, frame.planes)) for index, frame in decode_units(units, tracing, wanted)}


def behind_a_loss(recipe: Recipe) -> tuple[list[AccessUnit], Frames]:
    """Film, and return the units from the first recovery point on, and what all of the stream shows in them."""
    source = film(recipe)
    units = depacketize([source.header], source.chunks)
    whole = replace(trace(units), decode_from=dict.fromkeys(range(len(units)), 0))
    first = next(index for index, unit in enumerate(units) if unit.kind is PictureKind.RECOVERY)
    shown = {index - first: planes for index, planes in frames_of(units, whole, range(first, len(units))).items()}
    return [replace(units[first], is_gap=True), *units[first + 1 :]], shown


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.b_frames}-{recipe.gop}-{recipe.x264}")
def test_from_a_recovery_point_all_that_is_shown_behind_it_is_decoded_to_the_bit(recipe: Recipe) -> None:
    """Whatever references its leading pictures have or are, and whatever the pictures behind it release."""
    units, shown = behind_a_loss(recipe)
    tracing = trace(units)
    late = {index for index, unit in enumerate(units) if unit.time >= units[0].time}
    assert len(late) < len(units)  # there are leading pictures
    assert set(tracing.decode_from) == late
    assert frames_of(units, tracing, late) == {index: shown[index] for index in late}


@pytest.mark.parametrize("recipe", RECIPES[1:4], ids=lambda recipe: f"{recipe.b_frames}-{recipe.gop}-{recipe.x264}")
def test_no_picture_is_shown_in_part(recipe: Recipe) -> None:
    """A slice of which the camera sent half spoils its picture and what is behind it: what is shown is whole."""
    units, shown = behind_a_loss(recipe)
    for hurt in range(1, 10):
        cut = [nal[: len(nal) // 2] if units[hurt].codec.is_slice(nal) else nal for nal in units[hurt].nals]
        damaged = [*units[:hurt], replace(units[hurt], nals=tuple(cut)), *units[hurt + 1 :]]
        tracing = trace(damaged)
        found = frames_of(damaged, tracing, tracing.decode_from)
        assert {index: shown[index] for index in found} == found


@pytest.mark.parametrize(("references", "proven"), [(1, set(range(15, 30))), (4, {15})])
def test_a_recovery_point_that_promises_too_much_is_not_believed(references: int, proven: set[int]) -> None:
    """Pictures behind it that may refer to what is before it are withheld, whatever the camera says."""
    pictures = [*(draw(n, 192, 112) for n in range(15)), *(255 - draw(n, 192, 112)[::-1] for n in range(15))]
    scenes = f"scenecut=100:ref={references}:keyint=250:min-keyint=125:rc-lookahead=10:weightp=0"
    source = film_pictures(pictures, 250, x264=scenes)
    units = depacketize([source.header], source.chunks)
    said = (RECOVERY_POINT, *units[15].nals)
    units[15] = replace(units[15], nals=said, kind=units[15].codec.kind(said), is_gap=True)
    assert units[15].kind is PictureKind.RECOVERY
    tracing = trace(units)
    assert {index for index in tracing.decode_from if index >= 15} == proven
    assert set(frames_of(units, tracing, proven)) == proven
