"""Transom's recorder by itself in a process: cameras, ring, nothing else of the daemon.

    python -m tests.bench.recorder_process URL CAMERAS DIRECTORY KEY_FILE

Records `URL/0`, `URL/1`, ... with the settings a hub would have until its standard input ends. Then it opens the
ring anew, as after a restart, reads all of it back and prints what it found as one line of JSON.

Rules of this file: what measures is in other processes; nothing is imported that recording does not need.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.buffer.ring import RingSettings, fitting_slab_bytes
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.bench.read_back import ReadBack, read_back
from tests.bench.written_once import write_once

GIB: Final = 1024**3


class Recorded(msgspec.Struct, frozen=True):
    """What a run brought, by the recorder's own counters and by what is on the disk."""

    received: int  # bytes
    chunks_lost: int  # the ring could not take them
    reconnects: int
    cipher: str
    is_direct: bool  # written past the page cache
    read_back: tuple[ReadBack, ...]


def ring_settings(cameras: int) -> RingSettings:
    """Say how a hub's ring is set: by default, but with 2 GiB for each camera beyond eight; that is an hour of it."""
    size_bytes = max(RingSettings().bytes_max, cameras * 2 * GIB)
    return RingSettings(bytes_max=size_bytes, slab_bytes=fitting_slab_bytes(size_bytes))


def open_ring(directory: Path, key: Secret, cameras: int = 1) -> SlabLog:
    """Open the ring of a hub with so many cameras: the one place of the bench that knows how."""
    return SlabLog(directory, key, ring_settings(cameras), HostClock())


def age_ring(directory: Path, key: Secret, size_bytes: int, cameras: int = 1) -> None:
    """Make a new ring with free slabs for so many bytes, whose blocks have been written before."""
    open_ring(directory, key, cameras).close()
    slab_bytes = ring_settings(cameras).slab_bytes
    for slot in range(2 + size_bytes // slab_bytes):
        write_once(directory / f"slab-{slot:05d}", slab_bytes)


def record(url: str, cameras: list[CameraId], ring: SlabLog) -> tuple[CameraHealth, ...]:
    """Record until standard input ends."""
    recorder = Recorder(ring, HostClock(), RtspDialer(), RecorderSettings())
    for number, camera in enumerate(cameras):
        recorder.add(CameraStream(camera, "", f"{url}/{number}", None, None))

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        recorder.stop()

    threading.Thread(target=wait, daemon=True).start()
    recorder.run()
    return recorder.health()


def main() -> None:
    """Record, then read back."""
    url, count, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    cameras = [CameraId(f"camera-{number}") for number in range(count)]
    key = Secret(Path(sys.argv[4]).read_bytes())
    ring = open_ring(directory, key, count)
    health = record(url, cameras, ring)
    ring.close()
    stats = ring.stats()
    ring = open_ring(directory, key, count)
    found = tuple(read_back(ring, camera) for camera in cameras)
    ring.close()
    recorded = Recorded(
        received=sum(one.bytes_received for one in health),
        chunks_lost=sum(one.chunks_lost for one in health) + stats.dropped_chunks,
        reconnects=sum(one.reconnects for one in health),
        cipher=stats.cipher.name,
        is_direct=stats.is_direct,
        read_back=found,
    )
    os.write(sys.stdout.fileno(), msgspec.json.encode(recorded) + b"\n")


if __name__ == "__main__":
    main()
