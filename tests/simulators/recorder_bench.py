"""A recorder in its thread, with a ring in memory and a clock that can be set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from agent.acquire.camera import CameraStream, Login
from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.buffer.chunk import ChunkKind
from agent.clock import ClockStanding, TimeSource, WallTime
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.recorder import Recorder, RecorderSettings
from tests.simulators.chunk_list import ChunkList
from tests.simulators.rtsp_camera import RtspCamera

DOOR, YARD = CameraId("door"), CameraId("yard")
FAST = RecorderSettings(tick_ms=20, commit_ms=60, backoff_s_min=0.05, backoff_s_max=0.2)


class SettableClock(HostClock):
    """The host's clock, whose UTC a test can set."""

    def __init__(self) -> None:
        super().__init__(unsafe_assume_synchronised=True)
        self.step_ns = 0
        self.source = TimeSource.NETWORK

    def standing(self) -> ClockStanding:
        """Return who vouches for it, as the test has set it."""
        return ClockStanding(self.source)

    def now(self) -> WallTime:
        """Return UTC as it was set."""
        return WallTime(super().now() + self.step_ns)


class Bench:
    """A running recorder with its sink and clock."""

    def __init__(self, settings: RecorderSettings, dialer: RtspDialer, last_run: int) -> None:
        self.sink, self.clock = ChunkList(), SettableClock()
        self.recorder = Recorder(self.sink, self.clock, dialer, settings, last_run)

    def health(self, camera: CameraId = DOOR) -> CameraHealth:
        """Return one camera's health, an empty one while there is none."""
        return next((one for one in self.recorder.health() if one.camera == camera), CameraHealth(camera))

    def stored(self, camera: CameraId = DOOR) -> bytes:
        """Return all media of a camera, joined."""
        return b"".join(payload for _, payload in self.sink.of(camera))

    def runs(self, camera: CameraId = DOOR) -> list[int]:
        """Return the run numbers of the stream headers."""
        return [meta.run for meta, _ in self.sink.of(camera, ChunkKind.STREAM)]

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Wait until something holds."""
        self.sink.wait_until(is_so)


@contextmanager
def recording(
    *streams: CameraStream,
    dialer: RtspDialer | None = None,
    last_run: int = 0,
    **settings: Any,  # noqa: ANN401 - of `RecorderSettings`
) -> Iterator[Bench]:
    """Run a recorder of these cameras in its thread; stopping it takes less than a second."""
    bench = Bench(replace(FAST, **settings), dialer or RtspDialer(), last_run)
    for stream in streams:
        bench.recorder.add(stream)
    thread = threading.Thread(target=bench.recorder.run)
    thread.start()
    try:
        yield bench
    finally:
        began = time.monotonic()
        bench.recorder.stop()
        thread.join(5)
        assert time.monotonic() - began < 1


def stream_of(camera: RtspCamera, name: CameraId = DOOR, clock: ClockOffset | None = None) -> CameraStream:
    """Describe a simulated camera."""
    script = camera.script
    login = Login(script.user, Secret(script.password)) if script.user else None
    return CameraStream(name, "Front door", camera.url, login, clock)
