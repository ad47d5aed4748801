"""Streams of every sort a camera may send, each with the log of a camera that knows what it sent.

Pictures are small and carry their capture tick as a block code; a sort is encoded once per process.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, cycle
from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime
from agent.cut.clip import WireChunk
from agent.demo import block_code
from agent.demo.camera_log import TICKS_HZ, CameraLog, LoggedPicture, LogHead
from agent.demo.clip_units import marks_of
from tests.simulators.h264_source import packetize, rtp_frame

CAMERA: Final = CameraId("cam-1")
BASE_TICKS: Final = 1_795_000_000 * TICKS_HZ  # of the first picture: a whole second, so every tick has its exact ns
CHUNK_TICKS: Final = TICKS_HZ  # the ring's chunks are of about a second
_RTP_START: Final = 0xFFFF_F000  # wraps soon
_SEQUENCE_START: Final = 65_530
_SLICE_PACKETS: Final = (1, 5, 28)  # NAL types, and the fragment's (RFC 6184 table 1)
_B_FRAMES: Final = {"none": "bframes=0", "two": "bframes=2:b-pyramid=none", "pyramid": "bframes=3:b-pyramid=normal"}
_VARIABLE_TICKS: Final = (3600, 3600, 1800, 7200, 3000, 3600, 5400, 9000, 3600, 3601)  # as cameras in the dark do
_STEPS: Final = {"5": (18_000,), "12.5": (7200,), "25": (3600,), "29.97": (3003,), "variable": _VARIABLE_TICKS}
RATES: Final = tuple(_STEPS)


@dataclass(frozen=True)
class Sort:
    """How a camera films and encodes."""

    codec: str = "h264"
    profile: str = "high"
    gops_s: tuple[float, ...] = (1.0,)  # from key picture to key picture, over and over
    is_open: bool = False
    b_frames: str = "none"
    rate: str = "25"
    seconds: float = 5.0
    slices: int = 1
    width: int = 160
    height: int = 96

    def __str__(self) -> str:
        gop = "open" if self.is_open else "smart" if len(self.gops_s) > 1 else f"{self.gops_s[0]:g}s"
        return f"{self.codec}-{self.profile}-{gop}-{self.b_frames}-{self.rate}"


@dataclass(frozen=True)
class CodedPicture:
    """One picture as the encoder gave it: which of the pictures it is, and its NAL units."""

    number: int
    is_key: bool
    nals: tuple[bytes, ...]


@dataclass(frozen=True)
class Coded:
    """An encoded stream: when its pictures were taken, and the pictures in decode order."""

    ticks: tuple[int, ...]  # by number, in order of time
    pictures: tuple[CodedPicture, ...]
    sets: tuple[bytes, ...]


@dataclass(frozen=True)
class Filmed:
    """One run of a camera as the ring has it, and as the camera logged it."""

    header: StreamHeader
    chunks: tuple[WireChunk, ...]
    logged: tuple[LoggedPicture, ...]
    codec: str
    never_came: frozenset[int] = frozenset()  # ticks of pictures of which no packet with a slice arrived

    @property
    def times(self) -> list[WallTime]:
        """Hub times of all pictures, sorted."""
        return sorted(log_of(self).hub_time(picture.ticks) for picture in self.logged)

    @property
    def key_times(self) -> list[WallTime]:
        """Hub times of the pictures to enter at."""
        return sorted(log_of(self).hub_time(picture.ticks) for picture in self.logged if picture.is_key)


def log_of(*runs: Filmed) -> CameraLog:
    """Return the log of a camera that sent these runs one after the other."""
    head = LogHead(version=1, camera="virtual", codec=runs[0].codec)  # type: ignore[arg-type]  # tests name known ones
    return CameraLog(head, tuple(picture for run in runs for picture in run.logged))


def film(
    sort: Sort, *, run: int = 1, start_s: int = 0, lost: Callable[[int, CodedPicture], bool] | None = None
) -> Filmed:
    """Film a run that begins `start_s` whole seconds after the first; `lost(packet, picture)` names what never came."""
    coded = encode(sort, start_s)
    base = BASE_TICKS + start_s * TICKS_HZ
    anchor = Anchor(_RTP_START, WallTime(base // TICKS_HZ * SECOND_NS), 2_000_000, ClockSource.SR_ONVIF)
    sprop = ",".join(base64.b64encode(nal).decode() for nal in coded.sets)
    track = Track(0, "video", "H264", 96, TICKS_HZ, f"packetization-mode=1; sprop-parameter-sets={sprop}")
    sequence, wires, began = _SEQUENCE_START, [b""], 0
    packet, never_came = 0, set()
    for picture in coded.pictures:
        at = coded.ticks[picture.number]
        if wires[-1] and (picture.is_key or at - began >= CHUNK_TICKS):
            wires.append(b"")
        began = began if wires[-1] else at
        payloads, came = packetize(picture.nals), 0
        for place, payload in enumerate(payloads):
            if lost is None or not lost(packet, picture):
                wires[-1] += rtp_frame(sequence, _RTP_START + at, payload, marker=place == len(payloads) - 1)
                came += payload[0] & 31 in _SLICE_PACKETS
            sequence, packet = sequence + 1, packet + 1
        never_came |= set() if came else {base + at}
        wires[-1] += rtp_frame(0, 0, b"report", marker=False, channel=1, kind=72)  # RTCP travels along
    logged = tuple(
        LoggedPicture(base + coded.ticks[p.number], p.is_key, marks_of(sort.codec, p.nals)) for p in coded.pictures
    )
    chunks = tuple(WireChunk(run, number, anchor, wire) for number, wire in enumerate(wires))
    header = StreamHeader(CAMERA, run, (track,), "virtual")
    return Filmed(header, chunks, logged, sort.codec, frozenset(never_came))


def without_chunk(filmed: Filmed, number: int) -> Filmed:
    """Return a run of which the ring lost a whole chunk."""
    return replace(filmed, chunks=filmed.chunks[:number] + filmed.chunks[number + 1 :])


def picture_ticks(sort: Sort) -> tuple[int, ...]:
    """Return when pictures are taken, in ticks from the first one."""
    ticks = accumulate(cycle(_STEPS[sort.rate]), initial=0)
    return tuple(_until(ticks, round(sort.seconds * TICKS_HZ)))


def _until(ticks: Iterator[int], end: int) -> Iterator[int]:
    for tick in ticks:
        if tick >= end:
            return
        yield tick


def key_numbers(sort: Sort, ticks: Sequence[int]) -> set[int]:
    """Return which pictures the camera makes key pictures."""
    keys, due = set(), 0
    gops = cycle(sort.gops_s)
    for number, tick in enumerate(ticks):
        if tick >= due:
            keys.add(number)
            due = tick + round(next(gops) * TICKS_HZ)
    return keys


@lru_cache(maxsize=128)
def encode(sort: Sort, start_s: int = 0) -> Coded:
    """Encode a sort of stream; its pictures carry the ticks of a run that begins `start_s` after BASE_TICKS."""
    ticks = picture_ticks(sort)
    keys = key_numbers(sort, ticks)
    encoder = _open_encoder(sort)
    packets = []
    for number, picture in enumerate(draw_pictures(sort, ticks, BASE_TICKS + start_s * TICKS_HZ)):
        frame = VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = ticks[number], Fraction(1, TICKS_HZ)
        frame.pict_type = PictureType.I if number in keys else PictureType.NONE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    numbers = {tick: number for number, tick in enumerate(ticks)}
    pictures = tuple(
        CodedPicture(numbers[packet.pts or 0], numbers[packet.pts or 0] in keys, tuple(split(bytes(packet))))
        for packet in packets
    )
    sets = {nal[0] & 31: nal for picture in pictures for nal in picture.nals if nal[0] & 31 in (7, 8)}
    return Coded(ticks, pictures, tuple(sets.values()))


def draw_pictures(
    sort: Sort, ticks: Sequence[int], base: int = BASE_TICKS
) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.uint8]]]:
    """Draw a moving gradient with each picture's tick in it."""
    x, y = np.meshgrid(np.arange(sort.width), np.arange(sort.height))
    still = (x * 2 + y).astype(np.uint8)
    planes = np.full((sort.height * 3 // 2, sort.width), 128, np.uint8)
    for tick in ticks:
        planes[: sort.height] = still + np.uint8(tick // 700 % 256)
        block_code.draw(planes[: sort.height], base + tick)
        yield planes


def _open_encoder(sort: Sort) -> VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = sort.width, sort.height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, TICKS_HZ), Fraction(25), 1
    parameters = (
        f"keyint=infinite:min-keyint=1:scenecut=0:{_B_FRAMES[sort.b_frames]}:b-adapt=0:slices={sort.slices}"
        f":repeat-headers=1:rc-lookahead=0:aud=1:open-gop={int(sort.is_open)}"
    )
    encoder.options = {"preset": "veryfast", "profile": sort.profile, "crf": "24", "x264-params": parameters}
    encoder.options |= {"forced-idr": str(int(not sort.is_open))}
    return encoder


def split(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream."""
    for piece in stream.split(b"\0\0\1")[1:]:
        if nal := piece.rstrip(b"\0"):
            yield nal
