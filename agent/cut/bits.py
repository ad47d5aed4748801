"""Bits of H.264 and H.265 headers: read them, write them, and keep start codes out of them (H.264 7.2, 7.4.1, 9.1).

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agent.errors import BadInputError

GOLOMB_BITS_MAX: Final = 32  # leading zeros of the longest code the standard uses
_NEEDS_ESCAPE: Final = re.compile(rb"\x00\x00(?=[\x00-\x03])")


class BitReader:
    """Reads bits from the front of bytes; `position` counts bits."""

    __slots__ = ("_bits", "position")

    def __init__(self, content: bytes) -> None:
        self._bits = format(int.from_bytes(content, "big"), f"0{len(content) * 8}b") if content else ""
        self.position = 0

    def bits(self, count: int) -> int:
        """Read `count` bits as an unsigned number."""
        end = self.position + count
        if end > len(self._bits):
            raise BadInputError("a header ends before its last field")
        taken, self.position = self._bits[self.position : end], end
        return int(taken, 2) if taken else 0

    def flag(self) -> bool:
        """Read one bit."""
        return self.bits(1) == 1

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb code (H.264 9.1)."""
        one = self._bits.find("1", self.position, self.position + GOLOMB_BITS_MAX + 1)
        if one < 0:
            raise BadInputError("a header holds an endless number")
        zeros, self.position = one - self.position, one
        return self.bits(zeros + 1) - 1

    def se(self) -> int:
        """Read a signed Exp-Golomb code (H.264 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def ue_code(value: int) -> str:
    """Write an unsigned Exp-Golomb code as a string of 0 and 1."""
    return "0" * ((value + 1).bit_length() - 1) + format(value + 1, "b")


def se_code(value: int) -> str:
    """Write a signed Exp-Golomb code as a string of 0 and 1."""
    return ue_code(2 * value - 1 if value > 0 else -2 * value)


def bit_string(content: bytes) -> str:
    """Write bytes as a string of 0 and 1."""
    return format(int.from_bytes(content, "big"), f"0{len(content) * 8}b") if content else ""


def bytes_of(bits: str) -> bytes:
    """Write a string of whole bytes of 0 and 1 as bytes."""
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def unescape(nal: bytes) -> bytes:
    """Take the emulation prevention bytes out of a NAL unit."""
    return nal.replace(b"\0\0\3", b"\0\0")


def escape(raw: bytes) -> bytes:
    """Put emulation prevention bytes in, so that no start code appears."""
    return _NEEDS_ESCAPE.sub(b"\0\0\3", raw)


def longer_codes(value: int) -> range:
    """Return the numbers whose unsigned Exp-Golomb codes are exactly 8 bits longer than that of `value`."""
    zeros = (value + 1).bit_length() + 3
    return range(2**zeros - 1, 2 ** (zeros + 1) - 1)


def equal_codes(value: int) -> range:
    """Return the numbers whose unsigned Exp-Golomb codes are as long as that of `value`."""
    zeros = (value + 1).bit_length() - 1
    return range(2**zeros - 1, 2 ** (zeros + 1) - 1)


def replace_code(nal: bytes, begin: int, end: int, code: str) -> bytes:
    """Put a code as long, or 8 bits longer, in place of bits `[begin, end)`: what follows is moved, not looked at.

    Raises BadInputError if the code has another length.
    """
    if len(code) - (end - begin) not in (0, 8):
        raise BadInputError("a number that does not fit into this header")
    raw, whole = unescape(nal), (end + 7) // 8
    bits = bit_string(raw[:whole])
    head = bytes_of(bits[:begin] + code + bits[end:])
    return escape(head + raw[whole:]) + (b"\3" if nal.endswith(b"\0\0\3") else b"")


def with_trailing_bits(bits: str) -> bytes:
    """Close a header: a 1, zeros up to a whole byte, escapes (H.264 7.3.2.11)."""
    bits += "1"
    return escape(bytes_of(bits + "0" * (-len(bits) % 8)))


def annex_b(nals: Iterable[bytes]) -> bytes:
    """Write NAL units as a byte stream (H.264 annex B)."""
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


def split_annex_b(stream: bytes) -> list[bytes]:
    """Split a byte stream into NAL units (H.264 annex B)."""
    parts = stream.split(b"\0\0\1")[1:]
    return [nal for part in parts if (nal := part.rstrip(b"\0"))]
