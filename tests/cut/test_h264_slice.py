"""Slice headers of H.264: read to where they mark references, and written anew there."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.cut.bits import BitReader, se_code
from agent.cut.codec import ParameterSets
from agent.cut.h264 import NalType, parameter_sets
from agent.cut.h264_slice import SliceKind, in_place_of, parse_pps, read_slice, with_marks
from agent.errors import BadInputError
from tests.simulators.h264_source import Recipe, film

RECIPES = [
    Recipe(b_frames=3, x264="b-pyramid=normal:ref=4:weightp=2:weightb=1"),
    Recipe(b_frames=3, profile="main", slices=3, x264="b-pyramid=normal:ref=4:cabac=0"),
    Recipe(height=128, x264="interlaced=1:ref=3"),
]


def slices_of(recipe: Recipe) -> tuple[list[bytes], ParameterSets]:
    """Film, and return the slices of all pictures but IDR ones, and the parameter sets."""
    source = film(recipe)
    nals = [nal for unit in source.units for nal in unit]
    return [nal for nal in nals if nal[0] & 31 == NalType.SLICE], parameter_sets(nals)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.x264)
def test_a_header_says_what_libav_would_read(recipe: Recipe) -> None:
    """Frame numbers rise by one behind each reference, and B pictures use both lists."""
    nals, sets = slices_of(recipe)
    headers = [read_slice(nal, sets) for nal in nals]
    assert {header.kind for header in headers} == ({SliceKind.P, SliceKind.B} if recipe.b_frames else {SliceKind.P})
    for before, after in pairwise(headers):
        if after.frame_number == 1:
            continue  # the first behind an IDR picture
        step = int(
            before.is_reference and (after.frame_number, after.order_low) != (before.frame_number, before.order_low)
        )
        assert after.frame_number == (before.frame_number + step) % (1 << before.sps.frame_number_bits)
    assert all(bool(header.active[1]) == (header.kind is SliceKind.B) for header in headers)
    assert any(header.marks for header in headers) == ("pyramid" in recipe.x264)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.x264)
def test_marks_are_written_anew_and_written_back(recipe: Recipe) -> None:
    """Nothing else changes: the old operations give the old bytes."""
    nals, sets = slices_of(recipe)
    for nal in nals:
        header = read_slice(nal, sets)
        if not header.is_reference:
            continue
        marks = ((1, 2), (1, 0), (4, 0))
        changed = with_marks(nal, header, marks)
        again = read_slice(changed, sets)
        assert replace(again, marks=header.marks, marks_at=header.marks_at) == header
        assert again.marks == marks
        if header.marks is not None:
            assert with_marks(changed, again, header.marks) == nal


def test_a_slice_that_stands_in_for_another_has_its_numbers() -> None:
    """Only an I slice can: others would still refer to what they did."""
    source = film(Recipe(b_frames=3, gop=20, x264="open-gop=1:b-pyramid=normal:ref=3"))
    nals = [nal for unit in source.units for nal in unit]
    sets = parameter_sets(nals)
    headers = [(nal, read_slice(nal, sets)) for nal in nals if nal[0] & 31 == NalType.SLICE]
    intra, entry = next((nal, header) for nal, header in headers if header.kind is SliceKind.I)
    other, replaced = next((nal, header) for nal, header in headers if header.marks)
    written = read_slice(in_place_of(intra, entry, replaced, ((1, 1),)), sets)
    numbers = (written.frame_number, written.order_low, written.order_bottom, written.marks)
    assert numbers == (replaced.frame_number, replaced.order_low, replaced.order_bottom, ((1, 1),))
    assert read_slice(in_place_of(intra, entry, entry, ()), sets) == entry
    with pytest.raises(BadInputError, match="refers to others"):
        in_place_of(other, replaced, entry, ())


@given(st.integers(-(2**30), 2**30))
@example(0)
def test_signed_codes_are_read_back(value: int) -> None:
    """What is written is what is read."""
    bits = se_code(value)
    assert BitReader(int(bits.ljust(72, "0"), 2).to_bytes(9, "big")).se() == value


@given(st.integers(0, 60), st.binary(max_size=60))
def test_hostile_slices_and_sets_raise_bad_input_only(length: int, content: bytes) -> None:
    """Whatever follows the first bytes, a header is read or refused."""
    nals, sets = slices_of(RECIPES[0])
    hostile = nals[3][:length] + content
    pps = next(nal for (kind, _), nal in sets.items() if kind == NalType.PPS)
    for read in (
        lambda: read_slice(hostile or b"\0", sets),
        lambda: read_slice(nals[3], {**sets, (NalType.PPS, 0): pps[: 1 + length % 8] + content}),
        lambda: parse_pps(pps[:3] + content),
    ):
        try:
            read()
        except BadInputError:
            continue
