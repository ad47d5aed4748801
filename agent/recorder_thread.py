"""Story one in its own thread, watched from the event loop: its health is told, its death is never silent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS
from agent.outside.host import HostClock, notify_service_manager, watchdog_interval_s
from agent.recorder import Recorder

RECORDER_STUCK_S: Final = 10
"""A recorder whose loop has not come round for so long is dead: the service manager restarts the hub."""
RECORDER_STOP_S_MAX: Final = 2.0
HEALTH_EVERY_S: Final = 1.0


class RecorderThread:
    """The recorder in its thread; `stop` may be called twice, and what was received is committed when it returns.

    If the thread ever ends by itself, that is a bug of ours: `watch` raises, and the service manager starts us anew.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._is_stopping = False
        self._thread = threading.Thread(target=recorder.run, name="recorder", daemon=True)
        self._thread.start()

    async def watch(self, clock: HostClock, on_health: Callable[[], None]) -> None:
        """Look every second: tell when a camera's state changes, and feed the watchdog only while the loop lives."""
        states: list[tuple[CameraId, str]] = []
        interval_s, fed = watchdog_interval_s(), clock.instant()
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            if not self._thread.is_alive() and not self._is_stopping:
                raise RuntimeError("the recorder has ended")
            now = [(camera.camera, camera.state.value) for camera in self.recorder.health()]
            if now != states:
                states = now
                on_health()
            is_alive = clock.instant() - self.recorder.last_tick < RECORDER_STUCK_S * SECOND_NS
            if is_alive and interval_s and clock.instant() - fed >= (interval_s - HEALTH_EVERY_S) * SECOND_NS:
                notify_service_manager("WATCHDOG=1")
                fed = clock.instant()

    def stop(self) -> None:
        """Stop and wait."""
        self._is_stopping = True
        self.recorder.stop()
        self._thread.join(RECORDER_STOP_S_MAX)
