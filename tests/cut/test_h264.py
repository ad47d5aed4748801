"""H.264 headers: read, renumbered, and hostile."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cut.bits import BitReader, escape, ue_code, unescape
from agent.cut.h264 import (
    NalType,
    active_sps,
    is_harmless_sei,
    is_recovery_point,
    parameter_sets,
    parse_slice,
    parse_sps,
    pps_sps_id,
    set_key,
)
from agent.cut.h264_ids import avc_configuration, fresh_ids, renumber_set, renumber_slice
from agent.errors import BadInputError
from tests.simulators.h264_source import Recipe, film, luma, read_number


def test_an_sps_says_what_the_encoder_was_told() -> None:
    """Size (cropped), profile, references and chroma format come out of the SPS."""
    source = film(Recipe(width=192, height=108, pictures=2, x264="ref=3"))
    sets = parameter_sets(source.units[0])
    sps = parse_sps(next(nal for (kind, _), nal in sets.items() if kind == NalType.SPS))
    assert (sps.width, sps.height, sps.profile, sps.references_max) == (192, 108, 100, 3)
    assert (sps.chroma_format, sps.bit_depth_luma, sps.is_progressive) == (1, 8, True)


def test_an_sps_with_scaling_lists_is_read_to_its_end() -> None:
    """Custom quantisation matrices stand before the size."""
    source = film(Recipe(pictures=2, profile="high", x264="cqm=jvt:8x8dct=1"))
    sets = parameter_sets(source.units[0])
    assert active_sps(sets, source.units[0][-1]).width == 192


def test_an_interlaced_sps_is_known_as_such() -> None:
    """Interlaced streams are never copied."""
    source = film(Recipe(pictures=2, height=128, x264="interlaced=1"))
    sps = active_sps(parameter_sets(source.units[0]), source.units[0][-1])
    assert (sps.is_progressive, sps.height) == (False, 128)


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_renumbered_pictures_decode_to_the_same_pixels(profile: str) -> None:
    """CAVLC and CABAC slices survive a PPS id that is eight bits longer, bit by bit."""
    source = film(Recipe(pictures=12, profile=profile, slices=2))
    sets = parameter_sets(source.units[0])
    ids = fresh_ids(sets, sets)
    assert not set(ids.values()) & {0}
    before, after = [], []
    for unit in source.units:
        slices = [nal for nal in unit if nal[0] & 31 in (1, 5)]
        before += slices
        after += [renumber_slice(nal, ids) for nal in slices]
    assert all(len(unescape(new)) == len(unescape(old)) + 1 for old, new in zip(before, after, strict=True))
    renumbered = [renumber_set(nal, ids) for nal in sets.values()]
    assert [set_key(nal)[1] for nal in renumbered] == [ids[key] for key in sets]
    assert pps_sps_id(next(nal for nal in renumbered if nal[0] & 31 == NalType.PPS)) == ids[NalType.SPS, 0]
    assert _pixels(list(sets.values()) + before) == _pixels(renumbered + after)
    assert len(_pixels(renumbered + after)) == 12


def _pixels(nals: list[bytes]) -> list[bytes]:
    stream = b"".join(b"\0\0\0\1" + nal for nal in nals)
    with av.open(io.BytesIO(stream), "r", format="h264") as container:
        pictures = [luma(frame) for frame in container.decode(video=0)]
    assert [read_number(picture) for picture in pictures] == list(range(len(pictures)))
    return [picture.tobytes() for picture in pictures]


def test_ids_run_out() -> None:
    """When no PPS id of the right length is free, there is an error, not a collision."""
    source = film(Recipe(pictures=1))
    sets = parameter_sets(source.units[0])
    taken = [*sets, *((NalType.PPS, number) for number in range(15, 31))]
    with pytest.raises(BadInputError, match="no parameter set ids left"):
        fresh_ids(taken, sets)


def test_avcc_holds_every_set() -> None:
    """The record names the profile and lists each set with its length."""
    source = film(Recipe(pictures=1))
    sets = parameter_sets(source.units[0])
    record = avc_configuration(sets)
    assert record[:5] == b"\1" + next(nal for (kind, _), nal in sets.items() if kind == NalType.SPS)[1:4] + b"\xff"
    assert all(len(nal).to_bytes(2, "big") + nal in record for nal in sets.values())
    with pytest.raises(BadInputError):
        avc_configuration({})


def test_a_recovery_point_is_found_behind_other_messages() -> None:
    """The SEI may hold several messages; recovery_frame_cnt must be 0."""
    assert is_recovery_point(b"\x06\x01\x02\xaa\xbb\x06\x01\xc4\x80")
    assert not is_recovery_point(b"\x06\x06\x01\x44\x80")  # recovery_frame_cnt 1
    assert not is_recovery_point(b"\x06\xff\xff\xff")


def test_sei_that_may_tell_of_other_times_is_known() -> None:
    """User data is noticed behind a harmless message, too."""
    assert is_harmless_sei(b"\x06\x01\x01\xaa\x06\x01\xc4\x80")
    assert not is_harmless_sei(b"\x06\x05\x01\xaa\x80")
    assert not is_harmless_sei(b"\x06\x01\x01\xaa\x05\x02\xbb\xcc\x80")


@given(st.integers(0, 2**32 - 2))
def test_exp_golomb_codes_are_read_back(value: int) -> None:
    """What is written is what is read."""
    bits = ue_code(value)
    reader = BitReader(int(bits.ljust(72, "0"), 2).to_bytes(9, "big"))
    assert reader.ue() == value
    assert reader.position == len(bits)


@given(st.lists(st.sampled_from([b"\0", b"\0\0", b"\1", b"\2", b"\3", b"\xff"])).map(b"".join))
def test_escaping_keeps_start_codes_out_and_content_in(raw: bytes) -> None:
    """No start code is left, and taking the escapes out gives the same bytes back."""
    escaped = escape(raw)
    assert unescape(escaped) == raw
    assert not any(code in escaped for code in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=80))
def test_hostile_headers_raise_bad_input_only(content: bytes) -> None:
    """Whatever the bytes are, they are read or refused."""
    for prefix in (b"", b"\x67", b"\x67\x64\x00\x28", b"\x68", b"\x65", b"\x06"):
        nal = prefix + content
        for read in (parse_sps, parse_slice, set_key, pps_sps_id):
            try:
                read(nal)
            except BadInputError:
                continue
        is_recovery_point(nal)
        is_harmless_sei(nal)
        try:
            renumber_slice(nal, {(NalType.PPS, number): 300 for number in range(256)})
            renumber_set(nal, {(NalType.PPS, 0): 15})
        except BadInputError:
            continue
