"""What a hub leaves on its disk after days, restarts and a crash: every slab as bytes, and what was written to each.

The real writer makes it. Where each chunk lies is found here by FORMAT.md alone, not by the code that recovers.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind
from agent.buffer.ring import RingSettings
from agent.buffer.slab import BLOCK_BYTES, ChunkOpener, SlabHeader, padded, unpack_slab_header, unwrap_key
from agent.clock import SECOND_NS, WallTime
from agent.crypto import Secret
from agent.outside.slab_files import RATES_EVERY_S, SlabLog
from tests.simulators.ring_content import StillClock, media, stream

KEK: Final = Secret(bytes(32))
MIB: Final = 1024 * 1024
SETTINGS: Final = RingSettings(slab_bytes=8 * MIB, bytes_max=6 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)
QUIET, FLOOD = (CameraId("door"), CameraId("yard")), CameraId("flood")
ROUNDS: Final = 30  # each is a minute of the hub
RESTARTS: Final = (8, 14, 20, 25)
_MARK: Final = struct.Struct("<4sHHBBBxI32sQQQ")  # FORMAT.md, Chunk: magic to slab id
_HEADER_BYTES, _TAG_BYTES = 160, 16

Key = tuple[str, int, int]
"""Camera, run, sequence."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A chunk where it lies in its slab."""

    key: Key
    kind: ChunkKind
    offset: int
    length: int
    batch: int  # where its batch begins

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class SlabImage:
    """A slab: its bytes, those that stood in its file an earlier time, and its chunks in their order."""

    raw: bytes
    stale: bytes
    header: SlabHeader
    opener: ChunkOpener
    chunks: tuple[Laid, ...]
    index: Laid | None  # its index chunk, if it was left

    @property
    def end(self) -> int:
        """Where the next batch belongs."""
        last = self.index or (self.chunks[-1] if self.chunks else None)
        return padded(last.end) if last else BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class RingImage:
    """A ring with several laps, sessions and lanes, as it was when the power went."""

    volume: bytes
    slabs: tuple[SlabImage, ...]  # by slot
    written: dict[Key, bytes]  # every media chunk that was ever written


def make_ring(folder: Path, seed: int) -> RingImage:
    """Let a hub record into `folder`; the same seed makes the same amounts at the same times."""
    chance = random.Random(seed)  # noqa: S311 - repeatable test content
    written: dict[Key, bytes] = {}
    clock = StillClock()
    stale: list[bytes] = []
    place = folder / "0"
    log = SlabLog(place, KEK, SETTINGS, clock)
    run = 1
    for number in range(ROUNDS):
        if number in RESTARTS:
            run += 1
            if number == RESTARTS[1]:
                stale = _slabs(place)
            place, log = _restarted(place, folder / str(number), log, clock, is_crash=chance.random() < 0.5)
        if number in {0, *RESTARTS}:
            for camera in (*QUIET, FLOOD):
                log.append(*stream(camera, run))
        _record(log, written, number, run, chance)
        clock.wall = WallTime(clock.wall + (RATES_EVERY_S + 1) * SECOND_NS)
    shutil.copytree(place, folder / "end")  # without closing it: the power went
    log.close()
    volume = (folder / "end" / "volume").read_bytes()[16:32]
    raws = _slabs(folder / "end")
    stale += [bytes(len(raw)) for raw in raws[len(stale) :]]
    return RingImage(volume, tuple(_slab(*pair) for pair in zip(raws, stale, strict=True)), written)


def _record(log: SlabLog, written: dict[Key, bytes], number: int, run: int, chance: random.Random) -> None:
    """Record a minute: a little of two cameras, much of a third, committed now and then."""
    for part in range(4):
        for camera, count, size in ((QUIET[0], 3, 20_000), (QUIET[1], 2, 9_000), (FLOOD, 25, 60_000)):
            for sequence in range((number * 4 + part) * count + 1, (number * 4 + part + 1) * count + 1):
                meta = media(sequence, camera=camera, run=run)
                octets = content((camera, run, sequence), chance.randrange(100, size))
                log.append(meta, octets)
                written[camera, run, sequence] = octets
        log.commit()
        if part % 2:
            assert log.wait_until_written(20)


def _restarted(place: Path, new: Path, log: SlabLog, clock: StillClock, *, is_crash: bool) -> tuple[Path, SlabLog]:
    """Go on with the ring as it is on the disk; after a crash nothing was closed."""
    if is_crash:
        shutil.copytree(place, new)
        log.close()
    else:
        log.close()
        shutil.copytree(place, new)
    shutil.rmtree(place)
    return new, SlabLog(new, KEK, SETTINGS, clock)


def content(key: Key, size: int) -> bytes:
    """Return what a chunk of this name holds."""
    mark = hashlib.sha256(repr(key).encode()).digest()
    return (mark * (size // len(mark) + 1))[:size]


def _slabs(place: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(place.glob("slab-*"))]


def _slab(raw: bytes, stale: bytes) -> SlabImage:
    header = unpack_slab_header(raw[:BLOCK_BYTES])
    chunks: list[Laid] = []
    position = batch = BLOCK_BYTES
    while True:
        magic, _, _, kind, _, _, size, camera, run, sequence, slab = _MARK.unpack_from(raw, position)
        if magic == b"TRCH" and slab == header.id:
            key = camera.rstrip(b"\0").decode(), run, sequence
            chunks.append(Laid(key, ChunkKind(kind), position, _HEADER_BYTES + size + _TAG_BYTES, batch))
            position = chunks[-1].end
        elif position % BLOCK_BYTES:
            position = batch = padded(position)
        else:
            break
    index = chunks.pop() if chunks and chunks[-1].kind is ChunkKind.INDEX else None
    opener = ChunkOpener(header, unwrap_key(header, KEK))
    return SlabImage(raw, stale, header, opener, tuple(chunks), index)


def check_image(image: RingImage) -> None:
    """Make sure that an image is what a test thinks it is: every chunk opens and holds what was written."""
    for slab in image.slabs:
        for chunk in slab.chunks:
            _, payload = slab.opener.open(slab.raw[chunk.offset : chunk.end])
            assert chunk.kind is ChunkKind.STREAM or payload == image.written[chunk.key]


def open_log(folder: Path) -> closing[SlabLog]:
    """Open a ring like those made here."""
    return closing(SlabLog(folder, KEK, SETTINGS, StillClock()))
