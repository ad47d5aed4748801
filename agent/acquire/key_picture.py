"""One RTP packet of a picture to the answer whether the picture can be decoded without any before it.

Key is, in H.264 (RFC 6184): an IDR picture; one of which a recovery point SEI says that it is right at once (open
GOP); one that brings an SPS, since encoders repeat that where decoding may begin, also those that refresh the picture
strip by strip and send no second IDR. In H.265 (RFC 7798): every picture of random access (BLA, IDR, CRA), and one that
brings a VPS or SPS. Every JPEG of which the beginning came. An AUD, a PPS or another SEI tells nothing, for they lead
other pictures too; no more do the packets of interleaved packetization (STAP-B, MTAP, FU-B) and PACI, which cameras do
not send.

Rules of this file: lengths inside a packet may lie; then the answer is None, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Final

UNITS_MAX: Final = 32  # looked at in one packet; those that decide come first
SEI_BYTES_MAX: Final = 256

Octets = bytes | mmap
KeyFinder = Callable[[Octets, int, int], bool | None]
"""Says what the RTP packet in `[at, end)` tells of its picture: it is key, it is not, or None: nothing."""

_RTP_HEAD_BYTES: Final = 12
_RTP_ODDITIES: Final = 0x3F  # padding, an extension, contributing sources
_PADDING, _EXTENSION, _SOURCES = 0x20, 0x10, 0x0F
_FU_START: Final = 0x80
_H264_SEI, _H264_STAP_A, _H264_FU_A = 6, 24, 28
# Slices (1 to 4) that are no IDR; IDR slice and SPS. Others tell nothing.
_H264_ANSWERS: Final = {1: False, 2: False, 3: False, 4: False, 5: True, 7: True}
_RECOVERY_POINT: Final = 6
_H265_AP, _H265_FU = 48, 49
# Slices (0 to 31), among them those of random access (16 to 21); VPS and SPS.
_H265_ANSWERS: Final = dict.fromkeys(range(32), False) | dict.fromkeys([*range(16, 22), 32, 33], True)


def key_finder(encoding: str) -> KeyFinder:
    """Return what reads packets of this encoding; of one that is not recorded, no packet tells anything."""
    return {"H264": _find_h264, "H265": _find_h265, "JPEG": _find_jpeg}.get(encoding, _find_nothing)


def is_all_key(encoding: str) -> bool:
    """Say whether every picture of this encoding is key."""
    return encoding == "JPEG"


def _find_h264(octets: Octets, at: int, end: int) -> bool | None:
    if octets[at] & _RTP_ODDITIES:
        at, end = _payload(octets, at, end)
    else:
        at += _RTP_HEAD_BYTES
    if at >= end:
        return None
    kind = octets[at] & 0x1F
    if kind == _H264_FU_A:
        is_first = at + 1 < end and octets[at + 1] & _FU_START
        return _H264_ANSWERS.get(octets[at + 1] & 0x1F) if is_first else None
    if kind == _H264_STAP_A:
        answers = (_h264_answer(octets, start, stop) for start, stop in _aggregated(octets, at + 1, end))
        return next((answer for answer in answers if answer is not None), None)
    return _h264_answer(octets, at, end)


def _h264_answer(octets: Octets, at: int, end: int) -> bool | None:
    kind = octets[at] & 0x1F
    if kind == _H264_SEI:
        return True if _is_recovery_point(octets[at + 1 : min(end, at + SEI_BYTES_MAX)]) else None
    return _H264_ANSWERS.get(kind)


def _find_h265(octets: Octets, at: int, end: int) -> bool | None:
    at, end = _payload(octets, at, end)
    if at + 2 >= end:  # a NAL unit header has two bytes
        return None
    kind = octets[at] >> 1 & 0x3F
    if kind == _H265_FU:
        return _H265_ANSWERS.get(octets[at + 2] & 0x3F) if octets[at + 2] & _FU_START else None
    if kind == _H265_AP:
        answers = (_H265_ANSWERS.get(octets[start] >> 1 & 0x3F) for start, _ in _aggregated(octets, at + 2, end))
        return next((answer for answer in answers if answer is not None), None)
    return _H265_ANSWERS.get(kind)


def _find_jpeg(octets: Octets, at: int, end: int) -> bool | None:
    at, end = _payload(octets, at, end)
    return octets[at + 1 : at + 4] == b"\0\0\0" if at + 4 <= end else None  # fragment offset (RFC 2435 3.1.2)


def _find_nothing(_octets: Octets, _at: int, _end: int) -> bool | None:
    return None


def _payload(octets: Octets, at: int, end: int) -> tuple[int, int]:
    """Find what stands between header, sources, extension with its length in words, and padding (RFC 3550 5.1)."""
    oddities, start = octets[at], at + _RTP_HEAD_BYTES
    if oddities & _PADDING:
        end -= octets[end - 1]
    start += 4 * (oddities & _SOURCES)
    if oddities & _EXTENSION:
        start += 4 + 4 * (octets[start + 2] << 8 | octets[start + 3]) if start + 4 <= end else 4
    return start, end


def _aggregated(octets: Octets, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the units of an aggregation packet stand: a 16-bit length, then the unit."""
    for _ in range(UNITS_MAX):
        if at + 2 >= end:
            return
        stop = at + 2 + (octets[at] << 8 | octets[at + 1])
        yield at + 2, min(stop, end)
        at = stop


def _is_recovery_point(messages: bytes) -> bool:
    """Say whether a recovery point is among an SEI unit's messages, and right at once (H.264 D.1.8, D.2.8)."""
    messages, at = messages.replace(b"\0\0\3", b"\0\0"), 0  # emulation prevention
    while at + 2 < len(messages):
        kind, size = messages[at], messages[at + 1]
        if size == 0xFF:  # noqa: PLR2004 - more than 254 bytes (H.264 7.3.2.3.1): no timing, which may come before it
            return False
        if kind == _RECOVERY_POINT:
            return messages[at + 2] >= 0x80  # noqa: PLR2004 - recovery_frame_cnt is ue(0): a single 1
        at += 2 + size
    return False
