"""How the hub does to the firmware that it keeps: what has done the hub's work for ten minutes, and what never does.

Rules of this file:
- Until it is kept, a new firmware is on trial: the bootloader goes back to the other one after a few starts.
- Every start is judged, not only the first one under a firmware: bootloaders count starts since it was last kept.
- A hub that cannot reach its broker is never kept: there would be no way to send it a better firmware.
- One that has not passed within `TRIAL_S_MAX` of its start is given up: the bridge goes back to the firmware before, if
  it was restarted into this one and that was never kept. Any other start it only leaves unkept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from agent.acquire.health import CameraState
from agent.clock import SECOND_NS, Clock, Instant
from agent.errors import BadInputError, UnavailableError
from agent.health.vitals import HubVitals
from agent.loose_thread import in_thread

WELL_S_MIN: Final = 600.0
"""On end: longer than what a firmware that leaks, or falls over, needs to be seen."""
TRIAL_S_MAX: Final = 3600.0
"""So long a broker, a network or a camera that is away for reasons of its own is not held against a new firmware."""
LOOK_EVERY_S: Final = 5.0
ASK_AGAIN_S: Final = 60.0
"""For a bridge or a RAUC that does not answer, as while it installs."""

_AS_WANTED: Final = frozenset({CameraState.RECORDING.value, CameraState.OFF.value})


def does_its_work(vitals: HubVitals | None, *, is_connected: bool) -> bool:
    """Say whether the hub does what it is for: time, broker, disk, and one of its cameras, if it has any."""
    return (
        vitals is not None
        and is_connected
        and vitals.is_clock_trusted
        and (vitals.ring is None or not vitals.ring.last_error)
        and (not vitals.cameras or any(camera.state in _AS_WANTED for camera in vitals.cameras))
    )


class FirmwareTrial:
    """Judges one start of the hub; `keep` and `give_up` ask the bridge, and may block.

    `give_up` raises BadInputError where there is nothing to go back from.
    """

    def __init__(
        self,
        vitals: Callable[[], HubVitals | None],
        is_connected: Callable[[], bool],
        keep: Callable[[], object],
        give_up: Callable[[], object],
    ) -> None:
        self._vitals, self._is_connected, self._keep, self._give_up = vitals, is_connected, keep, give_up
        self._began: Instant | None = None
        self._well_since: Instant | None = None
        self._is_failed = False

    def has_passed(self, now: Instant) -> bool:
        """Look at the hub; say whether it has been well for long enough, on end."""
        if not does_its_work(self._vitals(), is_connected=self._is_connected()):
            self._well_since = None
            return False
        if self._well_since is None:
            self._well_since = now
        return now - self._well_since >= WELL_S_MIN * SECOND_NS

    def has_failed(self, now: Instant) -> bool:
        """Say whether all the time that it has is over while it is not well; said once, it stays so."""
        self._began = now if self._began is None else self._began
        if now - self._began >= TRIAL_S_MAX * SECOND_NS and self._well_since is None:
            self._is_failed = True
        return self._is_failed

    async def run(self, clock: Clock, look_every_s: float = LOOK_EVERY_S, ask_again_s: float = ASK_AGAIN_S) -> None:
        """Look until the firmware is kept; one that fails is given up, or left as it is where it is not on trial."""
        is_on_trial = True
        while True:
            pause_s, now = look_every_s, clock.instant()
            has_passed = self.has_passed(now)
            try:
                if is_on_trial and self.has_failed(now):
                    await in_thread(self._give_up)
                elif has_passed:
                    await in_thread(self._keep)
                    return
            except UnavailableError:
                pause_s = ask_again_s
            except BadInputError:
                is_on_trial = False
            await asyncio.sleep(pause_s)
