"""Transom's recorder by itself in a process that is killed or whose disk goes dark: cameras, ring, nothing else.

    python -m tests.simulators.ring_recorder DIRECTORY NAME URL [NAME URL ...]

Prints a line when it records all cameras. Ends when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId
from agent.buffer.ring import RingSettings
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.simulators.ring_log import KEK, MIB

ROOT: Final = Path(__file__).parents[2]
SMALL: Final = RingSettings(slab_bytes=8 * MIB, bytes_max=5 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)
"""Small slabs: one is left every few seconds, and the ring goes round within half a minute."""


class RingRecorder:
    """The other end: the process, which records when this is entered."""

    def __init__(self, directory: Path, cameras: Mapping[CameraId, str]) -> None:
        named = [word for pair in cameras.items() for word in pair]
        self._argv = [sys.executable, "-m", "tests.simulators.ring_recorder", str(directory), *named]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self._argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "recording\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """Let it end as a hub does."""
        self.process.communicate(timeout=20)


def main() -> None:
    """Record until nobody is there."""
    directory, pairs = Path(sys.argv[1]), sys.argv[2:]
    ring = SlabLog(directory, KEK, SMALL, HostClock())
    recorder = Recorder(ring, HostClock(), RtspDialer(), RecorderSettings(), ring.last_run)
    for name, url in zip(pairs[::2], pairs[1::2], strict=True):
        recorder.add(CameraStream(CameraId(name), "", url, None, None))
    thread = threading.Thread(target=recorder.run, daemon=True)
    thread.start()
    while len(recorder.health()) < len(pairs) // 2 or any(
        one.state is not CameraState.RECORDING for one in recorder.health()
    ):
        thread.join(0.02)
    print("recording", flush=True)  # noqa: T201 - its answer
    sys.stdin.read()
    recorder.stop()
    thread.join()
    ring.close()


if __name__ == "__main__":
    main()
