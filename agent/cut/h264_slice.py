"""A slice of H.264 becomes what it says about references: which pictures it may use, and which are kept behind it.

Rules of this file: whatever the bytes are, only BadInputError is raised. Fields, switching slices, slice groups,
redundant pictures and order counts of type 1 are refused: who asks wants a proof; there is none for what is not read.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from agent.cut.bits import BitReader, bit_string, bytes_of, escape, se_code, ue_code, unescape
from agent.cut.codec import ParameterSets
from agent.cut.h264 import SET_BYTES_MAX, NalType, Sps, nal_type, parse_slice, parse_sps
from agent.errors import BadInputError

_HEADER_BYTES: Final = 768  # of a slice with weights for 32 references, escapes included
_REFERENCES_MAX: Final = 32
_MARKS_MAX: Final = 66  # memory management operations: one for each field of 16 frames, and for long-term ones
_ORDER_TYPES: Final = (0, 2)
_EXPLICIT: Final = 1  # weighted_bipred_idc
_END_OF_CHANGES: Final = 3
_OPERANDS: Final = {1: 1, 2: 1, 3: 2, 4: 1, 5: 0, 6: 1}  # of a memory management operation (H.264 7.3.3.3)


class SliceKind(IntEnum):
    """The kinds of slices that are read (H.264 table 7-6, modulo 5)."""

    P = 0
    B = 1
    I = 2  # noqa: E741 - its name


class Pps(Struct, frozen=True):
    """What a picture parameter set says that a slice header depends on (H.264 7.3.2.2)."""

    sps_id: int
    has_bottom_order: bool  # bottom_field_pic_order_in_frame_present_flag
    active: tuple[int, int]  # how many references of each list a slice uses if it does not say
    is_weighted: bool  # P slices
    weights_b: int  # weighted_bipred_idc
    is_cabac: bool  # entropy_coding_mode_flag
    has_deblocking: bool  # deblocking_filter_control_present_flag


Marks = tuple[tuple[int, ...], ...]
"""Memory management operations, each with its operands."""


class SliceHeader(Struct, frozen=True):
    """What a slice of a whole frame says about references (H.264 7.3.3)."""

    sps: Sps
    pps: Pps
    kind: SliceKind
    is_reference: bool
    frame_number: int
    order_low: int  # pic_order_cnt_lsb, 0 unless order counts are of type 0
    order_bottom: int  # how much later the bottom field is in order
    active: tuple[int, int]  # how many entries of each list may be used
    changes: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]  # to each list: (operation, value)
    marks: Marks | None  # memory management operations; None: the oldest makes room
    numbers_at: int  # bit of the NAL unit without escapes where its numbers begin
    marks_at: tuple[int, int]  # bits [begin, end) of it


def read_slice(nal: bytes, sets: ParameterSets) -> SliceHeader:
    """Read a slice's header up to how it marks references. Raises BadInputError if that cannot be said for sure."""
    if nal_type(nal) != NalType.SLICE:
        raise BadInputError("not a slice of a picture that follows others")
    pps_nal = sets.get((NalType.PPS, parse_slice(nal).pps_id))
    if pps_nal is None:
        raise BadInputError("a picture whose parameter sets never came")
    pps = parse_pps(pps_nal)
    sps_nal = sets.get((NalType.SPS, pps.sps_id))
    if sps_nal is None:
        raise BadInputError("a picture whose parameter sets never came")
    sps = parse_sps(sps_nal)
    if sps.order_type not in _ORDER_TYPES:
        raise BadInputError("order counts of type 1")
    reader = BitReader(unescape(nal[:_HEADER_BYTES]))
    reader.bits(8)
    reader.ue()  # first_mb_in_slice
    kind = _kind(reader.ue())
    if kind is SliceKind.B and sps.order_type:
        raise BadInputError("B pictures without an order of their own")
    reader.ue()  # pic_parameter_set_id
    if sps.has_separate_planes:
        reader.bits(2)
    numbers_at = reader.position
    frame_number = reader.bits(sps.frame_number_bits)
    if not sps.is_progressive and reader.flag():
        raise BadInputError("a field")
    order_low = reader.bits(sps.order_bits) if sps.order_type == 0 else 0
    order_bottom = reader.se() if sps.order_type == 0 and pps.has_bottom_order else 0
    if kind is SliceKind.B:
        reader.flag()  # direct_spatial_mv_pred_flag
    active = _active(reader, pps, kind)
    changes = (
        _changes(reader) if kind is not SliceKind.I else (),
        _changes(reader) if kind is SliceKind.B else (),
    )
    if (kind is SliceKind.P and pps.is_weighted) or (kind is SliceKind.B and pps.weights_b == _EXPLICIT):
        _skip_weights(reader, active, has_chroma=sps.chroma_format != 0 and not sps.has_separate_planes)
    is_reference = nal[0] & 0x60 != 0
    begin = reader.position
    marks = _marks(reader) if is_reference and reader.flag() else None
    return SliceHeader(
        sps, pps, kind, is_reference, frame_number, order_low, order_bottom, active, changes, marks,
        numbers_at, (begin, reader.position),
    )  # fmt: skip


def with_marks(nal: bytes, header: SliceHeader, marks: Marks) -> bytes:
    """Write a reference's slice with other memory management operations; all else stays. Raises BadInputError."""
    return _rewritten(nal, header, header.marks_at[0], _mark_codes(marks))


def in_place_of(nal: bytes, header: SliceHeader, replaced: SliceHeader, marks: Marks) -> bytes:
    """Write an I slice with the numbers of another picture, and with these memory management operations if it has any.

    A decoder then holds this picture where it would hold the other. Raises BadInputError.
    """
    if header.kind is not SliceKind.I:
        raise BadInputError("a slice that refers to others in place of one that does")
    sps = header.sps
    codes = format(replaced.frame_number, f"0{sps.frame_number_bits}b") + ("" if sps.is_progressive else "0")
    if sps.order_type == 0:
        codes += format(replaced.order_low, f"0{sps.order_bits}b")
        codes += se_code(replaced.order_bottom) if header.pps.has_bottom_order else ""
    return _rewritten(nal, header, header.numbers_at, codes + ("0" if replaced.marks is None else _mark_codes(marks)))


def _mark_codes(marks: Marks) -> str:
    return "1" + "".join(ue_code(number) for mark in (*marks, (0,)) for number in mark)


def _rewritten(nal: bytes, header: SliceHeader, begin: int, codes: str) -> bytes:
    """Put codes in place of the bits from `begin` to the last one that was read."""
    raw, end = unescape(nal), header.marks_at[1]
    if not header.pps.is_cabac:  # what follows begins at any bit
        bits = bit_string(raw)
        bits = bits[:begin] + codes + bits[end:]
        bits = bits[: bits.rfind("1") + 1]
        return escape(bytes_of(bits + "0" * (-len(bits) % 8)))
    reader = BitReader(raw[:_HEADER_BYTES])
    reader.position = end
    if header.kind is not SliceKind.I:
        reader.ue()  # cabac_init_idc
    reader.se()  # slice_qp_delta
    if header.pps.has_deblocking and reader.ue() != 1:
        reader.se()  # slice_alpha_c0_offset_div2
        reader.se()  # slice_beta_offset_div2
    bits = bit_string(raw[:_HEADER_BYTES])
    head = bits[:begin] + codes + bits[end : reader.position]
    head += "1" * (-len(head) % 8)  # cabac_alignment_one_bit
    return escape(bytes_of(head) + raw[-(-reader.position // 8) :])


@lru_cache(maxsize=64)
def parse_pps(nal: bytes) -> Pps:
    """Read a PPS up to its last flag that matters. Raises BadInputError, also for what is not read here."""
    if len(nal) > SET_BYTES_MAX or nal_type(nal) != NalType.PPS:
        raise BadInputError("not a picture parameter set")
    reader = BitReader(unescape(nal))
    reader.bits(8)
    reader.ue()
    sps_id = reader.ue()
    is_cabac = reader.flag()
    has_bottom_order = reader.flag()
    if reader.ue():
        raise BadInputError("slice groups")
    active = reader.ue() + 1, reader.ue() + 1
    is_weighted, weights_b = reader.flag(), reader.bits(2)
    reader.se()  # pic_init_qp_minus26
    reader.se()  # pic_init_qs_minus26
    reader.se()  # chroma_qp_index_offset
    has_deblocking = reader.flag()
    reader.flag()  # constrained_intra_pred_flag
    if reader.flag():
        raise BadInputError("redundant pictures")
    if max(active) > _REFERENCES_MAX:
        raise BadInputError("a picture parameter set outside the standard's limits")
    return Pps(sps_id, has_bottom_order, active, is_weighted, weights_b, is_cabac, has_deblocking)


def _kind(slice_type: int) -> SliceKind:
    try:
        return SliceKind(slice_type % 5)
    except ValueError as error:
        raise BadInputError("a switching slice") from error


def _active(reader: BitReader, pps: Pps, kind: SliceKind) -> tuple[int, int]:
    first, second = pps.active
    if kind is SliceKind.I:
        return 0, 0
    if reader.flag():  # num_ref_idx_active_override_flag
        first = reader.ue() + 1
        second = reader.ue() + 1 if kind is SliceKind.B else 0
    if max(first, second) > _REFERENCES_MAX:
        raise BadInputError("a slice header outside the standard's limits")
    return first, second if kind is SliceKind.B else 0


def _changes(reader: BitReader) -> tuple[tuple[int, int], ...]:
    """Read how a list of references is changed (H.264 7.3.3.1)."""
    changes: list[tuple[int, int]] = []
    if not reader.flag():
        return ()
    while (operation := reader.ue()) != _END_OF_CHANGES:
        if operation > _END_OF_CHANGES or len(changes) >= _REFERENCES_MAX:
            raise BadInputError("a slice header outside the standard's limits")
        changes.append((operation, reader.ue()))
    return tuple(changes)


def _skip_weights(reader: BitReader, active: tuple[int, int], *, has_chroma: bool) -> None:
    """Pass over how references are weighted (H.264 7.3.3.2)."""
    reader.ue()  # luma_log2_weight_denom
    if has_chroma:
        reader.ue()  # chroma_log2_weight_denom
    for _ in range(sum(active)):
        for numbers in (2, 4) if has_chroma else (2,):
            if reader.flag():
                for _ in range(numbers):
                    reader.se()


def _marks(reader: BitReader) -> Marks:
    """Read memory management operations, each with its operands (H.264 7.3.3.3)."""
    marks: list[tuple[int, ...]] = []
    while operation := reader.ue():
        if operation not in _OPERANDS or len(marks) >= _MARKS_MAX:
            raise BadInputError("a slice header outside the standard's limits")
        marks.append((operation, *(reader.ue() for _ in range(_OPERANDS[operation]))))
    return tuple(marks)
