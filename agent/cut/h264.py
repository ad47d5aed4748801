"""H.264 as far as an exact cut must read it: parameter sets, the start of a slice, what a picture refers to.

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from agent.cut.bits import BitReader, unescape
from agent.cut.codec import ParameterSets, PictureForm, PictureKind
from agent.errors import BadInputError

SPS_ID_MAX: Final = 31
PPS_ID_MAX: Final = 255
SET_BYTES_MAX: Final = 4096  # of one parameter set; real ones have 10 to 60 bytes
SIDE_PIXELS_MAX: Final = 8192
_HEADER_BYTES: Final = 64  # of a slice, enough for its first fields
_REFERENCES_MAX: Final = 16
_COUNTER_BITS_MAX: Final = 16  # of frame numbers and order counts
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})  # H.264 7.3.2.1.1
_CHROMA_444: Final = 3
_COPIED_PROFILES: Final = frozenset({66, 77, 100, 110, 122, 244})  # those that an encoder of ours can stand beside
_SINGLE_LAYER_MAX: Final = 23  # NAL types from here on are RTP's
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
    END_OF_SEQUENCE = 10
    END_OF_STREAM = 11


_SETS: Final = frozenset({NalType.SPS, NalType.PPS})
_LEADERS: Final = frozenset({NalType.SEI, NalType.SPS, NalType.PPS, NalType.AUD})  # H.264 7.4.1.2.3
_ENDS: Final = frozenset({NalType.END_OF_SEQUENCE, NalType.END_OF_STREAM})


def nal_type(nal: bytes) -> int:
    """Return the type of a NAL unit that has at least one byte."""
    return nal[0] & 31


def is_slice(nal: bytes) -> bool:
    """Say whether a NAL unit carries coded picture (types 1 to 5)."""
    return NalType.SLICE <= nal_type(nal) <= NalType.SLICE_IDR


def is_known(nal: bytes) -> bool:
    """Say whether this is a NAL unit of the standard's, and not RTP's own."""
    return bool(nal) and 0 < nal_type(nal) <= _SINGLE_LAYER_MAX


def is_parameter_set(nal: bytes) -> bool:
    """Say whether a NAL unit is an SPS or PPS."""
    return nal_type(nal) in _SETS


def is_leader(nal: bytes) -> bool:
    """Say whether a NAL unit behind a slice begins the next access unit (H.264 7.4.1.2.3)."""
    return nal_type(nal) in _LEADERS


def is_end(nal: bytes) -> bool:
    """Say whether a NAL unit ends the coded video sequence."""
    return nal_type(nal) in _ENDS


def is_kept(nal: bytes) -> bool:
    """Say whether a clip may hold this: no sets, delimiters, filler, user data or other layers."""
    return is_slice(nal) or (nal_type(nal) == NalType.SEI and is_harmless_sei(nal))


def begins_picture(first_slice: bytes) -> bool:
    """Say whether a slice is the first of its picture: first_mb_in_slice is ue(0), a single 1."""
    return len(first_slice) > 1 and first_slice[1] & 0x80 != 0


def picture_kind(nals: Sequence[bytes]) -> PictureKind:
    """Say what a whole picture refers to. Raises BadInputError if it is of a kind that cannot be decoded alone."""
    slices = [nal for nal in nals if is_slice(nal)]
    kinds = {nal_type(nal) for nal in slices}
    if kinds == {NalType.SLICE_IDR}:
        return PictureKind.CLOSED
    if not kinds <= {NalType.SLICE, NalType.SLICE_IDR}:
        raise BadInputError("data partitions, which no decoder here understands")
    is_promised = any(nal_type(nal) == NalType.SEI and is_recovery_point(nal) for nal in nals)
    if is_promised and all(parse_slice(nal).is_intra for nal in slices):
        return PictureKind.RECOVERY  # open GOPs
    return PictureKind.OTHER


class Sps(Struct, frozen=True):
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
    has_separate_planes: bool
    frame_number_bits: int
    order_type: int  # pic_order_cnt_type
    order_bits: int  # of pic_order_cnt_lsb; 0 if order counts are not of type 0

    @property
    def has_high_syntax(self) -> bool:
        """Whether avcC must state chroma format and bit depths (ISO/IEC 14496-15 5.3.3.1.2)."""
        return self.profile in _HIGH_PROFILES


@lru_cache(maxsize=64)
def parse_sps(nal: bytes) -> Sps:
    """Read an SPS up to its cropping rectangle."""
    if len(nal) > SET_BYTES_MAX or nal_type(nal) != NalType.SPS:
        raise BadInputError("not a sequence parameter set")
    reader = BitReader(unescape(nal))
    reader.bits(8)
    profile, constraints, level, number = reader.bits(8), reader.bits(8), reader.bits(8), reader.ue()
    chroma_format, depths, separate = _read_high_syntax(reader) if profile in _HIGH_PROFILES else (1, (8, 8), False)
    frame_number_bits = reader.ue() + 4
    order_type, order_bits = _read_order_count(reader)
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
    if number > SPS_ID_MAX or references > _REFERENCES_MAX or max(frame_number_bits, order_bits) > _COUNTER_BITS_MAX:
        raise BadInputError("a sequence parameter set outside the standard's limits")
    return Sps(
        number, profile, constraints, level, chroma_format, *depths, references, width, height, is_progressive,
        separate, frame_number_bits, order_type, order_bits,
    )  # fmt: skip


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


def _read_order_count(reader: BitReader) -> tuple[int, int]:
    order_type, bits = reader.ue(), 0
    if order_type == 0:
        bits = reader.ue() + 4
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        for _ in range(min(reader.ue(), 255)):
            reader.se()
    return order_type, bits


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


class SliceStart(Struct, frozen=True):
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


def picture_form(sets: ParameterSets, slice_nal: bytes) -> PictureForm:
    """Say what the parameter sets of a slice tell of its picture; raises BadInputError if they are not known."""
    sps = active_sps(sets, slice_nal)
    why = ""
    if not sps.is_progressive:
        why = "interlaced pictures"
    elif sps.profile not in _COPIED_PROFILES or not sps.chroma_format or sps.bit_depth_luma != sps.bit_depth_chroma:
        why = f"H.264 of profile {sps.profile} with chroma format {sps.chroma_format} and {sps.bit_depth_luma} bits"
    return PictureForm(
        sps.width, sps.height, sps.chroma_format, sps.bit_depth_luma, sps.is_progressive, sps.profile,
        f"{sps.level / 10:.1f}", sps.references_max, why,
    )  # fmt: skip


def sei_messages(sei: bytes) -> list[tuple[int, bytes]]:
    """Return the (payload type, payload) of each message in an SEI NAL unit (H.264 7.3.2.3)."""
    return read_sei(unescape(sei[:SET_BYTES_MAX]), 1)


def read_sei(raw: bytes, position: int) -> list[tuple[int, bytes]]:
    """Read SEI messages from behind the NAL unit's header; H.265 has them in the same form (H.265 7.3.5)."""
    messages = []
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
