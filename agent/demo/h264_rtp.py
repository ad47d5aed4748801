"""Pictures to H.264 access units to RTP packets, with RTCP sender reports that name the very same instants.

Rules of this file: no socket and no clock. A packet's RTP timestamp is its picture's capture tick plus the session's
random offset, exactly; a sender report's NTP time is within 0.12 ns of its RTP timestamp.
"""

from __future__ import annotations

import secrets
import struct
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from agent.demo.camera_cadence import TICKS_HZ, ntp_of_ticks
from agent.demo.scene import Planes

PAYLOAD_TYPE: Final = 96
PACKET_BYTES_MAX: Final = 1400  # RTP payload: fits an Ethernet frame with every header there may be
_IDR, _SPS, _PPS = 5, 7, 8  # NAL unit types, H.264 table 7-1
_STAP_A, _FU_A = 24, 28  # packet types, RFC 6184 table 1
_WRAP: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How one stream is encoded. `gop` is the distance of key pictures in pictures."""

    width: int = 640
    height: int = 360
    fps: int = 15
    gop: int = 30
    b_frames: int = 0
    bitrate_bps: int = 400_000
    codec: str = "H264"  # or "H265"


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture: its NAL units without start codes, and when it was taken. In decoding order."""

    ticks: int
    is_key: bool
    nal_units: tuple[bytes, ...]

    def payloads(self) -> Iterator[bytes]:
        """Yield the RTP payloads of the picture (RFC 6184 sections 5.4-5.8)."""
        return _payloads(self.nal_units)


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """A stream's SPS and PPS, as the SDP announces them."""

    sps: bytes
    pps: bytes

    @property
    def fmtp(self) -> str:
        """The format parameters of RFC 6184 section 8.1."""
        sprop = ",".join(b64encode(nal).decode() for nal in (self.sps, self.pps))
        return f"packetization-mode=1;profile-level-id={self.sps[1:4].hex().upper()};sprop-parameter-sets={sprop}"


class LibavEncoder:
    """One of libav's encoders, by `name`, that takes pictures and gives access units of the type `unit`."""

    def __init__(self, name: str, settings: EncoderSettings, options: dict[str, str], unit: type[AccessUnit]) -> None:
        context = av.CodecContext.create(name, "w")
        if not isinstance(context, VideoCodecContext):
            raise TypeError(f"{name} is not a video encoder")
        context.width, context.height, context.pix_fmt = settings.width, settings.height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, TICKS_HZ), Fraction(settings.fps)
        context.bit_rate, context.gop_size, context.max_b_frames = settings.bitrate_bps, settings.gop, settings.b_frames
        context.thread_count = 1
        context.options = options
        context.open()
        self._unit, self._context = unit, context

    def encode(self, planes: Planes, ticks: int, *, is_key: bool = False) -> list[AccessUnit]:
        """Take one picture, as a key picture if one was asked for; return the access units that are now complete.

        Later ones come first, if there are B-frames.
        """
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        if is_key:
            frame.pict_type = PictureType.I
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS_HZ)
        return [self._access_unit(packet) for packet in self._context.encode(frame)]

    def flush(self) -> list[AccessUnit]:
        """End the stream; return what the encoder still held."""
        return [self._access_unit(packet) for packet in self._context.encode(None)]

    def _access_unit(self, packet: av.Packet[VideoStream]) -> AccessUnit:
        if packet.pts is None:
            raise ValueError("the encoder lost a picture's time")
        return self._unit(packet.pts, packet.is_keyframe, tuple(split_annex_b(bytes(packet))))


class H264Encoder(LibavEncoder):
    """x264 as small cameras use it: constant rate, a key picture every `gop`, headers before each of them."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__("libx264", settings, _x264_options(settings), AccessUnit)


def parameter_sets(settings: EncoderSettings) -> ParameterSets:
    """Find out the SPS and PPS that an encoder with these settings will send."""
    encoder = H264Encoder(settings)
    blank = np.full((settings.height * 3 // 2, settings.width), 128, np.uint8)
    first = (encoder.encode(blank, 0) + encoder.flush())[0]
    by_type = {nal[0] & 0x1F: nal for nal in first.nal_units}
    return ParameterSets(by_type[_SPS], by_type[_PPS])


class RtpSession:
    """Turns access units into RTP packets and sender reports for one receiver, with numbers of its own."""

    def __init__(self) -> None:
        self.ssrc = secrets.randbits(32)
        self.offset_ticks = secrets.randbits(32)
        self.sequence = secrets.randbits(16)
        self._packets = 0
        self._octets = 0

    def payloads(self, unit: AccessUnit) -> list[bytes]:
        """Return the RTP payloads of one picture, in order."""
        return list(unit.payloads())

    def is_marked(self, number: int, count: int) -> bool:
        """Say whether packet `number` of `count` has the marker: the last one of a picture (RFC 6184 section 5.1)."""
        return number == count - 1

    def picture_timestamp(self, ticks: int) -> int:
        """Return the RTP timestamp that a picture of this capture tick gets."""
        return self.timestamp(ticks)

    def timestamp(self, ticks: int) -> int:
        """Return the RTP timestamp of a capture tick."""
        return (ticks + self.offset_ticks) % _WRAP

    def packets(self, unit: AccessUnit) -> Iterator[bytes]:
        """Yield the RTP packets of one picture; the last one has the marker (RFC 6184 sections 5.4-5.8)."""
        payloads, timestamp = self.payloads(unit), self.picture_timestamp(unit.ticks)
        for number, payload in enumerate(payloads):
            marker = 0x80 if self.is_marked(number, len(payloads)) else 0
            head = (0x80, marker | PAYLOAD_TYPE, self.sequence, timestamp, self.ssrc)
            self.sequence = (self.sequence + 1) % 0x10000
            self._packets += 1
            self._octets += len(payload)
            yield struct.pack(">BBHII", *head) + payload

    def sender_report(self, ticks: int) -> bytes:
        """Write the compound RTCP packet (SR, SDES CNAME) that says which RTP timestamp tick `ticks` has."""
        counts = (self._packets % _WRAP, self._octets % _WRAP)
        report = struct.pack(">BBHIQIII", 0x80, 200, 6, self.ssrc, ntp_of_ticks(ticks), self.timestamp(ticks), *counts)
        name = b"camera"
        items = bytes((1, len(name))) + name + b"\0"
        items += bytes(-len(items) % 4)
        return report + struct.pack(">BBHI", 0x81, 202, 1 + len(items) // 4, self.ssrc) + items


def _x264_options(settings: EncoderSettings) -> dict[str, str]:
    gop = settings.gop
    exact = f"keyint={gop}:min-keyint={gop}:scenecut=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:sliced-threads=0"
    options = {"preset": "ultrafast", "forced-idr": "1", "x264-params": exact, "maxrate": str(settings.bitrate_bps)}
    options["bufsize"] = str(settings.bitrate_bps)
    if settings.b_frames == 0:
        return options | {"tune": "zerolatency"}
    options["x264-params"] += f":bframes={settings.b_frames}:b-adapt=0:b-pyramid=0"
    return options | {"preset": "superfast"}


def split_annex_b(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units between start codes (H.264 annex B; a zero before a start code belongs to the code)."""
    for piece in stream.split(b"\0\0\1")[1:]:
        nal = piece.rstrip(b"\0")  # a NAL unit never ends in a zero byte
        if nal:
            yield nal


def _payloads(nal_units: tuple[bytes, ...]) -> Iterator[bytes]:
    headers = [nal for nal in nal_units if nal[0] & 0x1F in (_SPS, _PPS)]
    if headers:
        importance = max(nal[0] & 0x60 for nal in headers)
        yield bytes((importance | _STAP_A,)) + b"".join(struct.pack(">H", len(nal)) + nal for nal in headers)
    for nal in nal_units:
        if nal[0] & 0x1F in (_SPS, _PPS):
            continue
        if len(nal) <= PACKET_BYTES_MAX:
            yield nal
        else:
            yield from fragments(nal)


def fragments(nal: bytes) -> Iterator[bytes]:
    """Yield FU-A packets (RFC 6184 section 5.8)."""
    indicator, kind, step = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F, PACKET_BYTES_MAX - 2
    for start in range(1, len(nal), step):
        first = 0x80 if start == 1 else 0
        last = 0x40 if start + step >= len(nal) else 0
        yield bytes((indicator, first | last | kind)) + nal[start : start + step]
