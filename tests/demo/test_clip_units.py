"""Slices are known again by their marks, also under another number; what does not belong in a sample is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cut.h264 import NalType
from agent.cut.h264_ids import renumber_slice
from agent.demo.clip_units import What, mark_of, marks_of, units_of
from agent.errors import BadInputError
from tests.simulators.logged_streams import Sort, encode

PICTURES = encode(Sort(profile="main", slices=3, b_frames="two", seconds=2.0)).pictures
SLICES = [nal for picture in PICTURES for nal in picture.nals if nal[0] & 31 in (1, 5)]


def sample(*nals: bytes) -> bytes:
    """Put NAL units behind their lengths."""
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def test_a_renumbered_slice_keeps_its_second_mark_only() -> None:
    """For every slice, by the cutter's own renumbering."""
    for nal in SLICES:
        for number in (15, 22, 30):
            before, after = mark_of("h264", nal), mark_of("h264", renumber_slice(nal, {(NalType.PPS, 0): number}))
            assert before.without_id == after.without_id
            assert before.whole != after.whole


def test_every_slice_has_marks_of_its_own() -> None:
    """No two slices of a stream are alike, with or without the number, and a changed bit behind it changes both."""
    marks = [mark_of("h264", nal) for nal in SLICES]
    assert len({mark.whole for mark in marks}) == len({mark.without_id for mark in marks}) == len(SLICES)
    changed = mark_of("h264", SLICES[0][:-2] + bytes([SLICES[0][-2] ^ 16]) + SLICES[0][-1:])
    assert {changed.whole, changed.without_id}.isdisjoint({marks[0].whole, marks[0].without_id})


def test_h265_slices_keep_their_mark_under_another_number_and_as_another_kind_of_entry() -> None:
    """A CRA picture that became a BLA one, under parameter set 15 instead of 0, is still the camera's."""
    content = bytes(range(1, 60))
    cra = bytes([21 << 1, 1, 0b1_0_1_00000]) + content  # first slice, no_output_of_prior_pics 0, set 0: ue is "1"
    bla = bytes([18 << 1, 1, 0b1_1_000010, 0b000_00000]) + content  # the same, no_output 1, set 15: ue is "000010000"
    assert mark_of("h265", cra).without_id == mark_of("h265", bla).without_id
    assert mark_of("h265", bytes([1 << 1, 1]) + cra[2:]).without_id != mark_of("h265", cra).without_id


def test_the_units_of_a_sample_are_told_apart() -> None:
    """Slices and what is about showing them may be there; sets are known; the rest does not belong in a clip."""
    recovery, user_data = b"\x06\x06\x01\xc4\x80", b"\x06\x05\x11" + bytes(16) + b"!\x80"
    found = units_of("h264", sample(SLICES[0], recovery, user_data, b"\x67abc", b"\x09\xf0", b"\x0c\xff\x80"))
    assert [unit.what for unit in found] == [
        What.SLICE, What.SHOWING, What.OTHER, What.SET, What.OTHER, What.OTHER,
    ]  # fmt: skip
    assert units_of("h264", sample(b"\x06\x06\x01\xc4\x80hidden"))[0].what is What.OTHER
    brightness = bytes([144, 4, 0, 9, 0, 9, 0x80])
    assert units_of("h264", sample(b"\x06" + brightness))[0].what is What.OTHER
    assert units_of("h265", sample(b"\x4e\x01" + brightness))[0].what is What.SHOWING
    kinds = [unit.what for unit in units_of("h265", sample(b"\x40\x01x", b"\x26\x01x", b"\x46\x01x"))]
    assert kinds == [What.SET, What.SLICE, What.OTHER]


def test_a_jpeg_picture_is_its_scan() -> None:
    """Tables may be written anew; nothing may stand behind the end."""
    head, scan = b"\xff\xd8\xff\xdb\x00\x05abc\xff\xda\x00\x04xy", b"scan" * 50
    assert [unit.content for unit in units_of("jpeg", head + scan + b"\xff\xd9")] == [scan]
    other = b"\xff\xd8\xff\xdb\x00\x04ab\xff\xda\x00\x04xy" + scan + b"\xff\xd9"
    assert marks_of("jpeg", [head + scan + b"\xff\xd9"]) == marks_of("jpeg", [other])
    for broken in (b"", b"\xff\xd8\xff\xd9", head + scan, head + scan + b"\xff\xd9more\xff\xd9"):
        with pytest.raises(BadInputError):
            units_of("jpeg", broken)


@pytest.mark.parametrize("broken", [sample(SLICES[0])[:-1], sample(SLICES[0]) + b"\0", sample(SLICES[0]) + bytes(4)])
def test_units_must_fill_their_sample(broken: bytes) -> None:
    """A byte too few or too many is no sample."""
    with pytest.raises(BadInputError):
        units_of("h264", broken)


@given(codec=st.sampled_from(["h264", "h265", "jpeg"]), content=st.binary(min_size=1, max_size=90))
def test_any_bytes_have_a_mark_or_are_bad_input(codec: str, content: bytes) -> None:
    """Nothing else is raised."""
    assert mark_of(codec, content).whole
    try:
        units_of(codec, content)
    except BadInputError:
        return
