"""A ring on disk that a test records into: chunks with a known content, and waiting for the writer thread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.ring import RingSettings
from agent.clock import Window
from agent.crypto import Secret
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import CAMERA, StillClock, at, media, stream

MIB: Final = 1024 * 1024
KEK: Final = Secret(bytes(32))
SETTINGS: Final = RingSettings(slab_bytes=8 * MIB, bytes_max=4 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)
EVERYTHING: Final = Window(at(-100), at(1_000_000))


def payload(sequence: int, size: int = 20_000) -> bytes:
    """Return what chunk `sequence` holds."""
    return (sequence.to_bytes(4, "big") * (size // 4 + 1))[:size]


def opened(directory: Path, settings: RingSettings = SETTINGS, clock: StillClock | None = None) -> SlabLog:
    """Open a ring."""
    return SlabLog(directory, KEK, settings, clock or StillClock())


def append(
    log: SlabLog, sequences: Iterable[int], *, camera: CameraId = CAMERA, run: int = 1, size: int = 20_000
) -> None:
    """Append chunks of a run, before them its stream chunk."""
    log.append(*stream(camera, run))
    for sequence in sequences:
        log.append(media(sequence, camera=camera, run=run), payload(sequence, size))


def settle(log: SlabLog) -> None:
    """Commit and wait until nothing is in memory and the index names what was committed."""
    log.commit()
    assert log.wait_until_written(20), log.stats()


def record(log: SlabLog, sequences: range, *, camera: CameraId = CAMERA, run: int = 1, size: int = 20_000) -> None:
    """Append and commit chunks, about two batches at a time, until the last is in the index."""
    step = max(3, 2 * MIB // size)
    for start in range(sequences.start, sequences.stop, step):
        append(log, sequences[start - sequences.start :][:step], camera=camera, run=run, size=size)
        settle(log)


def places(log: SlabLog, camera: CameraId = CAMERA) -> list[tuple[int, int]]:
    """Return run and sequence of all chunks of a camera in the index."""
    return [(chunk.meta.run, chunk.meta.sequence) for chunk in log.footage(camera, EVERYTHING).chunks]


def sequences(log: SlabLog, camera: CameraId = CAMERA) -> list[int]:
    """Return the sequence numbers of all chunks of a camera that can be read and hold what they should."""
    chunks = log.footage(camera, EVERYTHING).chunks
    for chunk in chunks:
        read = log.read(chunk)
        assert read == payload(chunk.meta.sequence, len(read))
    return [chunk.meta.sequence for chunk in chunks]
