"""The synthetic camera with JPEG: numbered pictures by libjpeg, sent without their headers as RFC 2435 has it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2

from agent.acquire.stream import Track
from agent.clock import WallTime
from tests.simulators.h264_source import EPOCH, Pictures, Source, draw, send


@dataclass(frozen=True)
class JpegRecipe:
    """How the virtual camera encodes."""

    pictures: int = 30
    fps: int = 25
    width: int = 192
    height: int = 112
    sampling: int = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    first_number: int = 0
    quality: int = 80
    sends_tables: bool = True  # else the receiver makes them of the quality (RFC 2435 4.2)
    restart_interval: int = 0  # MCUs


@lru_cache(maxsize=16)
def encode_jpeg(recipe: JpegRecipe) -> Pictures:
    """Encode a recipe: one JPEG file per picture."""
    options = [cv2.IMWRITE_JPEG_QUALITY, recipe.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, recipe.sampling]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, recipe.restart_interval]
    coded = []
    for index in range(recipe.pictures):
        gray = draw(recipe.first_number + index, recipe.width, recipe.height)
        is_done, content = cv2.imencode(".jpg", cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), options)
        assert is_done
        coded.append((index, True, (content.tobytes(),)))
    return tuple(coded)


def segments(picture: bytes) -> tuple[dict[int, list[bytes]], bytes]:
    """Take a JPEG file apart: the bodies of its segments by marker, and the scan."""
    found: dict[int, list[bytes]] = {}
    position = 2
    while True:
        marker, size = struct.unpack_from(">xBH", picture, position)
        found.setdefault(marker, []).append(picture[position + 4 : position + 2 + size])
        position += 2 + size
        if marker == 0xDA:
            return found, picture[position:]


def quantisation(picture: bytes) -> bytes:
    """Return the tables for luma and chroma."""
    body = b"".join(segments(picture)[0][0xDB])
    tables = {body[at]: body[at + 1 : at + 65] for at in range(0, len(body), 65)}
    return tables[0] + tables.get(1, tables[0])


def packetize_jpeg(pictures: Sequence[bytes], mtu: int = 400, *, quality: int = 255) -> list[bytes]:
    """Make RTP payloads of one JPEG file (RFC 2435 3.1)."""
    (picture,) = pictures
    found, scan = segments(picture)
    frame = found[0xC0][0]
    height, width, sampling = *struct.unpack_from(">HH", frame, 1), frame[7]
    interval = int.from_bytes(found.get(0xDD, [b""])[0])
    kind = {0x21: 0, 0x22: 1}[sampling] | (64 if interval else 0)
    payloads = []
    for offset in range(0, len(scan), mtu):
        head = struct.pack(">BBHBBBB", 0, offset >> 16, offset & 0xFFFF, kind, quality, width // 8, height // 8)
        head += struct.pack(">HH", interval, 0xFFFF) if interval else b""
        if quality >= 128 and offset == 0:
            tables = quantisation(picture)
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        payloads.append(head + scan[offset : offset + mtu])
    return payloads


def film_jpeg(recipe: JpegRecipe, *, run: int = 1, start: WallTime = EPOCH) -> Source:
    """Film, encode and packetise."""
    track = Track(0, "video", "JPEG", 26, 90_000)
    packets = partial(packetize_jpeg, quality=255 if recipe.sends_tables else recipe.quality)
    return send(track, encode_jpeg(recipe), packets, recipe, run=run, start=start)
