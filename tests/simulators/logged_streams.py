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
import cv2
import msgspec
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime
from agent.cut.clip import WireChunk
from agent.demo import block_code
from agent.demo.camera_log import TICKS_HZ, CameraLog, LoggedPicture, LoggedSound, LogHead, SoundHead
from agent.demo.clip_units import marks_of
from tests.simulators.h264_source import packetize, rtp_frame
from tests.simulators.h265_source import packetize_h265
from tests.simulators.jpeg_source import packetize_jpeg

CAMERA: Final = CameraId("cam-1")
BASE_TICKS: Final = 1_795_000_000 * TICKS_HZ  # of the first picture: a whole second, so every tick has its exact ns
CHUNK_TICKS: Final = TICKS_HZ  # the ring's chunks are of about a second
_RTP_START: Final = 0xFFFF_F000  # wraps soon
_SEQUENCE_START: Final = 65_530
_B_FRAMES: Final = {"none": "bframes=0", "two": "bframes=2:b-pyramid=none", "pyramid": "bframes=3:b-pyramid=normal"}
_VARIABLE_TICKS: Final = (3600, 3600, 1800, 7200, 3000, 3600, 5400, 9000, 3600, 3601)  # as cameras in the dark do
_JPEG_420: Final = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
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
    hurt: frozenset[int] = frozenset()  # ticks of pictures of which a packet was lost
    sound: SoundHead | None = None
    sounds: tuple[LoggedSound, ...] = ()

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
    if runs[0].sound is not None:
        head = msgspec.structs.replace(head, sound=runs[0].sound)
    pictures = tuple(picture for run in runs for picture in run.logged)
    return CameraLog(head, pictures, tuple(sound for run in runs for sound in run.sounds))


def film(
    sort: Sort, *, run: int = 1, start_s: int = 0, lost: Callable[[int, CodedPicture], bool] | None = None
) -> Filmed:
    """Film a run that begins `start_s` whole seconds after the first; `lost(packet, picture)` names what never came."""
    coded = encode(sort, start_s)
    base = BASE_TICKS + start_s * TICKS_HZ
    anchor = Anchor(_RTP_START, WallTime(base // TICKS_HZ * SECOND_NS), 2_000_000, ClockSource.SR_ONVIF)
    form = FORMS[sort.codec]
    track = Track(0, "video", form.encoding, form.payload_type, TICKS_HZ, form.describe(coded.sets))
    sequence, wires, began = _SEQUENCE_START, [b""], 0
    packet, hurt = 0, set()
    for picture in coded.pictures:
        at = coded.ticks[picture.number]
        if wires[-1] and (picture.is_key or at - began >= CHUNK_TICKS):
            wires.append(b"")
        began = began if wires[-1] else at
        payloads = form.packetize(picture.nals)
        for place, payload in enumerate(payloads):
            if lost is not None and lost(packet, picture):
                hurt.add(base + at)
            else:
                is_last = place == len(payloads) - 1
                wires[-1] += rtp_frame(sequence, _RTP_START + at, payload, marker=is_last, kind=form.payload_type)
            sequence, packet = sequence + 1, packet + 1
        wires[-1] += rtp_frame(0, 0, b"report", marker=False, channel=1, kind=72)  # RTCP travels along
    logged = tuple(
        LoggedPicture(base + coded.ticks[p.number], p.is_key, marks_of(sort.codec, p.nals)) for p in coded.pictures
    )
    chunks = tuple(WireChunk(run, number, anchor, wire) for number, wire in enumerate(wires))
    header = StreamHeader(CAMERA, run, (track,), "virtual")
    return Filmed(header, chunks, logged, sort.codec, frozenset(hurt))


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
    if sort.codec == "jpeg":
        return Coded(ticks, tuple(_jpeg_pictures(sort, ticks, BASE_TICKS + start_s * TICKS_HZ)), ())
    encoder = FORMS[sort.codec].open_encoder(sort)
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
    sets = dict.fromkeys(nal for picture in pictures for nal in picture.nals if FORMS[sort.codec].is_set(nal))
    return Coded(ticks, pictures, tuple(sets))


def _jpeg_pictures(sort: Sort, ticks: Sequence[int], base: int) -> Iterator[CodedPicture]:
    for number, planes in enumerate(draw_pictures(sort, ticks, base)):
        colour = cv2.cvtColor(planes[: sort.height], cv2.COLOR_GRAY2BGR)
        _, content = cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _JPEG_420])
        yield CodedPicture(number, is_key=True, nals=(content.tobytes(),))


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


def _open_h264(sort: Sort) -> VideoCodecContext:
    parameters = (
        f"keyint=infinite:min-keyint=1:scenecut=0:{_B_FRAMES[sort.b_frames]}:b-adapt=0:slices={sort.slices}"
        f":repeat-headers=1:rc-lookahead=0:aud=1:open-gop={int(sort.is_open)}"
    )
    options = {"preset": "veryfast", "profile": sort.profile, "crf": "24", "x264-params": parameters}
    return _open_encoder("libx264", sort, options)


def _open_h265(sort: Sort) -> VideoCodecContext:
    parameters = (
        f"log-level=none:keyint=-1:min-keyint=1:scenecut=0:{_B_FRAMES[sort.b_frames].replace('none', '0')}:b-adapt=0"
        f":slices={sort.slices}:open-gop={int(sort.is_open)}:repeat-headers=1:rc-lookahead=5:aud=1:pools=1"
        ":frame-threads=1:qp=30:ctu=16"
    ).replace("b-pyramid=normal", "b-pyramid=1")
    return _open_encoder("libx265", sort, {"preset": "ultrafast", "x265-params": parameters})


def _open_encoder(name: str, sort: Sort, options: dict[str, str]) -> VideoCodecContext:
    encoder = av.CodecContext.create(name, "w")
    if not isinstance(encoder, VideoCodecContext):
        raise TypeError(f"{name} is not a video encoder")
    encoder.width, encoder.height, encoder.pix_fmt = sort.width, sort.height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, TICKS_HZ), Fraction(25), 1
    encoder.options = options | {"forced-idr": str(int(not sort.is_open))}
    return encoder


def _no_encoder(sort: Sort) -> VideoCodecContext:
    raise TypeError(f"{sort.codec} has none in libav that is used here")


def _sprop_h264(sets: Sequence[bytes]) -> str:
    return "packetization-mode=1; sprop-parameter-sets=" + ",".join(base64.b64encode(nal).decode() for nal in sets)


def _sprop_h265(sets: Sequence[bytes]) -> str:
    names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    return ";".join(f"{names[nal[0] >> 1 & 63]}={base64.b64encode(nal).decode()}" for nal in sets)


@dataclass(frozen=True)
class Form:
    """How a codec is encoded, told apart, described in SDP and sent in RTP packets."""

    encoding: str
    payload_type: int
    open_encoder: Callable[[Sort], VideoCodecContext]
    describe: Callable[[Sequence[bytes]], str]
    packetize: Callable[[Sequence[bytes]], list[bytes]]
    is_set: Callable[[bytes], bool]


FORMS: Final = {
    "h264": Form("H264", 96, _open_h264, _sprop_h264, packetize, lambda nal: nal[0] & 31 in (7, 8)),
    "h265": Form("H265", 96, _open_h265, _sprop_h265, packetize_h265, lambda nal: nal[0] >> 1 & 63 in (32, 33, 34)),
    "jpeg": Form("JPEG", 26, _no_encoder, lambda _: "", packetize_jpeg, lambda _: False),
}
"""By the names that a camera's log has."""


def split(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream."""
    for piece in stream.split(b"\0\0\1")[1:]:
        if nal := piece.rstrip(b"\0"):
            yield nal
