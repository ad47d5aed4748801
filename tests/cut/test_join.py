"""Segments under different parameter sets become one stream."""

from __future__ import annotations

import pytest

from agent.clock import WallTime, Window
from agent.cut.h264 import parameter_sets, parse_slice
from agent.cut.join import CodedPicture, CodedSegment, join_segments, kept_nals, samples_of
from agent.cut.known_codecs import H264
from agent.errors import BadInputError
from tests.simulators.h264_source import Recipe, film


def segment(recipe: Recipe, *, is_copy: bool) -> CodedSegment:
    """Take a recipe's pictures as one segment."""
    source = film(recipe)
    pictures = tuple(CodedPicture(n, n == 0, kept_nals(H264, nals)) for n, nals in enumerate(source.units))
    return CodedSegment(is_copy, pictures, parameter_sets(source.units[0]))


def test_the_first_copied_segment_passes_untouched() -> None:
    """The re-encoded head gets other ids; what the camera sent stays as it is."""
    head = segment(Recipe(pictures=2, profile="main"), is_copy=False)
    inside = segment(Recipe(pictures=3), is_copy=True)
    pictures, sets = join_segments([head, inside], H264, {})
    assert pictures[2:] == list(inside.pictures)
    assert len(sets) == 4
    assert parse_slice(pictures[0].nals[-1]).pps_id in range(15, 31)
    assert all(sets[key] == nal for key, nal in inside.sets.items())


def test_equal_sets_share_their_ids() -> None:
    """Two re-encoded edges by the same encoder need one pair of sets."""
    edge = segment(Recipe(pictures=2, profile="main"), is_copy=False)
    _, sets = join_segments([edge, segment(Recipe(pictures=3), is_copy=True), edge], H264, {})
    assert len(sets) == 4


def test_a_part_without_copies_leaves_the_camera_its_ids() -> None:
    """The parts of one edge name the same sets alike, whether the camera's stand beside them or in another part."""
    edge, inside = segment(Recipe(pictures=2, profile="main"), is_copy=False), segment(Recipe(pictures=3), is_copy=True)
    alone, own = join_segments([edge], H264, inside.sets)
    beside, every = join_segments([edge, inside], H264, {})
    assert alone == beside[:2]
    assert every == {**own, **inside.sets}
    assert len(own) == 2


def test_what_is_coded_like_the_camera_shares_its_ids() -> None:
    """Sets that are alike are one, though no picture of the camera is here."""
    edge = segment(Recipe(pictures=2), is_copy=False)
    assert join_segments([edge], H264, edge.sets) == (list(edge.pictures), edge.sets)


def test_too_many_different_sets_are_an_error() -> None:
    """There are sixteen PPS ids of the right length for id 0."""
    segments = [segment(Recipe(pictures=1, x264=f"chroma-qp-offset={n - 9}"), is_copy=True) for n in range(18)]
    with pytest.raises(BadInputError):
        join_segments(segments, H264, {})


def test_only_pictures_and_harmless_sei_are_kept() -> None:
    """Delimiters, sets, filler, user data and other layers stay out of the file."""
    nals = [
        b"\x09\x10",
        b"\x67\x01",
        b"\x68\x01",
        b"\x06\x05\x10",
        b"\x06\x01\x01",
        b"\x65\x88",
        b"\x0c\xff",
        b"\x74\x01",
    ]
    assert kept_nals(H264, nals) == (b"\x06\x01\x01", b"\x65\x88")


def test_times_start_at_zero_and_equal_ones_are_moved_apart() -> None:
    """Players need one picture per time; the last one stays as long as the one before it, or until the window ends."""
    pictures = [CodedPicture(n, n == 0, (b"\x65\x88",)) for n in range(4)]
    times = [WallTime(10**9), WallTime(10**9 + 80_000_000), WallTime(10**9 + 40_000_000), WallTime(10**9 + 80_000_000)]
    samples, last = samples_of(pictures, times, Window(WallTime(0), WallTime(2 * 10**9)))
    assert [sample.shown_at for sample in samples] == [0, 7200, 3600, 7201]
    assert last == 1
    _, last = samples_of(pictures[:1], times[:1], Window(WallTime(0), WallTime(10**9 + 10_000_000)))
    assert last == 900
