"""The daemon's story one: builds the recorder and what looks after cameras, pictures and health, enrolled or not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.acquire.camera import CameraStream
from agent.acquire.stream import CameraId
from agent.buffer.latch import KeyFrameLatch
from agent.camera_logins import open_logins
from agent.cameras.clock_watch import ClockWatch
from agent.cameras.event_watch import EventWatch
from agent.cameras.watch import CameraWatch
from agent.config import MIB, Config
from agent.health.metrics import encode_metrics
from agent.health.presence import PresenceBoard
from agent.health.vitals import encode_vitals
from agent.health.watch import HealthWatch, Outlet
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from agent.outside.database import Database
from agent.outside.event_soap import EventService
from agent.outside.host import HostClock
from agent.outside.keystore import Keystore
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.snapshots import publisher
from agent.pictures.watch import PictureWatch
from agent.recorder import Recorder, RecorderSettings
from agent.recorder_thread import RecorderThread
from agent.wiring.cameras import build_camera_watch, build_clock_watch, hearing, own_snapshots

LOOK_LIMITS: Final = ChildLimits(deadline_s=20.0, memory_bytes=1024 * MIB, cpu_s=10)  # one key picture
STATUS_EVERY_S: Final = 5.0
METRICS_EVERY_S: Final = 15.0
CONFIRM_S: Final = 3.0  # a unicast probe is answered in milliseconds; a camera just started takes longer

_log: Final = logging.getLogger("transom")


@dataclass(slots=True)
class RecordedSite:
    """A site's cameras and their recording; `board` is what the broker keeps about the hub."""

    thread: RecorderThread
    watch: CameraWatch
    events: EventWatch
    clocks: ClockWatch
    health: HealthWatch
    board: PresenceBoard
    clock: HostClock

    @property
    def recorder(self) -> Recorder:
        """Whoever records."""
        return self.thread.recorder

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Search, record, look and listen until the tasks are cancelled."""
        tasks.create_task(self.watch.run(self._tell_troubles), name="cameras")
        tasks.create_task(self.thread.watch(self.clock, self.board.changed), name="recorder")
        tasks.create_task(self.health.run(self.board.changed), name="health")
        tasks.create_task(self.events.run(lambda: self.watch.reached), name="events")
        tasks.create_task(self.clocks.run(lambda: self.watch.reached, self.watch.note_clock), name="clocks")

    def _tell_troubles(self) -> None:
        for camera, trouble in self.watch.troubles.items():
            _log.warning("camera %s at %s: %s", camera, trouble.address, trouble.why)
        self.board.changed()


@contextlib.contextmanager
def recorded_site(
    config: Config, clock: HostClock, keys: Keystore, hub: str, journal: Database, latch: KeyFrameLatch
) -> Iterator[RecordedSite]:
    """Build all of it, recording into `latch` until there is a ring; stop it in the reverse order."""
    settings = RecorderSettings(config.ring.tick_ms, config.ring.commit_ms, confirm_s=CONFIRM_S)
    with contextlib.ExitStack() as stack:
        thread = RecorderThread(Recorder(latch, clock, RtspDialer(), settings))
        stack.callback(thread.stop)
        recorder, searching = thread.recorder, threading.Event()
        stack.callback(searching.set)
        watch = build_camera_watch(config, clock, recorder, journal, open_logins(config, keys), searching)
        events = EventWatch(_open_events(clock), recorder.note_events, clock)
        stack.callback(events.stop)
        stack.enter_context(hearing(config, watch))
        looker = ChildCutter(LOOK_LIMITS)
        stack.callback(looker.stop)
        publish = publisher(config.snapshot_dir)
        second = own_snapshots(config, clock, watch, looker, publish) if publish else None
        health = _health_watch(config, clock, hub, recorder, watch, events)
        health.watch_pictures(PictureWatch(looker, lambda: list(watch.streams), clock, publish, second))
        health.watch_lateness(recorder.late_s_max)
        board = PresenceBoard(watch, recorder.health, lambda: health.vitals, lambda: clock.standing().source)
        yield RecordedSite(thread, watch, events, build_clock_watch(clock, recorder), health, board, clock)


def _open_events(clock: HostClock) -> Callable[[CameraStream, str], EventService]:
    return lambda stream, address: EventService(address, stream.login, clock.now)


def _health_watch(
    config: Config, clock: HostClock, hub: str, recorder: Recorder, watch: CameraWatch, events: EventWatch
) -> HealthWatch:
    def names() -> dict[CameraId, str]:
        return {camera: stream.name for camera, stream in watch.streams.items()}

    outlets = [Outlet(config.status_file, encode_vitals, STATUS_EVERY_S)]
    if config.metrics_file is not None:
        outlets.append(Outlet(config.metrics_file, encode_metrics, METRICS_EVERY_S))
    return HealthWatch(hub, recorder.health, names, config.ring.settings(), clock, outlets, events.health)
