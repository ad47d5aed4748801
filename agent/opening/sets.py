"""The parameter sets of several parts under one roof: sets of the same id that differ get ids of their own.

Rules of this file: sets that are alike are shared, so that slices are touched only where they must be. A new id's code
is as long as the old one's if there is such a one free, else 8 bits longer. Raises BadInputError and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.cut.bits import equal_codes, longer_codes
from agent.cut.codec import Codec, ParameterSets, Renumbering
from agent.cut.known_codecs import H264, H265
from agent.errors import BadInputError

CODEC_OF_ENTRY: Final[Mapping[str, Codec]] = {"avc1": H264, "hvc1": H265}
_IDS_MAX: Final = {
    (H264.name, 7): 31,
    (H264.name, 8): 255,
    (H265.name, 32): 15,
    (H265.name, 33): 15,
    (H265.name, 34): 63,
}
_PICTURE_SETS: Final = {H264.name: 8, H265.name: 34}  # the NAL type that slices name
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class SetsOfPart:
    """What must be done to a part's pictures so that they decode under the sets of all parts."""

    ids: Renumbering  # empty if nothing is to be done
    leader: bytes  # what stands before every sync sample of the part, each set behind its length; empty for H.264


def sets_of(codec: Codec, configuration: bytes) -> dict[tuple[int, int], bytes]:
    """Read the parameter sets out of avcC or hvcC (ISO/IEC 14496-15 5.3.3.1.2, 8.3.3.1.2)."""
    try:
        return codec.parameter_sets(_avcc(configuration) if codec is H264 else _hvcc(configuration))
    except IndexError:
        raise BadInputError("a clip whose parameter sets are cut off") from None


def _avcc(record: bytes) -> Iterator[bytes]:
    at = 5
    for mask in (0x1F, 0xFF):
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            length = record[at] << 8 | record[at + 1]
            yield record[at + 2 : at + 2 + length]
            at += 2 + length


def _hvcc(record: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(record[22]):
        count, at = record[at + 1] << 8 | record[at + 2], at + 3
        for _ in range(count):
            length = record[at] << 8 | record[at + 1]
            yield record[at + 2 : at + 2 + length]
            at += 2 + length


def unite(codec: Codec, union: dict[tuple[int, int], bytes], sets: ParameterSets) -> SetsOfPart:
    """Add a part's sets to `union` and say under which ids they are there.

    Raises BadInputError if the ids run out; then `union` is as it was.
    """
    form = codec.clip
    if form is None:
        raise BadInputError(f"{codec.name} cannot stand in a clip")
    ids: dict[tuple[int, int], int] = {}
    while True:
        renamed = {key: form.renumber_set(nal, ids) if ids else nal for key, nal in sets.items()}
        clashes = [key for key in sets if union.get(_place(key, ids), renamed[key]) != renamed[key]]
        if not clashes:
            break
        key = min(clashes)  # sequence sets before the picture sets that name them
        taken = {_place(other, ids) for other in sets if other != key}
        ids[key] = next((n for n in _candidates(codec, key) if (key[0], n) not in taken | union.keys()), -1)
        if ids[key] < 0:
            raise BadInputError("the parts have too many different parameter sets for one video")
    union |= {_place(key, ids): nal for key, nal in renamed.items()}
    return SetsOfPart(ids, leader_of(sets) if form.repeats_sets else b"")


def leader_of(sets: ParameterSets) -> bytes:
    """Write sets as they stand before a sync sample of H.265."""
    return with_lengths(nal for _, nal in sorted(sets.items()))


def rewrite(codec: Codec, payload: bytes, ids: Renumbering) -> bytes:
    """Name the new sets in every slice of a sample; what is no slice is left out: it may name the old ones."""
    form = codec.clip
    if form is None:
        raise BadInputError(f"{codec.name} cannot stand in a clip")
    return with_lengths(form.renumber_slice(nal, ids) for nal in _split(payload) if codec.is_slice(nal))


def with_lengths(nals: Iterable[bytes]) -> bytes:
    """Write NAL units as samples have them, each behind its length."""
    return b"".join(len(nal).to_bytes(_LENGTH_BYTES, "big") + nal for nal in nals)


def _split(payload: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(payload):
        end = at + _LENGTH_BYTES + int.from_bytes(payload[at : at + _LENGTH_BYTES], "big")
        if end > len(payload) or end == at + _LENGTH_BYTES:
            raise BadInputError("a picture whose units do not fit into it")
        yield payload[at + _LENGTH_BYTES : end]
        at = end


def _place(key: tuple[int, int], ids: Renumbering) -> tuple[int, int]:
    return key[0], ids.get(key, key[1])


def _candidates(codec: Codec, key: tuple[int, int]) -> Sequence[int]:
    kind, number = key
    top = _IDS_MAX[codec.name, kind]
    if kind != _PICTURE_SETS[codec.name]:
        return range(top, -1, -1)
    return [n for n in (*reversed(equal_codes(number)), *reversed(longer_codes(number))) if n <= top]
