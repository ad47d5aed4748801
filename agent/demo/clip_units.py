"""Coded pictures taken apart as far as knowing them again needs it: their slices, and what else came with them.

Rules of this file: written from the standards alone, it shares nothing with the cutter it judges. Whatever the bytes
are, only BadInputError is raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from agent.demo.camera_log import SliceMark
from agent.errors import BadInputError

_MARK_BYTES: Final = 16  # of a SHA-256
_MIDDLE_BYTES: Final = 32
_MIDDLE_VALUES_MIN: Final = 20  # different ones among them; a pattern that repeats is found in any picture like it
_MIDDLE_FROM_BYTES: Final = 96  # shorter slices may be alike by chance
_GOLOMB_ZEROS_MAX: Final = 32
_H264_TYPES: Final = (frozenset({1, 5}), frozenset({7, 8}), frozenset({6}))  # of slices, parameter sets, SEI
_H265_TYPES: Final = (frozenset({*range(10), *range(16, 22)}), frozenset({32, 33, 34}), frozenset({39, 40}))
_H265_RANDOM_ACCESS: Final = range(16, 24)  # H.265 table 7-1: these have one flag more in the slice header
_HARMLESS_SEI: Final = frozenset({0, 1, 6, 45, 47})  # buffering, timing, recovery, frame packing, orientation
_H265_HARMLESS_SEI: Final = _HARMLESS_SEI | {137, 144}  # and what brightness the pictures are made for
_JPEG_SCAN: Final = b"\xff\xda"
_JPEG_END: Final = b"\xff\xd9"


class What(Enum):
    """What a unit of a coded picture is."""

    SLICE = "slice"
    SET = "parameter set"
    SHOWING = "message about how to show this picture"
    OTHER = "unit that does not belong in a clip"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a sample."""

    what: What
    content: bytes
    number: int = -1  # its type in the standard's table


def units_of(codec: str, sample: bytes) -> list[Unit]:
    """Take a sample of a clip apart; raises BadInputError if its units do not fill it to the last byte."""
    if codec == "jpeg":
        return _jpeg_units(sample)
    return [Unit(*_classify(codec, nal)) for nal in _nals(sample)]


def marks_of(codec: str, sent: Iterable[bytes]) -> tuple[SliceMark, ...]:
    """Mark the slices among the units that a camera sent for one picture; of JPEG its one picture."""
    units = (unit for piece in sent for unit in _sent_units(codec, piece))
    return tuple(mark_of(codec, unit.content) for unit in units if unit.what is What.SLICE)


def mark_of(codec: str, content: bytes) -> SliceMark:
    """Mark one slice."""
    try:
        without = _without_id(codec, content)
    except BadInputError:
        without = content
    middle = content[len(content) // 2 :][:_MIDDLE_BYTES]
    is_own = len(content) >= _MIDDLE_FROM_BYTES and len(set(middle)) >= _MIDDLE_VALUES_MIN
    return SliceMark(hash_of(content), hash_of(without), middle.hex() if is_own else "")


def _sent_units(codec: str, piece: bytes) -> list[Unit]:
    return _jpeg_units(piece) if codec == "jpeg" else [Unit(*_classify(codec, piece))]


def hash_of(content: bytes) -> str:
    """Return by what bytes are known again: 16 bytes of their SHA-256, in hex."""
    return hashlib.sha256(content).digest()[:_MARK_BYTES].hex()


def _nals(sample: bytes) -> Iterator[bytes]:
    """Yield the NAL units behind their 4-byte lengths (ISO/IEC 14496-15)."""
    position = 0
    while position < len(sample):
        length = int.from_bytes(sample[position : position + 4], "big")
        nal = sample[position + 4 : position + 4 + length]
        if length == 0 or len(nal) != length:
            raise BadInputError("a sample that is not whole NAL units")
        yield nal
        position += 4 + length


def _classify(codec: str, nal: bytes) -> tuple[What, bytes, int]:
    is_h264 = codec == "h264"
    number, head = (nal[0] & 31, 1) if is_h264 else (nal[0] >> 1 & 63, 2)
    slices, sets, messages = _H264_TYPES if is_h264 else _H265_TYPES
    what = What.OTHER
    if number in slices:
        what = What.SLICE
    elif number in sets:
        what = What.SET
    elif number in messages and _is_harmless(nal[head:], _HARMLESS_SEI if is_h264 else _H265_HARMLESS_SEI):
        what = What.SHOWING
    return what, nal, number


def _is_harmless(messages: bytes, known: frozenset[int]) -> bool:
    """Say whether all SEI messages are about showing this picture, and nothing stands behind them (H.264 7.3.2.3)."""
    raw, position = messages.replace(b"\0\0\3", b"\0\0"), 0
    while len(raw) - position > 1:
        numbers = []
        for _ in range(2):
            total = 0
            while position < len(raw) and raw[position] == 0xFF:  # noqa: PLR2004 - 255 means more follows
                total, position = total + 255, position + 1
            total += raw[position] if position < len(raw) else 0
            numbers.append(total)
            position += 1
        if numbers[0] not in known:
            return False
        position += numbers[1]
    return raw[position:] == b"\x80"


def _without_id(codec: str, nal: bytes) -> bytes:
    """Return what of a slice stays when its parameter set is renumbered: all but that number, from the next bit on.

    Of an H.265 picture to enter at, how it says that it is one may change as well (a CRA picture becomes a BLA one).
    """
    if codec == "jpeg":
        return nal
    raw = nal.replace(b"\0\0\3", b"\0\0")
    bits = _Bits(raw)
    if codec == "h264":
        bits.skip(8)
        kept = [raw[0], bits.golomb(), bits.golomb()]  # H.264 7.3.3: first_mb_in_slice, slice_type
    else:
        number = raw[0] >> 1 & 63
        bits.skip(16)
        is_entry = number in _H265_RANDOM_ACCESS
        kept = [16 if is_entry else number, bits.flag()]  # H.265 7.3.6.1: first_slice_segment_in_pic_flag
        bits.skip(1 if is_entry else 0)
    bits.golomb()
    at, over = divmod(bits.position, 8)
    if at >= len(raw):
        raise BadInputError("a slice that is only its header")
    return repr(kept).encode() + bytes([raw[at] & 0xFF >> over]) + raw[at + 1 :]


class _Bits:
    def __init__(self, content: bytes) -> None:
        self._number = int.from_bytes(content[:64].ljust(64, b"\0"), "big")
        self.position = 0

    def flag(self) -> int:
        if self.position >= 512:  # noqa: PLR2004 - the 64 bytes that were read
            raise BadInputError("a slice header without an end")
        self.position += 1
        return self._number >> (512 - self.position) & 1

    def skip(self, count: int) -> None:
        self.position += count

    def golomb(self) -> int:
        """Read ue(v) (H.264 9.1)."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _GOLOMB_ZEROS_MAX:
                raise BadInputError("an endless number in a slice header")
        value = 1
        for _ in range(zeros):
            value = value << 1 | self.flag()
        return value - 1


def _jpeg_units(picture: bytes) -> list[Unit]:
    """Take a JPEG file apart: the scan is the picture, the rest tells how to read it and may be written anew."""
    at, end = 2, len(picture)
    if picture[:2] != b"\xff\xd8" or picture[-2:] != _JPEG_END:
        raise BadInputError("a sample that is not one JPEG picture")
    while picture[at : at + 2] != _JPEG_SCAN:
        if at + 4 > end or picture[at] != 0xFF:  # noqa: PLR2004 - every marker begins with it
            raise BadInputError("a JPEG picture without a scan")
        at += 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
    scan = picture[at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big") : -2]
    if _JPEG_END in scan:
        raise BadInputError("a sample with something behind its JPEG picture")
    return [Unit(What.SLICE, scan)]
