"""A virtual camera that tells events, its event service over real sockets, and what a test waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from agent.acquire.camera import CameraStream, Login
from agent.acquire.camera_event import CameraEvent
from agent.acquire.stream import CameraId
from agent.cameras.event_watch import EventWatch
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, VirtualCamera, running_camera
from agent.demo.camera_events import EventManners
from agent.demo.h264_rtp import EncoderSettings
from agent.outside.event_soap import EventService
from agent.outside.host import HostClock
from agent.outside.soap_login import Refusals

LOGIN: Final = Login("hub", Secret("pw"))
CLOCK: Final = HostClock(unsafe_assume_synchronised=True)


@contextmanager
def event_camera(
    manners: EventManners | None = None, clock_offset_ms: int = 0
) -> Iterator[tuple[VirtualCamera, Ready]]:
    """Run a small camera that nobody can discover."""
    small = EncoderSettings(width=160, height=88, fps=1)
    settings = CameraSettings(
        login=LOGIN, interface="", clock_offset_ms=clock_offset_ms, encoder=small, events=manners or EventManners()
    )
    with running_camera(settings) as running:
        yield running


def stream(name: str = "door", login: Login | None = LOGIN) -> CameraStream:
    """Return a camera as the recorder knows it; its stream is never opened here."""
    return CameraStream(CameraId(name), name, "rtsp://127.0.0.1/main", login, None)


def service(address: str, login: Login | None = LOGIN) -> EventService:
    """Return the client of a camera's events, with a memory of refused logins of its own."""
    return EventService(address, login, CLOCK.now, refusals=Refusals())


@dataclass
class Heard:
    """What a watch kept, from any thread."""

    events: list[tuple[CameraId, CameraEvent]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, camera: CameraId, events: tuple[CameraEvent, ...]) -> None:
        """Take events."""
        with self.lock:
            self.events += [(camera, event) for event in events]

    def of(self, camera: str) -> list[CameraEvent]:
        """Return one camera's."""
        with self.lock:
            return [event for name, event in self.events if name == camera]


@contextmanager
def watching(*cameras: tuple[str, str], login: Login | None = LOGIN) -> Iterator[tuple[EventWatch, Heard]]:
    """Watch cameras, (name, address of the device service) each, until the end of the block."""
    heard = Heard()
    watch = EventWatch(lambda known, address: service(address, known.login), heard.keep, CLOCK)
    try:
        watch.follow({CameraId(name): (stream(name, login), address) for name, address in cameras})
        yield watch, heard
    finally:
        watch.stop()
