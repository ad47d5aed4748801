"""A process of its own that records into a ring and says what is committed, to be killed or starved by a test.

`python -m tests.simulators.ring_child DIRECTORY FIRST_RUN [FILE_BYTES_MAX]` prints one line per commit: the newest
sequence number that is in the index, or "error" while the disk refuses. A line on its standard input frees the disk.
"""

from __future__ import annotations

import resource
import select
import sys
from pathlib import Path

from agent.buffer.ring import RingSettings
from agent.clock import Window
from agent.crypto import Secret
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import CAMERA, StillClock, at, media, stream

MIB = 1024 * 1024
KEK = Secret(bytes(32))
SETTINGS = RingSettings(slab_bytes=8 * MIB, bytes_max=4 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)


def payload(sequence: int) -> bytes:
    """Return what chunk `sequence` holds."""
    return sequence.to_bytes(4, "big") * 5000


def main() -> None:
    """Record until killed."""
    if len(sys.argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    log = SlabLog(Path(sys.argv[1]), KEK, SETTINGS, StillClock())
    run = int(sys.argv[2])
    log.append(*stream(run=run))
    sequence = 0
    while True:
        for _ in range(3):
            sequence += 1
            log.append(media(sequence, run=run), payload(sequence))
        log.commit()
        chunks = log.footage(CAMERA, Window(at(0), at(10**6))).chunks
        newest = [chunk.meta.sequence for chunk in chunks if chunk.meta.run == run]
        print("error" if log.stats().last_error else max(newest, default=0), flush=True)  # noqa: T201 - its answer
        if select.select([sys.stdin], [], [], 0.002)[0] and sys.stdin.readline():
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
