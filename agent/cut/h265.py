"""H.265 as far as an exact cut must read it: parameter sets, the start of a slice, what a picture refers to.

Rules of this file: only the lowest layer is looked at; whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from agent.cut.bits import BitReader, unescape
from agent.cut.codec import ParameterSets, PictureForm, PictureKind
from agent.cut.h264 import SET_BYTES_MAX, SIDE_PIXELS_MAX, read_sei
from agent.errors import BadInputError

VPS_ID_MAX: Final = 15
SPS_ID_MAX: Final = 15
PPS_ID_MAX: Final = 63
HEADER_BYTES: Final = 2  # of a NAL unit
_SLICE_HEADER_BYTES: Final = 32  # enough for a slice's first fields
_SUB_LAYERS_MAX: Final = 7
_REFERENCES_MAX: Final = 16
_DEPTH_MAX: Final = 16  # bits (H.265 7.4.3.2.1)
_CHROMA_444: Final = 3
_COPIED_PROFILES: Final = frozenset({1, 2, 4})  # Main, Main 10, range extensions
_HARMLESS_SEI: Final = frozenset({0, 1, 6, 45, 47, 137, 144})  # as in H.264, mastering display, light level


class NalType(IntEnum):
    """The kinds of NAL units that matter here (H.265 table 7-1)."""

    RADL_N = 6
    RADL_R = 7
    RASL_N = 8
    RASL_R = 9
    BLA_W_LP = 16
    BLA_N_LP = 18
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    IRAP_MAX = 23
    SLICE_MAX = 31
    VPS = 32
    SPS = 33
    PPS = 34
    AUD = 35
    END_OF_SEQUENCE = 36
    END_OF_STREAM = 37
    PREFIX_SEI = 39
    SUFFIX_SEI = 40
    SINGLE_MAX = 47  # from here on they are RTP's


_SETS: Final = frozenset({NalType.VPS, NalType.SPS, NalType.PPS})
_LEADERS: Final = frozenset({*_SETS, NalType.AUD, NalType.PREFIX_SEI, 41, 42, 43, 44})  # H.265 7.4.2.4.4
_ENDS: Final = frozenset({NalType.END_OF_SEQUENCE, NalType.END_OF_STREAM})
_RESERVED_SLICES: Final = frozenset({*range(10, 16), *range(22, 32)})
_KINDS: Final = (
    dict.fromkeys(range(NalType.BLA_W_LP, NalType.CRA), PictureKind.CLOSED)
    | {NalType.CRA: PictureKind.OPEN}
    | dict.fromkeys((NalType.RADL_N, NalType.RADL_R), PictureKind.LEADING)
    | dict.fromkeys((NalType.RASL_N, NalType.RASL_R), PictureKind.SKIPPED)
)


def nal_type(nal: bytes) -> int:
    """Return the type of a NAL unit that has at least one byte."""
    return nal[0] >> 1 & 63


def is_known(nal: bytes) -> bool:
    """Say whether this is a NAL unit of the lowest layer, and not RTP's own."""
    is_lowest = len(nal) > HEADER_BYTES and not nal[0] & 0x81 and not nal[1] & 0xF8 and bool(nal[1] & 7)
    return is_lowest and nal_type(nal) <= NalType.SINGLE_MAX


def is_slice(nal: bytes) -> bool:
    """Say whether a NAL unit carries coded picture (types 0 to 31)."""
    return nal_type(nal) <= NalType.SLICE_MAX


def is_parameter_set(nal: bytes) -> bool:
    """Say whether a NAL unit is a VPS, SPS or PPS."""
    return nal_type(nal) in _SETS


def is_leader(nal: bytes) -> bool:
    """Say whether a NAL unit behind a slice begins the next access unit (H.265 7.4.2.4.4)."""
    return nal_type(nal) in _LEADERS


def is_end(nal: bytes) -> bool:
    """Say whether a NAL unit ends the coded video sequence: a CRA picture behind it has lost its RASL pictures."""
    return nal_type(nal) in _ENDS


def is_kept(nal: bytes) -> bool:
    """Say whether a clip may hold this: no sets, delimiters, filler, user data or hashes."""
    return is_slice(nal) or (nal_type(nal) in (NalType.PREFIX_SEI, NalType.SUFFIX_SEI) and is_harmless_sei(nal))


def begins_picture(first_slice: bytes) -> bool:
    """Say whether a slice is the first of its picture: first_slice_segment_in_pic_flag."""
    return len(first_slice) > HEADER_BYTES and first_slice[HEADER_BYTES] & 0x80 != 0


def picture_kind(nals: Sequence[bytes]) -> PictureKind:
    """Say what a whole picture refers to. Raises BadInputError if the standard does not know its kind."""
    kinds = {nal_type(nal) for nal in nals if is_slice(nal)}
    if len(kinds) != 1 or kinds & _RESERVED_SLICES:
        raise BadInputError("a picture of a kind that H.265 does not have")
    return _KINDS.get(kinds.pop(), PictureKind.OTHER)


def is_harmless_sei(sei: bytes) -> bool:
    """Say whether an SEI NAL unit is only about how to show this picture; anything else may tell of other times."""
    if len(sei) > SET_BYTES_MAX:
        return False
    return all(kind in _HARMLESS_SEI for kind, _ in read_sei(unescape(sei), HEADER_BYTES))


class Sps(Struct, frozen=True):
    """What a sequence parameter set says about its pictures (H.265 7.3.2.2.1)."""

    id: int
    vps_id: int
    sub_layers: int
    is_nested: bool
    profile_tier: bytes  # 11 bytes from general_profile_space to the constraint flags, as in hvcC
    level: int
    chroma_format: int
    bit_depth_luma: int
    bit_depth_chroma: int
    references_max: int  # pictures in the decoder's buffer
    width: int  # cropped, in pixels
    height: int

    @property
    def profile(self) -> int:
        """general_profile_idc."""
        return self.profile_tier[0] & 31

    @property
    def is_interlaced(self) -> bool:
        """Whether the pictures are fields: general_interlaced_source_flag without the progressive one."""
        return self.profile_tier[5] >> 6 == 1


@lru_cache(maxsize=64)
def parse_sps(nal: bytes) -> Sps:
    """Read an SPS up to the size of the picture buffer."""
    reader = _sps_reader(nal)
    raw = unescape(nal)
    vps_id, sub_layers, is_nested = raw[2] >> 4, (raw[2] >> 1 & 7) + 1, raw[2] & 1 == 1
    number, chroma_format = reader.ue(), reader.ue()
    separate = chroma_format == _CHROMA_444 and reader.flag()
    width, height = reader.ue(), reader.ue()
    left, right, top, bottom = (reader.ue(), reader.ue(), reader.ue(), reader.ue()) if reader.flag() else (0, 0, 0, 0)
    luma, chroma = reader.ue() + 8, reader.ue() + 8
    reader.ue()  # log2_max_pic_order_cnt_lsb_minus4
    references = 0
    for _ in range(sub_layers if reader.flag() else 1):
        references = reader.ue() + 1
        reader.ue()
        reader.ue()
    width -= (2 if chroma_format in (1, 2) and not separate else 1) * (left + right)
    height -= (2 if chroma_format == 1 and not separate else 1) * (top + bottom)
    if not (0 < width <= SIDE_PIXELS_MAX and 0 < height <= SIDE_PIXELS_MAX):
        raise BadInputError(f"pictures of {width}x{height} pixels (limit {SIDE_PIXELS_MAX})")
    if (
        number > SPS_ID_MAX
        or chroma_format > _CHROMA_444
        or max(luma, chroma) > _DEPTH_MAX
        or references > _REFERENCES_MAX
    ):
        raise BadInputError("a sequence parameter set outside the standard's limits")
    return Sps(
        number,
        vps_id,
        sub_layers,
        is_nested,
        raw[3:14],
        raw[14],
        chroma_format,
        luma,
        chroma,
        references,
        width,
        height,
    )


def _sps_reader(nal: bytes) -> BitReader:
    """Return a reader that stands before the id of an SPS: behind profile, tier and level (H.265 7.3.3)."""
    if len(nal) > SET_BYTES_MAX or nal_type(nal) != NalType.SPS:
        raise BadInputError("not a sequence parameter set")
    reader = BitReader(unescape(nal))
    reader.bits(20)
    further = reader.bits(3)  # sps_max_sub_layers_minus1
    if further >= _SUB_LAYERS_MAX:
        raise BadInputError("a sequence parameter set outside the standard's limits")
    reader.bits(1 + 88 + 8)
    flags = [(reader.flag(), reader.flag()) for _ in range(8 if further else 0)]
    for has_profile, has_level in flags[:further]:
        reader.bits((88 if has_profile else 0) + (8 if has_level else 0))
    return reader


def sps_id_position(nal: bytes) -> int:
    """Return the bit at which the id of an SPS begins, in the unescaped NAL unit."""
    return _sps_reader(nal).position


@lru_cache(maxsize=512)
def set_key(nal: bytes) -> tuple[int, int]:
    """Return (NAL type, id) of a parameter set."""
    kind = nal_type(nal)
    if len(nal) > SET_BYTES_MAX:
        raise BadInputError("a parameter set outside the standard's limits")
    reader, limit = BitReader(unescape(nal)), PPS_ID_MAX
    reader.bits(16)
    if kind == NalType.VPS:
        return kind, reader.bits(4)
    if kind == NalType.SPS:
        reader, limit = _sps_reader(nal), SPS_ID_MAX
    number = reader.ue()
    if number > limit:
        raise BadInputError("a parameter set outside the standard's limits")
    return kind, number


def parameter_sets(nals: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """Collect the parameter sets among NAL units; later ones replace earlier ones of the same id."""
    return {set_key(nal): nal for nal in nals if is_parameter_set(nal)}


@lru_cache(maxsize=512)
def pps_sps_id(nal: bytes) -> int:
    """Return the id of the SPS that a PPS refers to."""
    reader = BitReader(unescape(nal[:SET_BYTES_MAX]))
    reader.bits(16)
    reader.ue()
    return reader.ue()


def slice_pps_span(nal: bytes) -> tuple[int, int, int]:
    """Return the id of a slice's PPS, and the bits `[begin, end)` it stands in (H.265 7.3.6.1)."""
    reader = BitReader(unescape(nal[:_SLICE_HEADER_BYTES]))
    reader.bits(17 + (NalType.BLA_W_LP <= nal_type(nal) <= NalType.IRAP_MAX))
    begin = reader.position
    number = reader.ue()
    if number > PPS_ID_MAX:
        raise BadInputError("a slice header outside the standard's limits")
    return number, begin, reader.position


def picture_form(sets: ParameterSets, slice_nal: bytes) -> PictureForm:
    """Say what the parameter sets of a slice tell of its picture; raises BadInputError if they are not known."""
    pps = sets.get((NalType.PPS, slice_pps_span(slice_nal)[0]))
    nal = sets.get((NalType.SPS, pps_sps_id(pps))) if pps else None
    if nal is None or (NalType.VPS, parse_sps(nal).vps_id) not in sets:
        raise BadInputError("a picture whose parameter sets never came")
    sps = parse_sps(nal)
    why = ""
    if sps.is_interlaced:
        why = "interlaced pictures"
    elif sps.profile not in _COPIED_PROFILES or not sps.chroma_format or sps.bit_depth_luma != sps.bit_depth_chroma:
        why = f"H.265 of profile {sps.profile} with chroma format {sps.chroma_format} and {sps.bit_depth_luma} bits"
    return PictureForm(
        sps.width, sps.height, sps.chroma_format, sps.bit_depth_luma, not sps.is_interlaced, sps.profile,
        f"{sps.level / 30:.1f}", sps.references_max, why,
    )  # fmt: skip
