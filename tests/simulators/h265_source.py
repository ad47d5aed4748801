"""The synthetic camera with H.265: pictures by x265, open groups and pyramids, sent as RFC 7798 has it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial

import av
import numpy as np
from av.video.frame import VideoFrame

from agent.acquire.stream import Track
from agent.clock import WallTime
from agent.cut.bits import split_annex_b
from tests.simulators.h264_source import EPOCH, Coded, Source, draw, send

SETS = (32, 33, 34)


@dataclass(frozen=True)
class H265Recipe:
    """How the virtual camera encodes."""

    pictures: int = 60
    fps: int = 25
    gop: int = 20
    b_frames: int = 0
    is_open: bool = False  # key pictures are CRA, with RASL pictures before them if there are B pictures
    width: int = 192
    height: int = 112
    x265: str = ""  # more parameters, "name=value:..."
    pix_fmt: str = "yuv420p"
    first_number: int = 0


def kind(nal: bytes) -> int:
    """Return the type of a NAL unit (H.265 table 7-1)."""
    return nal[0] >> 1 & 63


@lru_cache(maxsize=64)
def encode_h265(recipe: H265Recipe) -> Coded:
    """Encode a recipe: (presentation index, is IRAP, NAL units) in decode order, and the parameter sets."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1, recipe.fps), Fraction(recipe.fps)
    parameters = (
        f"log-level=none:keyint={recipe.gop}:min-keyint={recipe.gop}:scenecut=0:bframes={recipe.b_frames}:b-adapt=0"
        f":open-gop={int(recipe.is_open)}:repeat-headers=1:rc-lookahead={recipe.b_frames + 1}:aud=1:pools=1"
        f":frame-threads=1:qp=30:ctu=16"
    )
    parameters += f":{recipe.x265}" if recipe.x265 else ""
    encoder.options = {"preset": "ultrafast", "x265-params": parameters}
    out = []
    for index in range(recipe.pictures):
        gray = draw(recipe.first_number + index, recipe.width, recipe.height)
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
        sets |= {kind(nal): nal for nal in nals if kind(nal) in SETS}
        coded.append((int(packet.pts or 0), any(16 <= kind(n) <= 21 for n in nals), tuple(nals)))
    return tuple(coded), tuple(sets.values())


def packetize_h265(nals: Sequence[bytes], mtu: int = 400, *, has_order: bool = False) -> list[bytes]:
    """Make RTP payloads: aggregates of what is small, single NAL units for what fits, fragments for the rest.

    `has_order` puts decoding order numbers in, as `sprop-max-don-diff` announces them (RFC 7798 4.4).
    """
    donl, dond = (b"\0\7", b"\0") if has_order else (b"", b"")
    small = [nal for nal in nals if kind(nal) in (*SETS, 35, 39)]
    payloads = []
    if len(small) > 1 and sum(len(nal) + 2 for nal in small) < 4 * mtu:
        sized = [len(nal).to_bytes(2, "big") + nal for nal in small]
        payloads.append(b"\x60\x01" + donl + dond.join(sized))
        nals = [nal for nal in nals if nal not in small]
    for nal in nals:
        if len(nal) <= mtu:
            payloads.append(nal[:2] + donl + nal[2:])
            continue
        parts = [nal[i : i + mtu] for i in range(2, len(nal), mtu)]
        for place, part in enumerate(parts):
            flags = (0x80 if place == 0 else 0) | (0x40 if place == len(parts) - 1 else 0)
            header = bytes([nal[0] & 0x81 | 49 << 1, nal[1], flags | kind(nal)])
            payloads.append(header + (donl if place == 0 else b"") + part)
    return payloads


def film_h265(
    recipe: H265Recipe, *, run: int = 1, start: WallTime = EPOCH, in_band: bool = True, has_order: bool = False
) -> Source:
    """Film, encode and packetise. `in_band=False` puts parameter sets in the SDP only."""
    coded, sets = encode_h265(recipe)
    names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    fmtp = ";".join(f"{names[kind(nal)]}={base64.b64encode(nal).decode()}" for nal in sets)
    fmtp += ";sprop-max-don-diff=1" if has_order else ""
    if not in_band:
        coded = tuple((shown, key, tuple(n for n in nals if kind(n) not in SETS)) for shown, key, nals in coded)
    track = Track(0, "video", "H265", 96, 90_000, fmtp)
    return send(track, coded, partial(packetize_h265, has_order=has_order), recipe, run=run, start=start)
