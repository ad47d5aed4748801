"""H.264 headers: read, renumbered, and hostile."""

from __future__ import annotations

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
from agent.cut.h264_ids import renumber_set, renumber_slice
from agent.errors import BadInputError
from tests.simulators.h264_source import Recipe, film


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
