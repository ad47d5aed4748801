"""When and with which request a camera's session is kept alive.

Rules of this file: SET_PARAMETER is never one, it could change something; an unanswered request ends nothing, since
many cameras never answer them and missing video is noticed anyway.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.rtsp_message import Message
from agent.clock import SECOND_NS, Instant

KEEP_ALIVE_MS_MAX: Final = 25_000
KEEP_ALIVE_MS_MIN: Final = 500  # for cameras that forget a session within seconds
TIMEOUT_PERCENT: Final = 40  # so that one request may be lost
_NOT_UNDERSTOOD: Final = frozenset({400, 405, 451, 501, 551})


class KeepAlive:
    """The requests that keep one session; none before `begin` and after `end`."""

    def __init__(self) -> None:
        self.due: Instant | None = None
        self._has_get_parameter = False
        self._interval_ns = 0

    def learn(self, options: Message) -> None:
        """Take the answer to OPTIONS: GET_PARAMETER is used where the camera lists it, else OPTIONS."""
        self._has_get_parameter = options.supports("GET_PARAMETER")

    def begin(self, timeout_s: int, now: Instant) -> None:
        """Keep a session that the camera forgets after so many seconds of silence."""
        interval_ms = min(max(timeout_s * 1000 * TIMEOUT_PERCENT // 100, KEEP_ALIVE_MS_MIN), KEEP_ALIVE_MS_MAX)
        self._interval_ns = interval_ms * SECOND_NS // 1000
        self.due = Instant(now + self._interval_ns)

    def next_request(self, now: Instant) -> str | None:
        """Return the method to send if it is time, else None."""
        if self.due is None or now < self.due:
            return None
        self.due = Instant(now + self._interval_ns)
        return "GET_PARAMETER" if self._has_get_parameter else "OPTIONS"

    def refused(self, method: str, status: int) -> None:
        """Note a refusal: a camera that lists GET_PARAMETER without knowing it is asked OPTIONS from then on."""
        if method == "GET_PARAMETER" and status in _NOT_UNDERSTOOD:
            self._has_get_parameter = False

    def end(self) -> None:
        """Send no more."""
        self.due = None
