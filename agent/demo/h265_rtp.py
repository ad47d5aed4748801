"""Pictures to H.265 access units to RTP payloads (RFC 7798), for the virtual camera; the rest is as with H.264.

Rules of this file: as in `h264_rtp`: no socket and no clock.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.demo.h264_rtp import PACKET_BYTES_MAX, AccessUnit, EncoderSettings, LibavEncoder

_VPS, _SPS, _PPS = 32, 33, 34  # NAL unit types, H.265 table 7-1
_AP, _FU = 48, 49  # packet types, RFC 7798 section 4.4
_HEAD_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class H265AccessUnit(AccessUnit):
    """One encoded picture."""

    def payloads(self) -> Iterator[bytes]:
        """Yield RTP payloads: parameter sets as an aggregate, what fits as it is, the rest in fragments."""
        sets = [nal for nal in self.nal_units if _kind(nal) in (_VPS, _SPS, _PPS)]
        if sets:
            yield bytes((_AP << 1, 1)) + b"".join(struct.pack(">H", len(nal)) + nal for nal in sets)
        for nal in self.nal_units:
            if _kind(nal) in (_VPS, _SPS, _PPS):
                continue
            if len(nal) <= PACKET_BYTES_MAX:
                yield nal
            else:
                yield from _fragments(nal)


@dataclass(frozen=True, slots=True)
class H265ParameterSets:
    """A stream's VPS, SPS and PPS, as the SDP announces them."""

    vps: bytes
    sps: bytes
    pps: bytes

    @property
    def fmtp(self) -> str:
        """The format parameters of RFC 7798 section 7.1."""
        named = (("vps", self.vps), ("sps", self.sps), ("pps", self.pps))
        return ";".join(f"sprop-{name}={b64encode(nal).decode()}" for name, nal in named)


class H265Encoder(LibavEncoder):
    """x265 as small cameras use it: closed groups of `gop` pictures, parameter sets before each."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__("libx265", settings, _x265_options(settings), H265AccessUnit)


def h265_parameter_sets(settings: EncoderSettings) -> H265ParameterSets:
    """Find out the parameter sets that an encoder with these settings will send."""
    encoder = H265Encoder(settings)
    blank = np.full((settings.height * 3 // 2, settings.width), 128, np.uint8)
    first = (encoder.encode(blank, 0) + encoder.flush())[0]
    by_kind = {_kind(nal): nal for nal in first.nal_units}
    return H265ParameterSets(by_kind[_VPS], by_kind[_SPS], by_kind[_PPS])


def _x265_options(settings: EncoderSettings) -> dict[str, str]:
    gop, kbps = settings.gop, settings.bitrate_bps // 1000
    exact = (
        f"log-level=none:keyint={gop}:min-keyint={gop}:scenecut=0:bframes={settings.b_frames}:b-adapt=0:open-gop=0"
        f":repeat-headers=1:rc-lookahead={settings.b_frames + 1}:pools=1:frame-threads=1:b-pyramid=0"
        f":vbv-maxrate={kbps}:vbv-bufsize={kbps}"
    )
    options = {"preset": "ultrafast", "forced-idr": "1", "x265-params": exact}
    return options | ({"tune": "zerolatency"} if settings.b_frames == 0 else {})


def _kind(nal: bytes) -> int:
    return nal[0] >> 1 & 0x3F


def _fragments(nal: bytes) -> Iterator[bytes]:
    """Yield FU packets (RFC 7798 section 4.4.3)."""
    head, step = bytes((nal[0] & 0x81 | _FU << 1, nal[1])), PACKET_BYTES_MAX - _HEAD_BYTES - 1
    for start in range(_HEAD_BYTES, len(nal), step):
        first = 0x80 if start == _HEAD_BYTES else 0
        last = 0x40 if start + step >= len(nal) else 0
        yield head + bytes((first | last | _kind(nal),)) + nal[start : start + step]
