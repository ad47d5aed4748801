"""H.264 under other ids decodes to the same pixels."""

from __future__ import annotations

import io

import av
import pytest

from agent.cut.bits import unescape
from agent.cut.h264 import NalType, parameter_sets, pps_sps_id, set_key
from agent.cut.h264_ids import avc_configuration, fresh_ids, renumber_set, renumber_slice
from agent.errors import BadInputError
from tests.simulators.h264_source import Recipe, film, luma, read_number


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
