"""Writes `vectors.json`: headers and sealed chunks of the ring's format, each bad one with exactly one failure.

Run from the repository's root: `python -m tests.vectors.buffer.make`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkHeader, ChunkKind, ChunkMeta, pack_chunk_header
from agent.buffer.slab import ChunkSealer, Cipher, SlabHeader, pack_slab_header, wrap_key
from agent.clock import WallTime
from agent.crypto import Secret

TARGET = Path(__file__).with_name("vectors.json")
KEY_ENCRYPTION_KEY = Secret(bytes(range(32)))
DATA_KEY = Secret(bytes(range(32, 64)))
SESSION = bytes(range(64, 80))
VOLUME = bytes(range(80, 96))
NONCE = bytes(range(96, 108))
PAYLOAD = b"$\x00\x00\x04wire"
META = ChunkMeta(
    camera=CameraId("front-door"),
    kind=ChunkKind.MEDIA,
    is_key=True,
    run=7,
    sequence=42,
    first_arrival=WallTime(1_795_000_000_000_000_000),
    last_arrival=WallTime(1_795_000_000_900_000_000),
    first_rtp=0xFFFF_F000,
    last_rtp=80_000,
    anchor=Anchor(90_000, WallTime(1_795_000_001_000_000_000), 3_000_000, ClockSource.SR),
)


def slab_header(cipher: Cipher = Cipher.AES_256_GCM) -> SlabHeader:
    """Return the header all vectors belong to."""
    blank = SlabHeader(5, VOLUME, cipher, META.first_arrival, 8 * 1024 * 1024)
    return wrap_key(blank, DATA_KEY, KEY_ENCRYPTION_KEY, NONCE)


def changed(raw: bytes, offset: int, new: bytes, checksum_at: int) -> bytes:
    """Replace bytes and mend the checksum, so that only the change itself is wrong."""
    raw = raw[:offset] + new + raw[offset + len(new) :]
    return raw[:checksum_at] + crc32(raw[:checksum_at]).to_bytes(4, "little") + raw[checksum_at + 4 :]


def flipped(raw: bytes, offset: int) -> bytes:
    """Flip one bit."""
    return raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]


def vectors() -> Iterator[tuple[str, str, str, bytes]]:
    """Yield (what it is, its name, the failure or nothing, bytes)."""
    good = pack_chunk_header(ChunkHeader(META, len(PAYLOAD), 5, SESSION, 0))
    yield "chunk header", "good", "", good
    for name, offset, new in (
        ("magic", 0, b"TRCX"),
        ("version", 4, b"\x02\x00"),
        ("header length", 6, b"\xa1\x00"),
        ("kind", 8, b"\x03"),
        ("flags", 9, b"\x03"),
        ("clock source", 10, b"\x00"),
        ("payload length", 12, (4 * 1024 * 1024 + 1).to_bytes(4, "little")),
        ("camera with a capital", 16, b"F"),
        ("camera empty", 16, bytes(32)),
        ("camera with a gap", 20, b"\x00"),
        ("reserved byte 11", 11, b"\x01"),
        ("reserved bytes at the end", 155, b"\x01"),
    ):
        yield "chunk header", f"bad {name}", name, changed(good, offset, new, 156)
    yield "chunk header", "bad checksum", "checksum", flipped(good, 156)
    yield "chunk header", "too short", "length", good[:-1]
    block = pack_slab_header(slab_header())[:128]
    yield "slab header", "good", "", block
    for name, offset, new in (
        ("magic", 0, b"TRANSLAG"),
        ("version", 8, b"\x02\x00"),
        ("cipher", 10, b"\x03"),
        ("reserved byte 11", 11, b"\x01"),
        ("block size", 12, (512).to_bytes(4, "little")),
        ("size too small", 32, (4096).to_bytes(8, "little")),
        ("size not in blocks", 32, (8 * 1024 * 1024 + 1).to_bytes(8, "little")),
        ("reserved bytes", 116, b"\x01"),
    ):
        yield "slab header", f"bad {name}", name, changed(block, offset, new, 124)
    yield "slab header", "bad checksum", "checksum", flipped(block, 124)
    yield "slab header", "too short", "length", block[:-1]
    yield "wrapped key", "good", "", block
    for name, offset in (("number", 16), ("created", 24), ("volume", 40), ("nonce", 56), ("key", 70), ("tag", 115)):
        yield "wrapped key", f"{name} changed", name, changed(block, offset, bytes([block[offset] ^ 1]), 124)
    for cipher in Cipher:
        room = bytearray(len(PAYLOAD) + 176)
        ChunkSealer(slab_header(cipher), DATA_KEY, SESSION).seal(META, PAYLOAD, memoryview(room), 4096)
        sealed = bytes(room)
        name = cipher.name.lower()
        yield f"sealed {name}", "good", "", sealed
        yield f"sealed {name}", "payload changed", "tag", flipped(sealed, 160)
        yield f"sealed {name}", "tag changed", "tag", flipped(sealed, len(sealed) - 1)
        yield f"sealed {name}", "cut short", "length", sealed[:-1]
        yield f"sealed {name}", "other slab", "slab", changed(sealed, 64, b"\x06", 156)
        for field, offset in (("session", 72), ("counter", 88), ("sequence", 56), ("anchor", 112), ("flags", 9)):
            yield f"sealed {name}", f"{field} changed", "tag", changed(sealed, offset, bytes([sealed[offset] ^ 1]), 156)


def main() -> None:
    """Write the file."""
    lines = [
        json.dumps({"of": of, "name": name, "failure": failure, "hex": raw.hex()})
        for of, name, failure, raw in vectors()
    ]
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
