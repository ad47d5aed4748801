"""H.265 headers: read, and hostile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cut import h265
from agent.cut.codec import PictureKind
from agent.cut.h265_ids import as_first, fresh_ids, renumber_set, renumber_slice
from agent.errors import BadInputError
from tests.simulators.h265_source import H265Recipe, film_h265, kind


def test_an_sps_says_what_the_encoder_was_told() -> None:
    """Size (cropped), profile, level, depth and chroma format come out of the SPS."""
    source = film_h265(H265Recipe(pictures=2, width=188, height=108, pix_fmt="yuv420p10le"))
    form = h265.picture_form(h265.parameter_sets(source.units[0]), source.units[0][-1])
    assert (form.width, form.height, form.profile, form.level) == (188, 108, 2, "1.0")
    assert (form.chroma_format, form.bit_depth, form.is_progressive, form.why_not_copied) == (1, 10, True, "")
    assert form.references_max >= 1


def test_an_sps_with_temporal_layers_is_read_to_its_end() -> None:
    """Profiles and levels of sub-layers stand before the size."""
    source = film_h265(H265Recipe(pictures=8, b_frames=3, x265="temporal-layers=2"))
    nal = next(nal for nal in source.units[0] if kind(nal) == 33)
    sps = h265.parse_sps(nal)
    assert (sps.sub_layers, sps.width, sps.height) == (2, 192, 112)


def test_fields_are_known_as_such() -> None:
    """Interlaced streams are never copied."""
    source = film_h265(H265Recipe(pictures=2, height=128, x265="interlace=tff"))
    form = h265.picture_form(h265.parameter_sets(source.units[0]), source.units[0][-1])
    assert (form.is_progressive, form.why_not_copied) == (False, "interlaced pictures")


def test_kinds_tell_what_a_picture_refers_to() -> None:
    """IDR and BLA close, CRA opens, RASL and RADL lead; a mixture is none of it."""
    open_source = film_h265(H265Recipe(gop=12, b_frames=3, is_open=True))
    kinds = [h265.picture_kind(unit) for unit in open_source.units]
    assert kinds[0] is PictureKind.CLOSED
    assert {PictureKind.OPEN, PictureKind.SKIPPED, PictureKind.OTHER} < set(kinds)
    radl = film_h265(H265Recipe(gop=12, b_frames=3, x265="radl=3"))
    assert PictureKind.LEADING in {h265.picture_kind(unit) for unit in radl.units}
    assert h265.picture_kind([bytes([16 << 1, 1, 0x80])]) is PictureKind.CLOSED
    for nals in ([bytes([1 << 1, 1, 0x80]), bytes([20 << 1, 1, 0])], [bytes([22 << 1, 1, 0x80])], []):
        with pytest.raises(BadInputError):
            h265.picture_kind(nals)


def test_other_layers_are_nobodys() -> None:
    """Only the lowest layer is looked at; RTP's own types are no NAL units."""
    assert h265.is_known(b"\x02\x01\x80")
    assert not any(
        map(h265.is_known, (b"", b"\x02\x01", b"\x02\x09\x80", b"\x03\x01\x80", b"\x62\x01\x80", b"\x02\x00\x80"))
    )


def test_sei_that_may_tell_of_other_times_is_known() -> None:
    """User data and the time of day are noticed behind a harmless message, too."""
    assert h265.is_harmless_sei(b"\x4e\x01\x01\x01\xaa\x06\x01\xc4\x80")
    assert not h265.is_harmless_sei(b"\x4e\x01\x01\x01\xaa\x05\x02\xbb\xcc\x80")
    assert not h265.is_harmless_sei(b"\x4e\x01\x88\x01\xaa\x80")


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=80))
def test_hostile_headers_raise_bad_input_only(content: bytes) -> None:
    """Whatever the bytes are, they are read or refused."""
    for prefix in (b"", b"\x40\x01", b"\x42\x01", b"\x42\x01\x01" + bytes(12), b"\x44\x01", b"\x26\x01", b"\x2a\x01"):
        nal = prefix + content
        for read in (h265.parse_sps, h265.slice_pps_span, h265.set_key, h265.pps_sps_id, h265.sps_id_position):
            try:
                read(nal)
            except BadInputError:
                continue
        h265.is_harmless_sei(nal)
        if h265.is_known(nal):
            assert len(as_first([nal])) == 1
        for change in (renumber_slice, renumber_set):
            try:
                change(nal, {(kind, number): number + 15 for kind in (32, 33, 34) for number in range(64)})
                fresh_ids([], h265.parameter_sets([nal]))
            except BadInputError:
                continue
