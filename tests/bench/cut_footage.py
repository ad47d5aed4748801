"""The footage that every cutter of a bench cuts: a loop of video, as wire chunks of a ring and as one MP4 file.

H.264 of 1080p at 30 pictures a second and 4 Mbit/s is what a camera of a shop sends, H.265 of 4K at 25 and 8 Mbit/s
what the largest ones do. Noisy pictures, no B pictures.
"""

from __future__ import annotations

import struct
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import CutOrder, WireChunk
from tests.bench.loop import Loop, Picture, load_loop, packetise, save_loop

TICKS_HZ: Final = 90_000
PACKET_BYTES: Final = 1400
EPOCH: Final = WallTime(1_795_000_000 * SECOND_NS)
_ANCHOR: Final = Anchor(0, EPOCH, 2_000_000, ClockSource.SR_ONVIF)


@dataclass(frozen=True, slots=True)
class Film:
    """How footage is made."""

    encoding: str  # as SDP has it
    name: str
    size: str
    rate: int  # pictures a second
    gop_s: int
    loop_s: int  # holds a whole number of groups of pictures
    file_s: int  # of the MP4 file: the longest window that is cut from it, and what is before it
    encoder: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """The same, as it stands in file names."""
        return f"cut-{self.encoding.lower()}-{self.size}-gop{self.gop_s}"


def shop_film(gop_s: int) -> Film:
    """Film as a camera of a shop does, with a key picture every `gop_s`, which 20 s hold without rest."""
    gop = gop_s * 30
    x264 = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1:sliced-threads=0"
    rate = ("-b:v", "4M", "-maxrate", "4.4M", "-bufsize", "4M", "-pix_fmt", "yuv420p")
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", *rate, "-x264-params", x264)
    return Film("H264", f"H.264 1080p30, GOP {gop_s} s", "1920x1080", 30, gop_s, 20, 80, (*encoder, "-f", "h264"))


def large_film() -> Film:
    """Film as the largest cameras do."""
    x265 = "keyint=100:min-keyint=100:scenecut=0:bframes=0:repeat-headers=1:log-level=none"
    rate = ("-b:v", "8M", "-pix_fmt", "yuv420p")
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", *rate, "-x265-params", x265, "-f", "hevc")
    return Film("H265", "H.265 4K25, GOP 4 s", "3840x2160", 25, 4, 12, 36, encoder)


@dataclass(frozen=True, slots=True)
class CutFootage:
    """One sort of footage, and where it lies."""

    film: Film
    loop: Path
    mp4: Path

    @property
    def name(self) -> str:
        """For people."""
        return self.film.name

    @property
    def gop_s(self) -> int:
        """From key picture to key picture."""
        return self.film.gop_s

    def pictures(self, seconds: float) -> int:
        """Count the pictures of so many seconds."""
        return round(seconds * self.film.rate)

    def start_s(self, edge_s: float) -> float:
        """Return where to begin so that `edge_s` seconds must be encoded anew before the first key picture inside."""
        key = -(-10 // self.gop_s) * self.gop_s
        return key - edge_s + (self.gop_s if edge_s else 0)

    def order(self, start_s: float, end_s: float) -> CutOrder:
        """Order this window."""
        fmtp = next(line for line in load_loop(self.loop).sdp.splitlines() if line.startswith("a=fmtp:96 "))
        track = Track(0, "video", self.film.encoding, 96, TICKS_HZ, fmtp.removeprefix("a=fmtp:96 "))
        window = Window(WallTime(EPOCH + round(start_s * SECOND_NS)), WallTime(EPOCH + round(end_s * SECOND_NS)))
        return CutOrder(window, (StreamHeader(CameraId("cam-1"), 1, (track,), "bench"),))

    def chunks(self, start_s: float, end_s: float) -> list[WireChunk]:
        """Make what the hub's plan reads for a window: from the key picture before it to the second behind it."""
        loop = load_loop(self.loop)
        first = int(start_s // self.gop_s * self.gop_s) * self.film.rate
        last = (int(-(-end_s // 1)) + 1) * self.film.rate
        return list(wire_chunks(loop, first, last, self.film.rate))


def prepare_footage(folder: Path, film: Film) -> CutFootage:
    """Make footage, or find it made. Raises CalledProcessError, or OSError without ffmpeg."""
    loop, mp4 = folder / f"{film.file_name}.loop", folder / f"{film.file_name}.mp4"
    if not (loop.exists() and mp4.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        stream = encode(film)
        save_loop(packetise(stream) if film.encoding == "H264" else packetise_h265(stream), loop)
        command = ("ffmpeg", "-loglevel", "error", "-y", "-r", str(film.rate), "-f", film.encoder[-1], "-i", "-")
        subprocess.run((*command, "-c", "copy", mp4), input=stream * (film.file_s // film.loop_s), check=True)
    return CutFootage(film, loop, mp4)


def encode(film: Film) -> bytes:
    """Film and encode; returns an Annex B stream."""
    source = f"testsrc2=size={film.size}:rate={film.rate},noise=alls=14:allf=t+u"
    command = ("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-t", str(film.loop_s), *film.encoder, "-")
    return subprocess.run(command, check=True, stdout=-1).stdout


def packetise_h265(stream: bytes) -> Loop:
    """Cut an Annex B stream of one slice a picture into RTP packets in interleaved frames (RFC 7798)."""
    # Imported here only: it loads libav, which a measured process must not have in memory.
    from agent.cut.bits import split_annex_b  # noqa: PLC0415 - the reason stands above
    from tests.simulators.h265_source import kind, packetize_h265  # noqa: PLC0415 - the reason stands above

    pictures, nals = [], list[bytes]()
    names, sets = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}, dict[int, bytes]()
    for nal in split_annex_b(stream):
        nals.append(nal)
        sets |= {kind(nal): nal} if kind(nal) in names else {}
        if kind(nal) > 31:  # a slice ends the picture
            continue
        payloads, wire, ends = packetize_h265(nals, PACKET_BYTES), bytearray(), list[int]()
        for payload in payloads:
            marker = 0x80 if len(ends) == len(payloads) - 1 else 0
            packet = struct.pack(">BBHII", 0x80, marker | 96, 0, 0, 7) + payload
            wire += struct.pack(">BBH", ord("$"), 0, len(packet)) + packet
            ends.append(len(wire))
        pictures.append(Picture(kind(nal) in range(16, 22), bytes(wire), tuple(ends)))
        nals = []
    fmtp = ";".join(f"{names[number]}={b64encode(nal).decode()}" for number, nal in sets.items())
    return Loop(f"a=fmtp:96 {fmtp}\r\n", tuple(pictures))


def wire_chunks(loop: Loop, first: int, last: int, rate: int) -> Iterator[WireChunk]:
    """Yield pictures `[first, last)` of the endless loop as chunks of about a second; key pictures begin one."""
    per_loop = sum(len(picture.ends) for picture in loop.pictures)
    before = [0]
    for picture in loop.pictures:
        before.append(before[-1] + len(picture.ends))
    wire, number, chunk = bytearray(), first, 0
    while number < last:
        round_, place = divmod(number, len(loop.pictures))
        picture = loop.pictures[place]
        if wire and (picture.is_key or (number - first) % rate == 0):
            yield WireChunk(1, chunk, _ANCHOR, bytes(wire))
            wire, chunk = bytearray(), chunk + 1
        wire += stamped(picture.wire, picture.ends, round_ * per_loop + before[place], number * TICKS_HZ // rate)
        number += 1
    yield WireChunk(1, chunk, _ANCHOR, bytes(wire))


def stamped(wire: bytes, ends: tuple[int, ...], sequence: int, timestamp: int) -> bytes:
    """Write a picture's RTP sequence numbers and time into its interleaved frames."""
    out, begin = bytearray(wire), 0
    for end in ends:
        struct.pack_into(">HI", out, begin + 6, sequence % 65536, timestamp % (1 << 32))
        begin, sequence = end, sequence + 1
    return bytes(out)
