"""A synthetic camera: numbered pictures, encoded with x264 and packetised as a camera would send them over RTSP/TCP."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import av
import numpy as np
from av.video.frame import VideoFrame

from agent.acquire.stream import CameraId, StreamHeader, Track
from agent.acquire.timeline import Anchor, ClockSource, hub_time
from agent.clock import WallTime
from agent.cut.bits import split_annex_b
from agent.cut.clip import WireChunk

Gray = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
EPOCH = WallTime(1_795_000_000_000_000_000)  # 2026-11-18T11:06:40Z, hub time of picture 0
CAMERA = CameraId("cam-1")
BLOCK = 16
NUMBER_BITS = 10
_RTP_START = 0xFFFF_F000  # wraps soon
_SEQUENCE_START = 65_530


@dataclass(frozen=True)
class Recipe:
    """How the virtual camera encodes."""

    pictures: int = 60
    fps: int = 25
    gop: int = 20
    b_frames: int = 0
    profile: str = "high"
    slices: int = 1
    width: int = 192
    height: int = 112
    x264: str = ""  # more parameters, "name=value:..."
    pix_fmt: str = "yuv420p"
    first_number: int = 0


@dataclass(frozen=True)
class Source:
    """One run of the camera: its header, its chunks, and what is true about them."""

    header: StreamHeader
    chunks: tuple[WireChunk, ...]
    times: tuple[WallTime, ...]  # of the pictures in presentation order
    numbers: tuple[int, ...]
    units: tuple[tuple[bytes, ...], ...]  # NAL units by access unit in decode order
    order: tuple[int, ...]  # presentation index by access unit
    key_units: frozenset[int] = field(default_factory=frozenset)


def draw(number: int, width: int, height: int) -> Gray:
    """Draw a picture: a moving gradient, and the number as two rows of blocks (bits, inverted bits)."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    gray = ((x * 2 + y + number * 5) % 256).astype(np.uint8)
    for bit in range(NUMBER_BITS):
        value = 255 if number >> bit & 1 else 0
        gray[0:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = value
        gray[BLOCK : 2 * BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 - value
    return gray


def read_number(gray: Gray) -> int:
    """Read a picture's number back; -1 if its two rows disagree."""
    number = 0
    for bit in range(NUMBER_BITS):
        columns = slice(bit * BLOCK + 4, (bit + 1) * BLOCK - 4)
        up, down = gray[4 : BLOCK - 4, columns].mean(), gray[BLOCK + 4 : 2 * BLOCK - 4, columns].mean()
        if abs(up - down) < 100:
            return -1
        number |= int(up > down) << bit
    return number


def luma(frame: VideoFrame) -> Gray:
    """Return a frame's luma plane, in 8 bits."""
    if frame.format.components[0].bits > 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    return np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : frame.width]


Pictures = tuple[tuple[int, bool, tuple[bytes, ...]], ...]
"""(presentation index, may be entered here, NAL units) in decode order."""

Coded = tuple[Pictures, tuple[bytes, ...]]
"""Pictures, and the parameter sets."""


@lru_cache(maxsize=64)
def encode(recipe: Recipe) -> Coded:
    """Encode a recipe: (presentation index, is IDR, NAL units) in decode order, and the parameter sets."""
    return _encode(recipe, [draw(recipe.first_number + n, recipe.width, recipe.height) for n in range(recipe.pictures)])


def _encode(recipe: Recipe, pictures: Sequence[Gray]) -> Coded:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1, recipe.fps), Fraction(recipe.fps)
    encoder.thread_count = 1
    parameters = (
        f"keyint={recipe.gop}:min-keyint={recipe.gop}:scenecut=0:bframes={recipe.b_frames}:b-adapt=0"
        f":slices={recipe.slices}:repeat-headers=1:rc-lookahead=0:aud=1"
    )
    parameters += f":{recipe.x264}" if recipe.x264 else ""
    encoder.options = {"preset": "veryfast", "profile": recipe.profile, "crf": "24", "x264-params": parameters}
    out = []
    for index, gray in enumerate(pictures):
        chroma = np.full((recipe.height // 2, recipe.width), 128, np.uint8)
        frame = VideoFrame.from_ndarray(np.vstack([gray, chroma]), format="yuv420p")
        if recipe.pix_fmt != "yuv420p":
            frame = frame.reformat(format=recipe.pix_fmt)
        frame.pts, frame.time_base = index, encoder.time_base
        out += encoder.encode(frame)
    out += encoder.encode(None)
    coded = []
    sets: dict[int, bytes] = {}
    for packet in out:
        nals = split_annex_b(bytes(packet))
        sets |= {nal[0] & 31: nal for nal in nals if nal[0] & 31 in (7, 8)}
        coded.append((int(packet.pts or 0), any(n[0] & 31 == 5 for n in nals), tuple(nals)))
    return tuple(coded), tuple(sets.values())


def packetize(nals: Sequence[bytes], mtu: int = 400) -> list[bytes]:
    """Make RTP payloads: STAP-A for parameter sets and SEI, single NAL units for what fits, FU-A for the rest."""
    small = [nal for nal in nals if nal[0] & 31 in (6, 7, 8, 9)]
    payloads = []
    if len(small) > 1 and sum(len(nal) + 2 for nal in small) < 4 * mtu:
        payloads.append(b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in small))
        nals = [nal for nal in nals if nal not in small]
    for nal in nals:
        if len(nal) <= mtu:
            payloads.append(nal)
            continue
        parts = [nal[i : i + mtu] for i in range(1, len(nal), mtu)]
        for place, part in enumerate(parts):
            flags = (0x80 if place == 0 else 0) | (0x40 if place == len(parts) - 1 else 0)
            payloads.append(bytes([nal[0] & 0xE0 | 28, flags | nal[0] & 31]) + part)
    return payloads


def rtp_frame(
    sequence: int, timestamp: int, payload: bytes, *, marker: bool, channel: int = 0, kind: int = 96
) -> bytes:
    """Wrap one payload in RTP and an interleaved frame."""
    packet = (
        struct.pack(">BBHII", 0x80, kind | (0x80 if marker else 0), sequence % 65536, timestamp % 2**32, 7) + payload
    )
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def film(
    recipe: Recipe, *, run: int = 1, start: WallTime = EPOCH, chunk_pictures: int = 13, in_band: bool = True
) -> Source:
    """Film, encode and packetise; key pictures begin a chunk. `in_band=False` puts parameter sets in the SDP only."""
    return _send(recipe, encode(recipe), run, start, chunk_pictures, in_band=in_band)


def film_pictures(
    pictures: Sequence[Gray],
    gop: int,
    *,
    is_lossless: bool = False,
    run: int = 1,
    start: WallTime = EPOCH,
    x264: str = "",
) -> Source:
    """Film these gray pictures, all of one size; without a loss they are decoded as they are."""
    recipe = Recipe(len(pictures), gop=gop, width=pictures[0].shape[1], height=pictures[0].shape[0], x264=x264)
    recipe = replace(recipe, profile="high444", x264="qp=0") if is_lossless else recipe
    return _send(recipe, _encode(recipe, pictures), run, start, 13, in_band=True)


def _send(recipe: Recipe, encoded: Coded, run: int, start: WallTime, chunk_pictures: int, *, in_band: bool) -> Source:
    coded, sets = encoded
    sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)
    fmtp = f"packetization-mode=1; sprop-parameter-sets={sprop}"
    if not in_band:
        coded = tuple(
            (shown, is_key, tuple(n for n in nals if n[0] & 31 not in (7, 8))) for shown, is_key, nals in coded
        )
    track = Track(0, "video", "H264", 96, 90_000, fmtp)
    return send(track, coded, packetize, recipe, run=run, start=start, chunk_pictures=chunk_pictures)


class Filming(Protocol):
    """What any recipe says, whatever the codec."""

    @property
    def pictures(self) -> int:
        """How many."""

    @property
    def fps(self) -> int:
        """How fast."""

    @property
    def first_number(self) -> int:
        """The number of the first picture."""


def send(
    track: Track, coded: Pictures, packets: Callable[[Sequence[bytes]], list[bytes]], recipe: Filming, *,
    run: int = 1, start: WallTime = EPOCH, chunk_pictures: int = 13,
) -> Source:  # fmt: skip
    """Send coded pictures as the camera would; `packets` makes RTP payloads of one picture's NAL units."""
    tick = 90_000 // recipe.fps
    anchor = Anchor(_RTP_START, start, 2_000_000, ClockSource.SR_ONVIF)
    sequence, wire = _SEQUENCE_START, b""
    chunks: list[WireChunk] = []
    for place, (shown, is_key, nals) in enumerate(coded):
        if wire and (is_key or place % chunk_pictures == 0):
            chunks.append(WireChunk(run, len(chunks), anchor, wire))
            wire = b""
        payloads = packets(nals)
        timestamp = _RTP_START + shown * tick
        for number, payload in enumerate(payloads):
            marker = number == len(payloads) - 1
            wire += rtp_frame(sequence, timestamp, payload, marker=marker, kind=track.payload_type)
            sequence += 1
        wire += rtp_frame(0, 0, b"report", marker=False, channel=1, kind=72)  # RTCP travels along
    chunks.append(WireChunk(run, len(chunks), anchor, wire))
    times = tuple(hub_time(anchor, (_RTP_START + index * tick) % 2**32) for index in range(recipe.pictures))
    return Source(
        header=StreamHeader(CAMERA, run, (track,), "virtual"),
        chunks=tuple(chunks),
        times=times,
        numbers=tuple(range(recipe.first_number, recipe.first_number + recipe.pictures)),
        units=tuple(nals for _, _, nals in coded),
        order=tuple(shown for shown, _, _ in coded),
        key_units=frozenset(place for place, (_, is_key, _) in enumerate(coded) if is_key),
    )


def without_packets(source: Source, lost: Iterable[int]) -> Source:
    """Return the source as it is after the video packets with these running numbers were lost."""
    gone, count, chunks = set(lost), 0, []
    for chunk in source.chunks:
        wire, position = b"", 0
        while position < len(chunk.wire):
            size = 4 + int.from_bytes(chunk.wire[position + 2 : position + 4], "big")
            is_video = chunk.wire[position + 1] == 0
            if not (is_video and count in gone):
                wire += chunk.wire[position : position + size]
            count += is_video
            position += size
        chunks.append(WireChunk(chunk.run, chunk.sequence, chunk.anchor, wire))
    return replace(source, chunks=tuple(chunks))
