"""H.264 as far as an exact cut must understand it: parameter sets, the start of a slice, and renumbering both.

A clip may hold pictures under several parameter sets; each needs ids of its own. A slice names its PPS by an Exp-Golomb
code in its header: giving it a code that is exactly 8 bits longer makes the header one byte longer and moves nothing
else, so that neither the rest of the header nor the entropy coded bytes behind it have to be understood.

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from agent.cut.bits import BitReader, bit_string, bytes_of, escape, ue_code, unescape
from agent.errors import BadInputError

SPS_ID_MAX: Final = 31
PPS_ID_MAX: Final = 255
SET_BYTES_MAX: Final = 4096  # of one parameter set; real ones have 10 to 60 bytes
SIDE_PIXELS_MAX: Final = 8192
_HEADER_BYTES: Final = 64  # of a slice, enough for its first fields
_REFERENCES_MAX: Final = 16
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})  # H.264 7.3.2.1.1
_CHROMA_444: Final = 3
_RECOVERY_POINT: Final = 6
_HARMLESS_SEI: Final = frozenset({0, 1, _RECOVERY_POINT, 45, 47})  # buffering, timing, frame packing, orientation


class NalType(IntEnum):
    """The kinds of NAL units that matter here (H.264 table 7-1)."""

    SLICE = 1
    SLICE_IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    AUD = 9


ParameterSets = Mapping[tuple[int, int], bytes]
"""NAL units of parameter sets by (NAL type, id)."""


def nal_type(nal: bytes) -> int:
    """Return the type of a NAL unit that has at least one byte."""
    return nal[0] & 31


def is_slice(nal: bytes) -> bool:
    """Say whether a NAL unit carries coded picture (types 1 to 5)."""
    return NalType.SLICE <= nal_type(nal) <= NalType.SLICE_IDR


@dataclass(frozen=True, slots=True)
class Sps:
    """What a sequence parameter set says about its pictures (H.264 7.3.2.1.1)."""

    id: int
    profile: int
    constraints: int  # the byte of constraint flags, as in avcC
    level: int
    chroma_format: int  # 1: 4:2:0
    bit_depth_luma: int
    bit_depth_chroma: int
    references_max: int  # max_num_ref_frames
    width: int  # cropped, in pixels
    height: int
    is_progressive: bool  # frame_mbs_only_flag

    @property
    def has_high_syntax(self) -> bool:
        """Whether avcC must state chroma format and bit depths (ISO/IEC 14496-15 5.3.3.1.2)."""
        return self.profile in _HIGH_PROFILES

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """What all pictures of one clip must share to be copied: size, chroma format and luma depth."""
        return self.width, self.height, self.chroma_format, self.bit_depth_luma


@lru_cache(maxsize=64)
def parse_sps(nal: bytes) -> Sps:
    """Read an SPS up to its cropping rectangle."""
    if len(nal) > SET_BYTES_MAX or nal_type(nal) != NalType.SPS:
        raise BadInputError("not a sequence parameter set")
    reader = BitReader(unescape(nal))
    reader.bits(8)
    profile, constraints, level, number = reader.bits(8), reader.bits(8), reader.bits(8), reader.ue()
    chroma_format, depths, separate = _read_high_syntax(reader) if profile in _HIGH_PROFILES else (1, (8, 8), False)
    reader.ue()  # log2_max_frame_num_minus4
    _skip_order_count(reader)
    references = reader.ue()
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    columns, rows = reader.ue() + 1, reader.ue() + 1
    is_progressive = reader.flag()
    if not is_progressive:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    left, right, top, bottom = (reader.ue(), reader.ue(), reader.ue(), reader.ue()) if reader.flag() else (0, 0, 0, 0)
    unit_x = 2 if chroma_format in (1, 2) and not separate else 1
    unit_y = (2 if chroma_format == 1 and not separate else 1) * (1 if is_progressive else 2)
    width = columns * 16 - unit_x * (left + right)
    height = rows * 16 * (1 if is_progressive else 2) - unit_y * (top + bottom)
    if not (0 < width <= SIDE_PIXELS_MAX and 0 < height <= SIDE_PIXELS_MAX):
        raise BadInputError(f"pictures of {width}x{height} pixels (limit {SIDE_PIXELS_MAX})")
    if number > SPS_ID_MAX or references > _REFERENCES_MAX:
        raise BadInputError("a sequence parameter set outside the standard's limits")
    return Sps(number, profile, constraints, level, chroma_format, *depths, references, width, height, is_progressive)


def _read_high_syntax(reader: BitReader) -> tuple[int, tuple[int, int], bool]:
    chroma_format = reader.ue()
    separate = chroma_format == _CHROMA_444 and reader.flag()
    depths = (reader.ue() + 8, reader.ue() + 8)
    if chroma_format > _CHROMA_444 or max(depths) > 14:  # noqa: PLR2004 - H.264 7.4.2.1.1: at most 14 bits
        raise BadInputError("a picture format that H.264 does not have")
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():
        for number in range(8 if chroma_format != _CHROMA_444 else 12):
            if reader.flag():
                _skip_scaling_list(reader, 16 if number < 6 else 64)  # noqa: PLR2004 - six 4x4 lists come first
    return chroma_format, depths, separate


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):  # H.264 7.3.2.1.1.1
        if following:
            following = (last + reader.se()) % 256
        last = following or last


def _skip_order_count(reader: BitReader) -> None:
    order_type = reader.ue()
    if order_type == 0:
        reader.ue()
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        for _ in range(min(reader.ue(), 255)):
            reader.se()


def set_key(nal: bytes) -> tuple[int, int]:
    """Return (NAL type, id) of a parameter set."""
    kind, limit = nal_type(nal), SPS_ID_MAX if nal_type(nal) == NalType.SPS else PPS_ID_MAX
    reader = BitReader(unescape(nal[:_HEADER_BYTES]))
    reader.bits(32 if kind == NalType.SPS else 8)
    number = reader.ue()
    if number > limit or len(nal) > SET_BYTES_MAX:
        raise BadInputError("a parameter set outside the standard's limits")
    return kind, number


def parameter_sets(nals: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """Collect the parameter sets among NAL units; later ones replace earlier ones of the same id."""
    return {set_key(nal): nal for nal in nals if nal_type(nal) in (NalType.SPS, NalType.PPS)}


@lru_cache(maxsize=512)
def pps_sps_id(nal: bytes) -> int:
    """Return the id of the SPS that a PPS refers to."""
    reader = BitReader(unescape(nal[:_HEADER_BYTES]))
    reader.bits(8)
    reader.ue()
    return reader.ue()


@dataclass(frozen=True, slots=True)
class SliceStart:
    """The first fields of a slice header (H.264 7.3.3)."""

    first_macroblock: int
    is_intra: bool  # an I or SI slice
    pps_id: int


def parse_slice(nal: bytes) -> SliceStart:
    """Read the first three fields of a slice."""
    reader = BitReader(unescape(nal[:_HEADER_BYTES]))
    reader.bits(8)
    first, kind, pps_id = reader.ue(), reader.ue(), reader.ue()
    if kind > 9 or pps_id > PPS_ID_MAX:  # noqa: PLR2004 - table 7-6 ends at 9
        raise BadInputError("a slice header outside the standard's limits")
    return SliceStart(first, kind % 5 in (2, 4), pps_id)


def active_sps(sets: ParameterSets, slice_nal: bytes) -> Sps:
    """Read the SPS that a slice is coded under; raises BadInputError if its sets are not known."""
    pps = sets.get((NalType.PPS, parse_slice(slice_nal).pps_id))
    sps = sets.get((NalType.SPS, pps_sps_id(pps))) if pps else None
    if sps is None:
        raise BadInputError("a picture whose parameter sets never came")
    return parse_sps(sps)


def sei_messages(sei: bytes) -> list[tuple[int, bytes]]:
    """Return the (payload type, payload) of each message in an SEI NAL unit (H.264 7.3.2.3)."""
    raw, position, messages = unescape(sei[:SET_BYTES_MAX]), 1, []
    while position + 2 <= len(raw):
        kind, position = _read_sei_number(raw, position)
        size, position = _read_sei_number(raw, position)
        messages.append((kind, raw[position : position + size]))
        position += size
    return messages


def is_recovery_point(sei: bytes) -> bool:
    """Say whether an SEI NAL unit promises correct pictures from this one on (H.264 D.1.8, recovery_frame_cnt 0)."""
    return any(kind == _RECOVERY_POINT and content[:1] >= b"\x80" for kind, content in sei_messages(sei))  # ue(0): 1


def is_harmless_sei(sei: bytes) -> bool:
    """Say whether an SEI NAL unit is only about how to show this picture; anything else may tell of other times."""
    return len(sei) <= SET_BYTES_MAX and all(kind in _HARMLESS_SEI for kind, _ in sei_messages(sei))


def _read_sei_number(raw: bytes, position: int) -> tuple[int, int]:
    total = 0
    while position < len(raw):
        total, position = total + raw[position], position + 1
        if raw[position - 1] != 255:  # noqa: PLR2004 - 255 means more follows (7.3.2.3.1)
            break
    return total, position


Renumbering = Mapping[tuple[int, int], int]
"""New id by (NAL type, old id)."""


def fresh_ids(taken: Iterable[tuple[int, int]], sets: ParameterSets) -> Renumbering:
    """Choose ids for `sets` that nothing in `taken` has; a PPS gets one whose code is 8 bits longer.

    Raises BadInputError if there is none left: then nothing can be copied beside other sets.
    """
    used, ids = set(taken), {}
    for kind, number in sets:
        low, high = 0, SPS_ID_MAX
        if kind == NalType.PPS:
            length = len(ue_code(number)) // 2 + 4  # zeros before the 1 of a code that is 8 bits longer
            low, high = 2**length - 1, min(2 ** (length + 1) - 2, PPS_ID_MAX)
        free = next((candidate for candidate in range(high, low - 1, -1) if (kind, candidate) not in used), None)
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
    bits = head + bits[reader.position :] + "1"
    return escape(bytes_of(bits + "0" * (-len(bits) % 8)))


def renumber_slice(nal: bytes, ids: Renumbering) -> bytes:
    """Name a slice's PPS by its new id; everything behind that moves by exactly one byte."""
    raw = unescape(nal)
    reader = BitReader(raw[:_HEADER_BYTES])
    reader.bits(8)
    reader.ue()
    reader.ue()
    begin = reader.position
    old = reader.ue()
    if (NalType.PPS, old) not in ids:
        return nal
    code, whole = ue_code(ids[NalType.PPS, old]), (reader.position + 7) // 8
    if len(code) != reader.position - begin + 8:
        raise BadInputError("a PPS id that does not fit into this slice")
    bits = bit_string(raw[:whole])
    head = bytes_of(bits[:begin] + code + bits[reader.position :])
    return escape(head + raw[whole:]) + (b"\3" if nal.endswith(b"\0\0\3") else b"")


def avc_configuration(sets: ParameterSets) -> bytes:
    """Build the AVCDecoderConfigurationRecord of all given sets (ISO/IEC 14496-15 5.3.3.1.2), 4-byte lengths."""
    sequences = [nal for (kind, _), nal in sorted(sets.items()) if kind == NalType.SPS]
    pictures = [nal for (kind, _), nal in sorted(sets.items()) if kind == NalType.PPS]
    if not 0 < len(sequences) <= SPS_ID_MAX or not 0 < len(pictures) <= PPS_ID_MAX:
        raise BadInputError("too few or too many parameter sets")
    parsed = [parse_sps(nal) for nal in sequences]
    top = max(parsed, key=lambda sps: (sps.profile in _HIGH_PROFILES, sps.profile))
    level = max(sps.level for sps in parsed)
    record = bytes([1, top.profile, top.constraints, level, 0xFF, 0xE0 | len(sequences)])
    record += b"".join(len(nal).to_bytes(2, "big") + nal for nal in sequences)
    record += bytes([len(pictures)]) + b"".join(len(nal).to_bytes(2, "big") + nal for nal in pictures)
    if top.has_high_syntax:
        luma, chroma = top.bit_depth_luma - 8, top.bit_depth_chroma - 8
        record += bytes([0xFC | top.chroma_format, 0xF8 | luma, 0xF8 | chroma, 0])
    return record
