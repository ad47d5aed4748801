"""H.265 under other ids decodes to the same pixels."""

from __future__ import annotations

import io

import av
import pytest

from agent.cut.bits import annex_b, unescape
from agent.cut.h265 import NalType, parameter_sets, pps_sps_id, set_key
from agent.cut.h265_ids import as_first, fresh_ids, hevc_configuration, renumber_set, renumber_slice
from agent.errors import BadInputError
from tests.simulators.h264_source import luma, read_number
from tests.simulators.h265_source import H265Recipe, film_h265, kind


def _pixels(nals: list[bytes]) -> list[bytes]:
    with av.open(io.BytesIO(annex_b(nals)), "r", format="hevc") as container:
        pictures = [luma(frame) for frame in container.decode(video=0)]
    assert [read_number(picture) for picture in pictures] == list(range(len(pictures)))
    return [picture.tobytes() for picture in pictures]


@pytest.mark.parametrize("more", ["", "slices=2", "wpp=1:sao=1:ctu=32", "weightp=1:ref=3:tskip=1"])
def test_renumbered_pictures_decode_to_the_same_pixels(more: str) -> None:
    """Slices survive a PPS id that is eight bits longer, bit by bit, with entry points behind it too."""
    source = film_h265(H265Recipe(pictures=12, b_frames=2, x265=more))
    sets = parameter_sets(source.units[0])
    ids = fresh_ids(sets, sets)
    assert not set(ids.values()) & {0}
    before, after = [], []
    for unit in source.units:
        slices = [nal for nal in unit if kind(nal) < 32]
        before += slices
        after += [renumber_slice(nal, ids) for nal in slices]
    assert all(len(unescape(new)) == len(unescape(old)) + 1 for old, new in zip(before, after, strict=True))
    renumbered = [renumber_set(nal, ids) for nal in sets.values()]
    assert [set_key(nal)[1] for nal in renumbered] == [ids[key] for key in sets]
    assert pps_sps_id(next(nal for nal in renumbered if kind(nal) == NalType.PPS)) == ids[NalType.SPS, 0]
    assert _pixels(list(sets.values()) + before) == _pixels(renumbered + after)
    assert len(_pixels(renumbered + after)) == 12


def test_ids_run_out() -> None:
    """Ids from 7 on have no code of the right length within the standard's limit."""
    with pytest.raises(BadInputError, match="no parameter set ids left"):
        fresh_ids([], {(NalType.PPS, 7): b""})
    assert fresh_ids([], {(NalType.PPS, 6): b""}) == {(NalType.PPS, 6): 63}


def test_a_copied_run_begins_with_a_picture_without_leading_ones() -> None:
    """CRA and BLA become BLA_N_LP, an IDR picture stays; the flag that hides earlier pictures is taken back."""
    assert as_first([b"\x2a\x01\xa5\x00\x00\x03"]) == (b"\x24\x01\xa5\x00\x00\x03",)
    assert as_first([b"\x20\x01\xe5\x11", b"\x20\x01\x65\x11"]) == (b"\x24\x01\xa5\x11", b"\x24\x01\x25\x11")
    assert as_first([b"\x26\x01\xa5\x11"]) == (b"\x26\x01\xa5\x11",)
    assert as_first([b"\x28\x01\xe5\x11"]) == (b"\x28\x01\xa5\x11",)
    assert as_first([b"\x28\x01\x40\x00\x02"]) == (b"\x28\x01\x00\x00\x03\x02",)
    assert as_first([b"\x4e\x01\x40"]) == (b"\x4e\x01\x40",)


def test_hvcc_holds_every_set() -> None:
    """The record names profile and level and lists each set with its length, in arrays that are complete."""
    sets = parameter_sets(film_h265(H265Recipe(pictures=1)).units[0])
    record = hevc_configuration(sets)
    sps = unescape(next(nal for (number, _), nal in sets.items() if number == NalType.SPS))
    assert record[:13] == b"\1" + sps[3:15]
    assert record[21] & 3 == 3
    assert record[22] == 3
    assert [record[at] for at in (23,)] == [0x80 | NalType.VPS]
    assert all(len(nal).to_bytes(2, "big") + nal in record for nal in sets.values())
    with pytest.raises(BadInputError):
        hevc_configuration({})
