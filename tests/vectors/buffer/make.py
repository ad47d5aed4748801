"""Writes `vectors.json`: headers, chunks, events, indexes and footers of the ring, each bad one with one failure.

Run from the repository's root: `python -m tests.vectors.buffer.make`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from agent.acquire.camera_event import CameraEvent, EventClock
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkHeader, ChunkKind, ChunkMeta, StoredChunk, pack_chunk_header
from agent.buffer.event_chunk import event_chunk
from agent.buffer.ring import RingIndex
from agent.buffer.slab import ChunkSealer, Cipher, Lane, SlabHeader, pack_slab_header, wrap_key
from agent.buffer.slab_index import index_meta, pack_footer
from agent.clock import WallTime
from agent.crypto import Secret

TARGET = Path(__file__).with_name("vectors.json")
KEY_ENCRYPTION_KEY = Secret(bytes(range(32)))
DATA_KEY = Secret(bytes(range(32, 64)))
SESSION = bytes(range(64, 80))
VOLUME = bytes(range(80, 96))
NONCE = bytes(range(96, 108))
NUMBER = 5
SLAB_ID = 0x8899_AABB_CCDD_EEFF
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
    blank = SlabHeader(NUMBER, SLAB_ID, VOLUME, cipher, Lane.APART, META.first_arrival, 8 * 1024 * 1024)
    return wrap_key(blank, DATA_KEY, KEY_ENCRYPTION_KEY, NONCE)


def sealed(cipher: Cipher, meta: ChunkMeta, payload: bytes) -> bytes:
    """Return a chunk as it stands in a slab."""
    room = bytearray(len(payload) + 176)
    ChunkSealer(SLAB_ID, cipher, DATA_KEY, SESSION).seal(meta, payload, memoryview(room))
    return bytes(room)


def contents() -> list[StoredChunk]:
    """Return what the index vectors say the slab holds: one run with a stream chunk, one of another camera without."""
    stream = replace(META, kind=ChunkKind.STREAM, is_key=False, sequence=0, last_rtp=META.first_rtp)
    yard = replace(META, camera=CameraId("yard"), is_key=False, anchor=replace(META.anchor, source=ClockSource.ARRIVAL))
    return [
        StoredChunk(stream, NUMBER, 4096, 400),
        StoredChunk(META, NUMBER, 4496, 10_000),
        StoredChunk(replace(META, sequence=43), NUMBER, 16_384, 20_000),
        StoredChunk(yard, NUMBER, 36_384, 5000),
    ]


def changed(raw: bytes, offset: int, new: bytes, checksum_at: int) -> bytes:
    """Replace bytes and mend the checksum, so that only the change itself is wrong."""
    raw = raw[:offset] + new + raw[offset + len(new) :]
    return raw[:checksum_at] + crc32(raw[:checksum_at]).to_bytes(4, "little") + raw[checksum_at + 4 :]


def flipped(raw: bytes, offset: int) -> bytes:
    """Flip one bit."""
    return raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]


Vectors = Iterator[tuple[str, str, str, bytes]]
"""(What it is, its name, the failure or nothing, bytes)."""


def vectors() -> Vectors:
    """Yield all of them."""
    yield from chunk_headers()
    yield from slab_headers()
    for cipher in Cipher:
        yield from sealed_chunks(cipher)
    yield from indexes()
    yield from events()
    yield from footers()


def chunk_headers() -> Vectors:
    """Yield chunk headers, none of them sealed."""
    good = pack_chunk_header(ChunkHeader(META, len(PAYLOAD), SLAB_ID, SESSION, 0))
    yield "chunk header", "good", "", good
    for name, offset, new in (
        ("magic", 0, b"TRCX"),
        ("version", 4, b"\x02\x00"),
        ("header length", 6, b"\xa1\x00"),
        ("kind", 8, b"\x05"),
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


def slab_headers() -> Vectors:
    """Yield slab headers without the zeros behind them, as such and to unwrap their keys."""
    block = pack_slab_header(slab_header())[:128]
    yield "slab header", "good", "", block
    for name, offset, new in (
        ("magic", 0, b"TRANSLAG"),
        ("version", 8, b"\x02\x00"),
        ("cipher", 10, b"\x03"),
        ("lane", 11, b"\x02"),
        ("block size", 12, (512).to_bytes(4, "little")),
        ("size too small", 32, (4096).to_bytes(8, "little")),
        ("size not in blocks", 32, (8 * 1024 * 1024 + 1).to_bytes(8, "little")),
    ):
        yield "slab header", f"bad {name}", name, changed(block, offset, new, 124)
    yield "slab header", "bad checksum", "checksum", flipped(block, 124)
    yield "slab header", "too short", "length", block[:-1]
    yield "wrapped key", "good", "", block
    for name, offset in (
        ("lane", 11),
        ("number", 16),
        ("created", 24),
        ("id", 40),
        ("volume", 48),
        ("nonce", 64),
        ("key", 80),
        ("tag", 123),
    ):
        yield "wrapped key", f"{name} changed", name, changed(block, offset, bytes([block[offset] ^ 1]), 124)


def sealed_chunks(cipher: Cipher) -> Vectors:
    """Yield whole chunks."""
    name = f"sealed {cipher.name.lower()}"
    good = sealed(cipher, META, PAYLOAD)
    yield name, "good", "", good
    yield name, "payload changed", "tag", flipped(good, 160)
    yield name, "tag changed", "tag", flipped(good, len(good) - 1)
    yield name, "cut short", "length", good[:-1]
    yield name, "other slab", "slab", changed(good, 64, bytes([good[64] ^ 1]), 156)
    for field, offset in (("session", 72), ("counter", 88), ("sequence", 56), ("anchor", 112), ("flags", 9)):
        yield name, f"{field} changed", "tag", changed(good, offset, bytes([good[offset] ^ 1]), 156)


def indexes() -> Vectors:
    """Yield payloads of index chunks; the good one also as a whole chunk."""
    index = RingIndex()
    for chunk in contents():
        index.add(chunk)
    good = index.pack_slab(NUMBER)
    yield "index", "good", "", good
    yield "index", "good and empty", "", bytes(8)
    first, stream, media, second = 8, 88, 150, 274  # where the groups and the first one's rows begin
    for name, offset, new in (
        ("reserved bytes", 4, b"\x01"),
        ("fewer groups than there are", 0, b"\x01"),
        ("more groups than there are", 0, b"\x03"),
        ("camera", first, b"F"),
        ("two stream chunks", first + 44, b"\x02"),
        ("more rows than there are", first + 40, b"\xff\xff\xff\xff"),
        ("groups out of order", second, b"a"),
        ("same group twice", second, good[first : first + 40]),
        ("row's clock source", media + 60, b"\x00"),
        ("row's flag", media + 61, b"\x02"),
        ("row's offset in the header block", media + 40, bytes(4)),
        ("row's length too small", media + 44, (175).to_bytes(4, "little")),
        ("stream row's length too large", stream + 44, (4 * 1024 * 1024 + 177).to_bytes(4, "little")),
        ("rows out of order", media + 62, (41).to_bytes(8, "little")),
        ("same row twice", media + 62, (42).to_bytes(8, "little")),
    ):
        yield "index", f"bad {name}", name, good[:offset] + new + good[offset + len(new) :]
    empty_group = b"yard".ljust(32, b"\0") + bytes(48)
    yield "index", "empty group", "empty group", b"\x01" + bytes(7) + empty_group
    yield "index", "cut short", "length", good[:-1]
    yield "index", "too long", "length", good + b"\0"
    yield "index", "shorter than its count", "length", good[:7]
    yield "index chunk", "good", "", sealed(Cipher.AES_256_GCM, index_meta(META.last_arrival), good)


def events() -> Vectors:
    """Yield payloads of events, a chunk of them, and the payload of an index that lists one beside footage."""
    motion = CameraEvent(
        kind=EventKind.MOTION,
        at=META.first_arrival,
        error_ns=600_000_000,
        clock=EventClock.CAMERA,
        topic="tns1:RuleEngine/CellMotionDetector/Motion",
        source="source/Zone 1",
        state=True,
    )
    door = CameraEvent(EventKind.INPUT, META.last_arrival, 7_000_000_000, EventClock.ARRIVAL, "tns1:Device/Trigger")
    meta, good = event_chunk(META.camera, [motion, door], 42, META.last_arrival)
    yield "events", "good", "", good
    for name, old, new in (
        ("no events", good, b'{"events":[]}'),
        ("too many events", good, b'{"events":[' + b",".join([good[11:].partition(b"},")[0] + b"}"] * 65) + b"]}"),
        ("unknown member", b'"kind":"motion"', b'"kind":"motion","zone":1'),
        ("unknown kind", b'"motion"', b'"sound"'),
        ("unknown clock", b'"camera"', b'"guess"'),
        ("negative error", b"600000000", b"-1"),
        ("time out of range", b"1795000000000000000", b"9223372036854775808"),
        ("topic too long", b"tns1:RuleEngine", b"t" * 129),
        ("topic not printable", b"tns1:RuleEngine", b"\\u0000"),
        ("source too long", b"Zone 1", b"Z" * 65),
        ("cut short", good, good[:-1]),
    ):
        yield "events", f"bad {name}", name, good.replace(old, new, 1)
    yield "events chunk", "good", "", sealed(Cipher.AES_256_GCM, meta, good)
    index = RingIndex()
    for chunk in (*contents(), StoredChunk(meta, NUMBER, 45_056, 400)):
        index.add(chunk)
    listed = index.pack_slab(NUMBER)
    yield "index with events", "good", "", listed
    begins = listed.index(META.camera.encode())
    has_stream = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    yield (
        "index with events",
        "a stream row among events",
        "stream row",
        listed[: begins + 40] + has_stream + listed[begins + 48 :],
    )


def footers() -> Vectors:
    """Yield footers without the zeros behind them."""
    good = pack_footer(SLAB_ID, 7 * 4096, 5000)[:36]
    yield "footer", "good", "", good
    for name, offset, new in (
        ("magic", 0, b"TRIY"),
        ("version", 4, b"\x02\x00"),
        ("reserved bytes", 6, b"\x01"),
        ("offset in the header block", 16, bytes(8)),
        ("offset not in blocks", 16, (7 * 4096 + 1).to_bytes(8, "little")),
        ("offset too large", 16, (1024 * 1024 * 1024 + 4096).to_bytes(8, "little")),
        ("length too small", 24, (175).to_bytes(8, "little")),
        ("length too large", 24, (4 * 1024 * 1024 + 177).to_bytes(8, "little")),
    ):
        yield "footer", f"bad {name}", name, changed(good, offset, new, 32)
    yield "footer", "bad checksum", "checksum", flipped(good, 32)
    yield "footer", "too short", "length", good[:-1]


def main() -> None:
    """Write the file."""
    lines = [
        json.dumps({"of": of, "name": name, "failure": failure, "hex": raw.hex()})
        for of, name, failure, raw in vectors()
    ]
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
