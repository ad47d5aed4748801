"""Beside story one: how every camera's clock stands, measured again each minute, so that stated bounds stay narrow.

Rules of this file: no measurement outlives a step of the hub's own clock; a camera that does not answer keeps what is
known, whose bound grows with its age; at most `ASKED_AT_ONCE_MAX` cameras are asked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from agent.acquire.camera import CameraStream
from agent.acquire.camera_clock import wants_clock
from agent.acquire.health import CameraHealth
from agent.acquire.step_watch import StepWatch
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clock import Clock, Instant
from agent.errors import TransomError
from agent.loose_thread import in_thread

LOOK_EVERY_S: Final = 1.0
ASKED_AT_ONCE_MAX: Final = 8

Measure = Callable[[str, CameraStream], ClockOffset | None]
"""Address of the device service, camera with its login and what is known of its clock -> how it stands; waits."""
Reached = Callable[[], Mapping[CameraId, tuple[CameraStream, str]]]
Note = Callable[[CameraId, CameraStream, ClockOffset], None]


class ClockWatch:
    """Measures the cameras' clocks again and again; `health` says whose reports contradict what was measured."""

    def __init__(self, measure: Measure, health: Callable[[], tuple[CameraHealth, ...]], clock: Clock) -> None:
        self._measure, self._health, self._clock = measure, health, clock
        self._asked: dict[CameraId, Instant | None] = {}  # None: whatever is known was measured by another clock
        self._ignored: dict[CameraId, int] = {}  # reports, until it was asked
        self._asking: dict[CameraId, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self._steps, self._steps_seen = StepWatch(), 0

    async def run(self, reached: Reached, note: Note) -> None:
        """Measure for ever."""
        try:
            while True:
                self.look(reached(), note)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in self._asking.values():
                task.cancel()

    def look(self, reached: Mapping[CameraId, tuple[CameraStream, str]], note: Note) -> None:
        """Begin to ask whoever is due."""
        now, wall, after = self._clock.instant(), self._clock.now(), self._clock.instant()
        if self._steps.is_step(now, wall, after):
            self._steps_seen += 1
            self._asked = dict.fromkeys(self._asked)
        ignored = {one.camera: one.reports_ignored for one in self._health()}
        self._asked = {camera: asked for camera, asked in self._asked.items() if camera in reached}
        for camera, (stream, address) in reached.items():
            if camera not in self._asked and stream.clock is not None:
                self._note_asked(camera, now, ignored)  # its examination measured it just now
            new = ignored.get(camera, 0) - self._ignored.get(camera, 0)
            if camera not in self._asking and wants_clock(self._asked.get(camera), now, new):
                self._note_asked(camera, now, ignored)
                self._asking[camera] = asyncio.create_task(self._ask(stream, address, note))

    def _note_asked(self, camera: CameraId, now: Instant, ignored: Mapping[CameraId, int]) -> None:
        self._asked[camera], self._ignored[camera] = now, ignored.get(camera, 0)

    async def _ask(self, stream: CameraStream, address: str, note: Note) -> None:
        steps = self._steps_seen
        try:
            async with self._at_once:
                clock = await in_thread(lambda: self._measure(address, stream))
            if clock is not None and steps == self._steps_seen:
                note(stream.camera, stream, clock)
        except TransomError:
            pass  # it is tried again in a minute; what is wrong with a camera is said elsewhere
        finally:
            del self._asking[stream.camera]
