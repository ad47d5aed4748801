"""One RTP packet of a picture to the answer whether the picture can be decoded without any before it."""

from __future__ import annotations

from typing import Final

_RTP_HEAD_BYTES: Final = 12
# H.264 (RFC 6184): sequence parameter set and IDR slice; slices that are no IDR.
_H264_KEY: Final = frozenset({5, 7})
_H264_OTHER: Final = frozenset({1, 2, 3, 4})
_H264_STAP_A, _H264_FU_A = 24, 28
# H.265 (RFC 7798): the pictures of random access (BLA, IDR, CRA) and the parameter sets VPS and SPS.
_H265_KEY: Final = frozenset({16, 17, 18, 19, 20, 21, 32, 33})
_H265_VCL_MAX: Final = 31
_H265_AP, _H265_FU = 48, 49
_FU_START: Final = 0x80


def is_key_packet(encoding: str, packet: memoryview) -> bool | None:
    """Say what one packet tells of its picture: it is key, it is not, or None if this packet does not tell.

    `packet` is a whole RTP packet. Hostile lengths inside it make the answer None, never an error.
    """
    if encoding == "JPEG":
        return True
    start = _payload_start(packet)
    types = _h264_types(packet, start) if encoding == "H264" else _h265_types(packet, start)
    answers = [_answer(encoding, nal_type) for nal_type in types]
    return next((answer for answer in answers if answer is not None), None)


def _answer(encoding: str, nal_type: int) -> bool | None:
    if encoding == "H264":
        return True if nal_type in _H264_KEY else False if nal_type in _H264_OTHER else None
    return True if nal_type in _H265_KEY else False if nal_type <= _H265_VCL_MAX else None


def _payload_start(packet: memoryview) -> int:
    """RFC 3550 section 5.1: the fixed header, contributing sources, then the extension with its length in words."""
    start = _RTP_HEAD_BYTES + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10 and start + 4 <= len(packet):
        start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    return start


def _h264_types(packet: memoryview, start: int) -> list[int]:
    if start >= len(packet):
        return []
    nal_type = packet[start] & 0x1F
    if nal_type == _H264_FU_A:
        is_first = start + 1 < len(packet) and packet[start + 1] & _FU_START
        return [packet[start + 1] & 0x1F] if is_first else []
    if nal_type == _H264_STAP_A:
        return [octet & 0x1F for octet in _aggregated(packet, start + 1)]
    return [nal_type]


def _h265_types(packet: memoryview, start: int) -> list[int]:
    if start + 2 >= len(packet):
        return []
    nal_type = packet[start] >> 1 & 0x3F
    if nal_type == _H265_FU:
        return [packet[start + 2] & 0x3F] if packet[start + 2] & _FU_START else []
    if nal_type == _H265_AP:
        return [octet >> 1 & 0x3F for octet in _aggregated(packet, start + 2)]
    return [nal_type]


def _aggregated(packet: memoryview, start: int) -> list[int]:
    """Return the first byte of each unit of an aggregation packet: a 16-bit length, then the unit."""
    firsts: list[int] = []
    while start + 2 < len(packet):
        firsts.append(packet[start + 2])
        start += 2 + (packet[start] << 8 | packet[start + 1])
    return firsts
