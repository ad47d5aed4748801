"""What happened to the cameras and on the network, to the moment of the next search.

Rules of this file: a camera that is lost is looked for at once, then ever more rarely, but never so rarely that it
could be back for half a minute unnoticed; what strangers say can make searches more frequent only so far.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from agent.acquire.stream import CameraId

FIRST_SEARCHES: Final = 5
FIRST_PAUSE_S: Final = 1.0
"""While a hub is new, somebody stands beside it: the first searches follow each other closely."""
LOST_PAUSE_S_MIN: Final = 1.0
LOST_PAUSE_S_MAX: Final = 15.0
"""With a search of 4 s and its examination, a camera is found again within 30 s of its coming back."""
LOST_TRIES_MAX: Final = 240  # an hour; what comes back later says Hello, or waits for the calm pace
HEARD_SETTLE_S: Final = 0.3  # a device that says Hello opens its services a moment later; several say it together
HEARD_EVERY_S: Final = 5.0  # however many Hellos there are


@dataclass(slots=True)
class SearchPace:
    """When to search; every time is in seconds of one monotonic clock. `pause_s` is the calm pace."""

    pause_s: float
    due_s: float = 0.0
    _ended_s: float = field(default=float("-inf"))
    _lost: dict[CameraId, int] = field(default_factory=dict)  # and in how many searches it was not found

    def searched(self, now_s: float, searches: int) -> None:
        """Note that a search has ended, and how many there were."""
        self._ended_s = now_s
        for camera in self._lost:
            self._lost[camera] += 1
        tries = min(self._lost.values(), default=None)
        pause_s = FIRST_PAUSE_S if searches < FIRST_SEARCHES else self.pause_s
        if tries is not None and tries <= LOST_TRIES_MAX:
            pause_s = min(pause_s, LOST_PAUSE_S_MAX, LOST_PAUSE_S_MIN * 2 ** min(tries - 1, 8))
        self.due_s = now_s + pause_s

    def note_lost(self, failed: Collection[CameraId], well: Collection[CameraId], now_s: float) -> None:
        """Take the cameras whose streams have failed, and those that do well again; one that fails anew is due now."""
        new = [camera for camera in failed if camera not in self._lost]
        self._lost = {camera: n for camera, n in self._lost.items() if camera not in well} | dict.fromkeys(new, 0)
        if new:
            self.due_s = min(self.due_s, now_s)

    def heard(self, now_s: float) -> None:
        """Note that a device said Hello or Bye."""
        self.due_s = min(self.due_s, max(now_s + HEARD_SETTLE_S, self._ended_s + HEARD_EVERY_S))
