"""The judge of footage sees every kind of hole."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from agent.crypto import Secret
from tests.bench.read_back import ReadBack, read_back
from tests.bench.recorder_process import age_ring, open_ring
from tests.simulators.ring_content import CAMERA, media, stream


def frame(number: int, channel: int = 0) -> bytes:
    """Make an interleaved frame."""
    packet = struct.pack(">BBHII", 0x80, 96, number % 65536, 0, 0) + b"picture"
    return struct.pack(">BBH", ord("$"), channel, len(packet)) + packet


def judged(folder: Path, chunks: dict[int, bytes]) -> ReadBack:
    """Store chunks by their sequence numbers and read them back."""
    key = Secret(os.urandom(32))
    store(folder, key, chunks)
    return read(folder, key)


def store(folder: Path, key: Secret, chunks: dict[int, bytes]) -> None:
    """Store chunks by their sequence numbers."""
    ring = open_ring(folder / "ring", key)
    ring.append(*stream())
    for sequence, payload in chunks.items():
        ring.append(media(sequence), payload)
    ring.commit()
    ring.close()


def read(folder: Path, key: Secret) -> ReadBack:
    """Read back what was stored."""
    ring = open_ring(folder / "ring", key)
    found = read_back(ring, CAMERA)
    ring.close()
    return found


@pytest.mark.parametrize(
    ("chunks", "chunk_gaps", "packet_gaps"),
    [
        ({0: frame(65534) + frame(65535), 1: frame(0) + frame(7, channel=1) + frame(1)}, 0, 0),
        ({0: frame(1), 2: frame(2)}, 1, 0),
        ({0: frame(1) + frame(3), 1: frame(4)}, 0, 1),
        ({0: frame(1), 1: frame(1)}, 0, 1),
        ({0: frame(1), 1: frame(2)[:-1]}, 0, 1),
    ],
)
def test_holes_are_counted(tmp_path: Path, chunks: dict[int, bytes], chunk_gaps: int, packet_gaps: int) -> None:
    """Missing chunks, missing or repeated packets and cut frames are each seen; a wrap of the numbers is none."""
    found = judged(tmp_path, chunks)
    assert (found.chunk_gaps, found.packet_gaps, found.unreadable) == (chunk_gaps, packet_gaps, 0)
    assert found.is_whole == (not chunk_gaps + packet_gaps)


def test_nothing_is_not_whole(tmp_path: Path) -> None:
    """A ring without footage has not kept it."""
    assert not judged(tmp_path, {}).is_whole


def test_a_damaged_chunk_is_seen(tmp_path: Path) -> None:
    """One flipped bit on the disk, while the ring is open, is a chunk that cannot be read."""
    key = Secret(os.urandom(32))
    packet = b"\x80\x60" + bytes(10) + os.urandom(9000)
    store(tmp_path, key, {0: struct.pack(">BBH", ord("$"), 0, len(packet)) + packet})
    ring = open_ring(tmp_path / "ring", key)
    slab = next((tmp_path / "ring").glob("slab-*"))
    with slab.open("r+b") as file:
        file.seek(2 * 4096 - 96)
        octet = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([octet[0] ^ 1]))
    found = read_back(ring, CAMERA)
    ring.close()
    assert (found.chunks, found.unreadable) == (1, 1)


def test_an_aged_ring_is_an_empty_ring(tmp_path: Path) -> None:
    """Its slabs lie there, are all free, and are the ones that are recorded into."""
    key = Secret(os.urandom(32))
    age_ring(tmp_path / "ring", key, 1)
    before = sorted((tmp_path / "ring").glob("slab-*"))
    assert not read(tmp_path, key).is_whole
    store(tmp_path, key, {0: frame(1)})
    assert sorted((tmp_path / "ring").glob("slab-*")) == before
    assert read(tmp_path, key).is_whole
