"""Parameter sets and slices of H.265 under other ids, the picture with which copying begins, and what hvcC says.

Slices are renumbered as in `h264_ids`: by a code that is exactly 8 bits longer.

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agent.cut.bits import BitReader, bit_string, escape, replace_code, ue_code, unescape, with_trailing_bits
from agent.cut.codec import ClipForm, ParameterSets, Renumbering
from agent.cut.h264_ids import choose_ids
from agent.cut.h265 import (
    HEADER_BYTES,
    PPS_ID_MAX,
    SPS_ID_MAX,
    VPS_ID_MAX,
    NalType,
    is_slice,
    nal_type,
    parse_sps,
    slice_pps_span,
    sps_id_position,
)
from agent.errors import BadInputError

_ORDER: Final = (NalType.VPS, NalType.SPS, NalType.PPS)
_LIMITS: Final = {int(NalType.VPS): VPS_ID_MAX, int(NalType.SPS): SPS_ID_MAX, int(NalType.PPS): PPS_ID_MAX}
_FORGETS_PRIOR: Final = 0x40  # no_output_of_prior_pics_flag, behind first_slice_segment_in_pic_flag


def fresh_ids(taken: Iterable[tuple[int, int]], sets: ParameterSets) -> Renumbering:
    """Choose ids for `sets` that nothing in `taken` has.

    Raises BadInputError if there is none left; there never is for a PPS with an id over 6.
    """
    return choose_ids(taken, sets, _LIMITS, NalType.PPS)


def renumber_set(nal: bytes, ids: Renumbering) -> bytes:
    """Give a parameter set, and the one it refers to, their new ids."""
    kind = nal_type(nal)
    bits = bit_string(unescape(nal)).rstrip("0")[:-1]  # less rbsp_trailing_bits
    if kind != NalType.PPS:
        vps = int(bits[16:20] or "0", 2)
        bits = bits[:16] + format(ids.get((NalType.VPS, vps), vps), "04b") + bits[20:]
    if kind == NalType.VPS:
        return with_trailing_bits(bits)
    reader = BitReader(unescape(nal))
    reader.bits(sps_id_position(nal) if kind == NalType.SPS else 16)
    head = bits[: reader.position]
    for name in (NalType.SPS,) if kind == NalType.SPS else (NalType.PPS, NalType.SPS):
        old = reader.ue()
        head += ue_code(ids.get((name, old), old))
    return with_trailing_bits(head + bits[reader.position :])


def renumber_slice(nal: bytes, ids: Renumbering) -> bytes:
    """Name a slice's PPS by its new id; everything behind that moves by exactly one byte."""
    old, begin, end = slice_pps_span(nal)
    if (NalType.PPS, old) not in ids:
        return nal
    return replace_code(nal, begin, end, ue_code(ids[NalType.PPS, old]))


def as_first(nals: Sequence[bytes]) -> tuple[bytes, ...]:
    """Let a copied run begin: a CRA or BLA picture becomes BLA_N_LP, one without leading pictures (H.265 8.1.3).

    Only the NAL unit type changes. A flag that would let players drop what is shown before the run is taken back:
    the camera said that of other pictures.
    """
    return tuple(_keeping_prior(_as_bla(nal)) if is_slice(nal) else nal for nal in nals)


def _as_bla(nal: bytes) -> bytes:
    if nal_type(nal) in (NalType.IDR_W_RADL, NalType.IDR_N_LP):
        return nal
    return bytes([NalType.BLA_N_LP << 1 | nal[0] & 0x81]) + nal[1:]


def _keeping_prior(nal: bytes) -> bytes:
    if not nal[HEADER_BYTES] & _FORGETS_PRIOR:
        return nal
    raw = bytearray(unescape(nal))
    raw[HEADER_BYTES] &= ~_FORGETS_PRIOR
    return escape(bytes(raw)) + (b"\3" if nal.endswith(b"\0\0\3") else b"")


def hevc_configuration(sets: ParameterSets) -> bytes:
    """Build the HEVCDecoderConfigurationRecord of all given sets (ISO/IEC 14496-15 8.3.3.1.2), 4-byte lengths."""
    arrays = {kind: [nal for (one, _), nal in sorted(sets.items()) if one == kind] for kind in _ORDER}
    if not all(arrays.values()):
        raise BadInputError("too few parameter sets")
    parsed = [parse_sps(nal) for nal in arrays[NalType.SPS]]
    top = max(parsed, key=lambda sps: (sps.profile, sps.level))
    compatible = int.from_bytes(top.profile_tier[1:5], "big")
    for sps in parsed:
        compatible &= int.from_bytes(sps.profile_tier[1:5], "big")
    record = b"\1" + top.profile_tier[:1] + compatible.to_bytes(4, "big") + top.profile_tier[5:]
    record += bytes([max(sps.level for sps in parsed), 0xF0, 0, 0xFC, 0xFC | top.chroma_format])
    record += bytes([0xF8 | (top.bit_depth_luma - 8), 0xF8 | (top.bit_depth_chroma - 8), 0, 0])
    layers, is_nested = max(sps.sub_layers for sps in parsed), all(sps.is_nested for sps in parsed)
    record += bytes([layers << 3 | is_nested << 2 | 3, len(arrays)])
    for kind, nals in arrays.items():
        record += bytes([0x80 | kind]) + len(nals).to_bytes(2, "big")
        record += b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
    return record


HEVC: Final = ClipForm(
    sample_entry=b"hvc1",
    configuration_box=b"hvcC",
    configuration=hevc_configuration,
    repeats_sets=True,
    encoder="libx265",
    fresh_ids=fresh_ids,
    renumber_set=renumber_set,
    renumber_slice=renumber_slice,
    as_first=as_first,
)
"""H.265 in a clip: all parameter sets in hvcC, and once more before every sync sample, or Firefox decodes nothing."""
