"""The pictures every recorder of a bench is sent: one loop of H.264, encoded and cut into RTP packets once.

1080p at 25 pictures a second, about 4 Mbit/s, a key picture every 50, no B pictures, packets of at most 1400 bytes:
what a camera of a shop sends. Some 374 RTP packets a second.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

PICTURES_PER_S: Final = 25
TICKS_HZ: Final = 90_000
GOP_PICTURES: Final = 50
LOOP_S: Final = 20
_NAL_MASK, _IDR, _SLICE, _SPS, _PPS = 0x1F, 5, 1, 7, 8  # NAL unit types, H.264 table 7-1
_X264: Final = "keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1:sliced-threads=0"
_RATE: Final = ("-b:v", "4M", "-maxrate", "4.4M", "-bufsize", "4M")
_SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=bench\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{ticks}\r\na=fmtp:96 {fmtp}\r\na=framerate:{rate}\r\na=control:track\r\n"
)


class Picture(msgspec.Struct, frozen=True):
    """One picture as interleaved frames, one after the other; `ends` are the frames' ends in `wire`."""

    is_key: bool
    wire: bytes
    ends: tuple[int, ...]


class Loop(msgspec.Struct, frozen=True):
    """Pictures that can be sent again and again; sequence numbers, times and SSRC are filled in by who sends them."""

    sdp: str
    pictures: tuple[Picture, ...]

    @property
    def bytes_per_s(self) -> float:
        """How much one camera sends."""
        return sum(len(picture.wire) for picture in self.pictures) * PICTURES_PER_S / len(self.pictures)


def prepare_loop(folder: Path) -> Path:
    """Return the file with the loop, made on the first call. Raises CalledProcessError, or OSError without ffmpeg."""
    path = folder / f"camera-{LOOP_S}s.loop"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_loop(packetise(film(GOP_PICTURES)), path)
    return path


def save_loop(loop: Loop, path: Path) -> None:
    """Write a loop so that it is there whole or not at all."""
    new = path.with_suffix(f".{os.getpid()}")
    new.write_bytes(msgspec.msgpack.encode(loop))
    new.replace(path)


def load_loop(path: Path) -> Loop:
    """Read a loop back."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Loop)


def packetise(stream: bytes) -> Loop:
    """Cut an Annex B stream into RTP packets in interleaved frames."""
    # Imported here only: it loads libav, which the source and the recorders must not have in memory.
    from agent.demo.h264_rtp import AccessUnit, ParameterSets, RtpSession  # noqa: PLC0415 - the reason stands above

    units = list(_pictures(stream))
    sets = {nal[0] & _NAL_MASK: nal for nal in units[0]}
    session = RtpSession()
    pictures = []
    for nals in units:
        is_key = any(nal[0] & _NAL_MASK == _IDR for nal in nals)
        wire, ends = bytearray(), []
        for packet in session.packets(AccessUnit(0, is_key, nals)):
            wire += struct.pack(">BBH", ord("$"), 0, len(packet)) + packet
            ends.append(len(wire))
        pictures.append(Picture(is_key, bytes(wire), tuple(ends)))
    fmtp = ParameterSets(sets[_SPS], sets[_PPS]).fmtp
    return Loop(_SDP.format(ticks=TICKS_HZ, fmtp=fmtp, rate=PICTURES_PER_S), tuple(pictures))


def _pictures(stream: bytes) -> Iterator[tuple[bytes, ...]]:
    """Yield each picture's NAL units: its headers and its one slice."""
    nals: list[bytes] = []
    for piece in stream.split(b"\0\0\1")[1:]:
        nal = piece.rstrip(b"\0")  # a NAL unit never ends in a zero byte; the next start code may begin with one
        kind = nal[0] & _NAL_MASK
        if kind in (_IDR, _SLICE, _SPS, _PPS):
            nals.append(nal)
        if kind in (_IDR, _SLICE):
            yield tuple(nals)
            nals = []


def film(gop_pictures: int) -> bytes:
    """Film `LOOP_S` seconds with a key picture every `gop_pictures`; returns an Annex B stream."""
    source = f"testsrc2=size=1920x1080:rate={PICTURES_PER_S},noise=alls=14:allf=t+u"
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p", *_RATE)
    command = ("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-t", str(LOOP_S), *encoder)
    x264 = _X264.format(gop=gop_pictures)
    return subprocess.run((*command, "-x264-params", x264, "-f", "h264", "-"), check=True, stdout=-1).stdout
