"""RTP as cameras send it that do not keep to RFC 6184: markers, timestamps and parameter sets in odd places.

Rules of this file: as in `h264_rtp`: no socket and no clock; a camera without quirks sends what that file says.
"""

from __future__ import annotations

from typing import Final

from agent.demo.camera_cadence import TICKS_HZ
from agent.demo.camera_quirks import Quirks
from agent.demo.h264_rtp import PACKET_BYTES_MAX, AccessUnit, RtpSession, fragments

JUMP_TICKS: Final = 5 * 3600 * TICKS_HZ
_START_CODE: Final = b"\0\0\0\1"
_SPS, _PPS = 7, 8  # NAL unit types, H.264 table 7-1


class OddRtpSession(RtpSession):
    """One receiver's packets, with the camera's quirks."""

    def __init__(self, quirks: Quirks) -> None:
        super().__init__()
        self._quirks = quirks
        self._pictures = 0

    def payloads(self, unit: AccessUnit) -> list[bytes]:
        """Return the RTP payloads of one picture, in order."""
        if self._quirks.is_annex_b and unit.is_key:
            whole = _START_CODE.join(unit.nal_units)  # under the header of its first NAL unit, an SPS
            return [whole] if len(whole) <= PACKET_BYTES_MAX else list(fragments(whole))
        if self._quirks.has_sets_apart:
            sets = [nal for nal in unit.nal_units if nal[0] & 0x1F in (_SPS, _PPS)]
            rest = tuple(nal for nal in unit.nal_units if nal not in sets)
            return [*sets, *AccessUnit(unit.ticks, unit.is_key, rest).payloads()]
        return super().payloads(unit)

    def is_marked(self, number: int, count: int) -> bool:
        """Say whether packet `number` of `count` has the marker."""
        if self._quirks.has_sets_apart:
            return number < 2 or number == count - 1  # noqa: PLR2004 - SPS and PPS
        return {"last": number == count - 1, "never": False, "every": True}[self._quirks.marker]

    def picture_timestamp(self, ticks: int) -> int:
        """Return the RTP timestamp that a picture of this capture tick gets."""
        self._pictures += 1
        is_odd = self._quirks.jump_every > 0 and self._pictures % self._quirks.jump_every == 0
        return self.timestamp(ticks + JUMP_TICKS * is_odd)
