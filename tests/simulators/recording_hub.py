"""The daemon's recorder and ring in a thread, for any number of cameras, with what tests ask of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId, StreamHeader, decode_stream_header
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage, RingSettings
from agent.clock import SECOND_NS, WallTime, Window
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.simulators.eventually import until

EVER = Window(WallTime(0), WallTime(2**62))
RING = RingSettings(slab_bytes=8 * 1024**2, bytes_max=64 * 1024**2)


class RecordingHub:
    """Records from `with` to its end, or to `stop`; what was recorded can be read in between."""

    def __init__(self, folder: Path) -> None:
        clock = HostClock(unsafe_assume_synchronised=True)
        self.ring = SlabLog(folder, Secret(bytes(32)), RING, clock)
        self.recorder = Recorder(self.ring, clock, RtspDialer(), RecorderSettings(backoff_s_min=0.2))
        self._thread = threading.Thread(target=self.recorder.run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.ring.close()

    def stop(self) -> None:
        """End the recording; its last second may still be on its way to the disk."""
        self.recorder.stop()
        self._thread.join()

    def record(self, camera: str, url: str, **more: object) -> CameraId:
        """Record one more camera."""
        name = CameraId(camera)
        self.recorder.add(CameraStream(name, camera, url, **{"login": None, "clock": None, **more}))  # type: ignore[arg-type]  # the caller's
        return name

    def health(self, camera: CameraId) -> CameraHealth:
        """Return how a camera does."""
        return next((one for one in self.recorder.health() if one.camera == camera), CameraHealth(camera))

    def footage(self, camera: CameraId) -> Footage:
        """Return everything recorded of a camera."""
        return self.ring.footage(camera, EVER)

    def runs(self, camera: CameraId) -> list[list[StoredChunk]]:
        """Return its chunks, run by run."""
        runs: dict[int, list[StoredChunk]] = {}
        for chunk in self.footage(camera).chunks:
            runs.setdefault(chunk.meta.run, []).append(chunk)
        return list(runs.values())

    def header(self, camera: CameraId) -> StreamHeader:
        """Return the newest stream header."""
        return decode_stream_header(self.ring.read(self.footage(camera).headers[-1]))

    def wire(self, chunks: list[StoredChunk]) -> bytes:
        """Return the payloads of chunks, one after another."""
        return b"".join(self.ring.read(chunk) for chunk in chunks)

    def recorded_s(self, camera: CameraId) -> float:
        """Return how much there is of the newest run, from its first to its newest picture."""
        runs = self.runs(camera)
        return (runs[-1][-1].meta.last_picture - runs[-1][0].meta.first_picture) / SECOND_NS if runs else 0

    def wait(self, is_so: Callable[[], object], what: str, within_s: float = 30) -> None:
        """Look again and again until something holds."""
        until(is_so, within_s, lambda: f"{what}: {self.recorder.health()}")

    def wait_recorded(self, camera: CameraId, seconds: float = 3, within_s: float = 30) -> None:
        """Wait until a run of a camera is so long."""
        self.wait(lambda: self.recorded_s(camera) >= seconds, f"{seconds} s of {camera}", within_s)
