"""One start of a ring in a process of its own: how long until it records, and how much memory its index takes.

python -m tests.bench.recovery_process DIRECTORY KEY_FILE [PROFILE_FILE]
"""

from __future__ import annotations

import cProfile
import gc
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import msgspec

from agent.buffer.ring import RingSettings, fitting_slab_bytes
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import media, stream

GIB = 1024 * 1024 * 1024
FULL = RingSettings(bytes_max=64 * GIB, slab_bytes=fitting_slab_bytes(64 * GIB), free_bytes_min=0)
"""The ring that is started: slabs of 256 MiB, as a hub makes them in a ring of this size, and 256 of them."""


class Start(msgspec.Struct, frozen=True):
    """What one start took."""

    opened_s: float  # until chunks are taken; they wait in memory then
    recording_s: float  # until the first of them is on the disk
    memory_bytes: int  # that the process has grown by
    slabs: int
    cameras: int


def start(directory: Path, key: Secret) -> Start:
    """Open a ring, record one chunk and close it."""
    gc.collect()
    before = _memory_bytes()
    began = time.perf_counter()
    ring = SlabLog(directory, key, FULL, HostClock())
    opened = time.perf_counter()
    grown = _memory_bytes() - before
    run = ring.last_run + 1
    ring.append(*stream(run=run))
    ring.append(media(1, run=run), bytes(100_000))
    if not ring.wait_until_written(20):
        raise TimeoutError(ring.stats().last_error)
    committed = time.perf_counter()
    stats = ring.stats()
    ring.close()
    return Start(opened - began, committed - began, grown, stats.slabs, len(stats.spans))


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Start once and print what it took as one line of JSON."""
    directory, key = Path(sys.argv[1]), Secret(Path(sys.argv[2]).read_bytes())
    profile = cProfile.Profile()
    with profile if len(sys.argv) > 3 else nullcontext():
        done = start(directory, key)
    if len(sys.argv) > 3:
        profile.dump_stats(sys.argv[3])
    os.write(sys.stdout.fileno(), msgspec.json.encode(done) + b"\n")


if __name__ == "__main__":
    main()
