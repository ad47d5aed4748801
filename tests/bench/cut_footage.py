"""The footage that every cutter of a bench cuts: a loop of H.264, as wire chunks of a ring and as one MP4 file.

1080p at 30 pictures a second, about 4 Mbit/s of noisy pictures, no B pictures: what a camera of a shop sends.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import CutOrder, WireChunk
from tests.bench.loop import Loop, load_loop, packetise, save_loop

PICTURES_PER_S: Final = 30
TICKS_HZ: Final = 90_000
LOOP_S: Final = 20  # holds a whole number of groups of 1, 4 and 10 s
FILE_S: Final = 80  # of the MP4 file: the longest window that is cut from it, and a group before it
EPOCH: Final = WallTime(1_795_000_000 * SECOND_NS)
_TICKS: Final = TICKS_HZ // PICTURES_PER_S
_ANCHOR: Final = Anchor(0, EPOCH, 2_000_000, ClockSource.SR_ONVIF)
_RATE: Final = ("-b:v", "4M", "-maxrate", "4.4M", "-bufsize", "4M")


@dataclass(frozen=True, slots=True)
class CutFootage:
    """One sort of footage: where it lies, and its key pictures' distance."""

    gop_s: int
    loop: Path
    mp4: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"H.264 1080p30, GOP {self.gop_s} s"

    def start_s(self, edge_s: float) -> float:
        """Return where to begin so that `edge_s` seconds must be encoded anew before the first key picture inside."""
        key = -(-10 // self.gop_s) * self.gop_s
        return key - edge_s + (self.gop_s if edge_s else 0)

    def order(self, start_s: float, end_s: float) -> CutOrder:
        """Order this window."""
        fmtp = next(line for line in load_loop(self.loop).sdp.splitlines() if line.startswith("a=fmtp:96 "))
        track = Track(0, "video", "H264", 96, TICKS_HZ, fmtp.removeprefix("a=fmtp:96 "))
        window = Window(WallTime(EPOCH + round(start_s * SECOND_NS)), WallTime(EPOCH + round(end_s * SECOND_NS)))
        return CutOrder(window, (StreamHeader(CameraId("cam-1"), 1, (track,), "bench"),))

    def chunks(self, start_s: float, end_s: float) -> list[WireChunk]:
        """Make what the hub's plan reads for a window: from the key picture before it to the second behind it."""
        loop = load_loop(self.loop)
        first = int(start_s // self.gop_s * self.gop_s) * PICTURES_PER_S
        last = (int(-(-end_s // 1)) + 1) * PICTURES_PER_S
        return list(wire_chunks(loop, first, last))


def prepare_footage(folder: Path, gop_s: int) -> CutFootage:
    """Make footage, or find it made. Raises CalledProcessError, or OSError without ffmpeg."""
    loop, mp4 = folder / f"cut-gop{gop_s}.loop", folder / f"cut-gop{gop_s}.mp4"
    if not (loop.exists() and mp4.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        stream = encode(LOOP_S, gop_s)
        save_loop(packetise(stream), loop)
        command = ("ffmpeg", "-loglevel", "error", "-y", "-r", str(PICTURES_PER_S), "-f", "h264", "-i", "-")
        subprocess.run((*command, "-c", "copy", mp4), input=stream * (FILE_S // LOOP_S), check=True)
    return CutFootage(gop_s, loop, mp4)


def encode(seconds: int, gop_s: int, size: str = "1920x1080") -> bytes:
    """Film and encode; returns an Annex B stream."""
    gop = gop_s * PICTURES_PER_S
    x264 = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1:sliced-threads=0"
    source = f"testsrc2=size={size}:rate={PICTURES_PER_S},noise=alls=14:allf=t+u"
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p", *_RATE)
    command = ("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-t", str(seconds), *encoder)
    return subprocess.run((*command, "-x264-params", x264, "-f", "h264", "-"), check=True, stdout=-1).stdout


def wire_chunks(loop: Loop, first: int, last: int) -> Iterator[WireChunk]:
    """Yield pictures `[first, last)` of the endless loop as chunks of about a second; key pictures begin one."""
    per_loop = sum(len(picture.ends) for picture in loop.pictures)
    before = [0]
    for picture in loop.pictures:
        before.append(before[-1] + len(picture.ends))
    wire, number, chunk = bytearray(), first, 0
    while number < last:
        round_, place = divmod(number, len(loop.pictures))
        picture = loop.pictures[place]
        if wire and (picture.is_key or (number - first) % PICTURES_PER_S == 0):
            yield WireChunk(1, chunk, _ANCHOR, bytes(wire))
            wire, chunk = bytearray(), chunk + 1
        wire += stamped(picture.wire, picture.ends, round_ * per_loop + before[place], number * _TICKS)
        number += 1
    yield WireChunk(1, chunk, _ANCHOR, bytes(wire))


def stamped(wire: bytes, ends: tuple[int, ...], sequence: int, timestamp: int) -> bytes:
    """Write a picture's RTP sequence numbers and time into its interleaved frames."""
    out, begin = bytearray(wire), 0
    for end in ends:
        struct.pack_into(">HI", out, begin + 6, sequence % 65536, timestamp % (1 << 32))
        begin, sequence = end, sequence + 1
    return bytes(out)
