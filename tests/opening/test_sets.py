"""Parameter sets of several parts in one movie."""

from __future__ import annotations

import pytest

from agent.cut.known_codecs import H264, H265
from agent.errors import BadInputError
from agent.opening.clip_boxes import take_apart
from agent.opening.sets import leader_of, rewrite, sets_of, unite, with_lengths
from tests.simulators.logged_streams import Sort, film
from tests.simulators.parted_clips import cut_in_parts


def sets_from(sort: Sort) -> dict[tuple[int, int], bytes]:
    """Read the sets of a clip of this sort of stream."""
    track = take_apart(cut_in_parts(film(sort), (0.1, 0.4)).clips[0]).video
    return sets_of(H264 if track.entry == "avc1" else H265, track.configuration)


MAIN = sets_from(Sort(profile="main", seconds=2.0))
HIGH = sets_from(Sort(profile="high", b_frames="two", seconds=2.0))
HEVC = sets_from(Sort(codec="h265", seconds=2.0))


def test_reads_both_configurations() -> None:
    """Each clip has the sets of its kind; what is written of them is what was read."""
    assert {kind for kind, _ in MAIN} == {7, 8}
    assert {kind for kind, _ in HEVC} == {32, 33, 34}
    for codec, sets in ((H264, MAIN), (H265, HEVC)):
        assert codec.clip is not None
        assert sets_of(codec, codec.clip.configuration(sets)) == sets


@pytest.mark.parametrize("cut", [5, 7, 20])
def test_a_configuration_that_is_cut_off_is_refused(cut: int) -> None:
    """Lengths that reach over the end are lies, or leave sets that no reader takes."""
    assert H265.clip is not None
    with pytest.raises(BadInputError):
        sets_of(H265, H265.clip.configuration(HEVC)[:cut])


def test_sets_that_are_alike_are_shared() -> None:
    """Nothing is renumbered for a second part with the same sets, or with fewer of them."""
    union = dict(MAIN)
    assert dict(unite(H264, union, MAIN).ids) == {}
    assert dict(unite(H264, union, dict(list(MAIN.items())[:2])).ids) == {}
    assert union == MAIN


def test_sets_that_differ_get_ids_of_their_own() -> None:
    """All sets of both parts are there, a third part finds its own again, and none has lost its place."""
    union: dict[tuple[int, int], bytes] = {}
    assert not unite(H264, union, MAIN).ids
    ids = unite(H264, union, HIGH).ids
    assert ids
    assert {key: union[key] for key in MAIN} == MAIN
    before = dict(union)
    assert unite(H264, union, MAIN).ids == {}
    assert len(union) <= len(before) + len(HIGH)


def test_ids_run_out_and_leave_the_union_as_it_was() -> None:
    """Where no id is left the parts cannot share a movie."""
    union: dict[tuple[int, int], bytes] = {(7, number): b"taken" for number in range(32)}
    before = dict(union)
    with pytest.raises(BadInputError, match="too many"):
        unite(H264, union, MAIN)
    assert union == before


def test_only_h265_repeats_its_sets() -> None:
    """H.264 has them in the configuration alone."""
    assert unite(H264, {}, MAIN).leader == b""
    assert unite(H265, {}, HEVC).leader == leader_of(HEVC) != b""


def test_units_that_do_not_fit_are_refused() -> None:
    """A length that reaches over the end, and an empty unit."""
    for payload in (b"\0\0\0\5abc", b"\0\0\0\0", b"\0\0"):
        with pytest.raises(BadInputError, match="do not fit"):
            rewrite(H264, payload, {(8, 0): 15})
    assert rewrite(H264, with_lengths([b"\x06\x01"]), {(8, 0): 15}) == b""
