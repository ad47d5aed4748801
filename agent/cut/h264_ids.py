"""Parameter sets and slices of H.264 under other ids, and what avcC says of them.

A clip may hold pictures under several parameter sets; each needs ids of its own. A slice names its PPS by an Exp-Golomb
code in its header: giving it a code that is exactly 8 bits longer makes the header one byte longer and moves nothing
else, so that neither the rest of the header nor the entropy coded bytes behind it have to be understood.

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent.cut.bits import BitReader, bit_string, longer_codes, replace_code, ue_code, unescape, with_trailing_bits
from agent.cut.codec import ClipForm, ParameterSets, Renumbering
from agent.cut.h264 import PPS_ID_MAX, SPS_ID_MAX, NalType, nal_type, parse_sps
from agent.errors import BadInputError

_HEADER_BYTES: Final = 64  # of a slice, enough for its first fields


def fresh_ids(taken: Iterable[tuple[int, int]], sets: ParameterSets) -> Renumbering:
    """Choose ids for `sets` that nothing in `taken` has.

    Raises BadInputError if there is none left: then nothing can be copied beside other sets.
    """
    return choose_ids(taken, sets, {NalType.SPS: SPS_ID_MAX, NalType.PPS: PPS_ID_MAX}, NalType.PPS)


def choose_ids(
    taken: Iterable[tuple[int, int]], sets: ParameterSets, limits: Mapping[int, int], pps: int
) -> Renumbering:
    """Choose free ids up to the limit of each kind; a PPS gets one whose code is 8 bits longer."""
    used, ids = set(taken), {}
    for kind, number in sets:
        candidates = longer_codes(number) if kind == pps else range(limits[kind] + 1)
        free = next((n for n in reversed(candidates) if n <= limits[kind] and (kind, n) not in used), None)
        if free is None:
            raise BadInputError("no parameter set ids left")
        ids[kind, number] = free
        used.add((kind, free))
    return ids


def renumber_set(nal: bytes, ids: Renumbering) -> bytes:
    """Give a parameter set, and the SPS a PPS refers to, their new ids."""
    bits = bit_string(unescape(nal)).rstrip("0")[:-1]  # less rbsp_trailing_bits
    reader = BitReader(unescape(nal))
    reader.bits(32 if nal_type(nal) == NalType.SPS else 8)
    head = bits[: reader.position]
    names = (NalType.SPS,) if nal_type(nal) == NalType.SPS else (NalType.PPS, NalType.SPS)
    for name in names:
        old = reader.ue()
        head += ue_code(ids.get((name, old), old))
    return with_trailing_bits(head + bits[reader.position :])


def renumber_slice(nal: bytes, ids: Renumbering) -> bytes:
    """Name a slice's PPS by its new id; everything behind that moves by exactly one byte."""
    reader = BitReader(unescape(nal[:_HEADER_BYTES]))
    reader.bits(8)
    reader.ue()
    reader.ue()
    begin = reader.position
    old = reader.ue()
    if (NalType.PPS, old) not in ids:
        return nal
    return replace_code(nal, begin, reader.position, ue_code(ids[NalType.PPS, old]))


def avc_configuration(sets: ParameterSets) -> bytes:
    """Build the AVCDecoderConfigurationRecord of all given sets (ISO/IEC 14496-15 5.3.3.1.2), 4-byte lengths."""
    sequences = [nal for (kind, _), nal in sorted(sets.items()) if kind == NalType.SPS]
    pictures = [nal for (kind, _), nal in sorted(sets.items()) if kind == NalType.PPS]
    if not 0 < len(sequences) <= SPS_ID_MAX or not 0 < len(pictures) <= PPS_ID_MAX:
        raise BadInputError("too few or too many parameter sets")
    parsed = [parse_sps(nal) for nal in sequences]
    top = max(parsed, key=lambda sps: (sps.has_high_syntax, sps.profile))
    level = max(sps.level for sps in parsed)
    record = bytes([1, top.profile, top.constraints, level, 0xFF, 0xE0 | len(sequences)])
    record += b"".join(len(nal).to_bytes(2, "big") + nal for nal in sequences)
    record += bytes([len(pictures)]) + b"".join(len(nal).to_bytes(2, "big") + nal for nal in pictures)
    if top.has_high_syntax:
        luma, chroma = top.bit_depth_luma - 8, top.bit_depth_chroma - 8
        record += bytes([0xFC | top.chroma_format, 0xF8 | luma, 0xF8 | chroma, 0])
    return record


def unchanged(nals: Sequence[bytes]) -> tuple[bytes, ...]:
    """Begin a copied run: an IDR picture stands as it is."""
    return tuple(nals)


AVC: Final = ClipForm(
    sample_entry=b"avc1",
    configuration_box=b"avcC",
    configuration=avc_configuration,
    repeats_sets=False,
    encoder="libx264",
    fresh_ids=fresh_ids,
    renumber_set=renumber_set,
    renumber_slice=renumber_slice,
    as_first=unchanged,
)
"""H.264 in a clip: all parameter sets in avcC, none in the samples."""
