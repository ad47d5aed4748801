"""The end of a session to where the camera is dialled next, and when: a redirection at once, all else after a wait.

Rules of this file: no wait is shorter than the camera asks for; a redirection is good for one session, and whatever
fails after it is tried at the camera's own address again.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.backoff import Backoff
from agent.acquire.session_effect import Ended
from agent.clock import SECOND_NS, Instant

SETTLED_S: Final = 30  # a session that recorded this long was a good one: the next failure begins with a short wait
REDIRECTS_MAX: Final = 3  # in a row


class Redial:
    """`url` is where to dial, not before `at`; `home`, where the camera is unless it redirects."""

    def __init__(self, home: str, backoff: Backoff) -> None:
        self.url, self.at = home, Instant(0)
        self._home, self._backoff, self._redirects = home, backoff, 0

    def move(self, home: str, now: Instant) -> None:
        """Dial another address from now on, as if nothing had failed yet."""
        self._backoff.settled()
        self.url = self._home = home
        self.at, self._redirects = now, 0

    def follow(self, ended: Ended, now: Instant) -> bool:
        """Take a redirection, if it is one and not one too many; say whether it is followed."""
        if not ended.location or self._redirects >= REDIRECTS_MAX:
            return False
        self.url, self.at = ended.location, now
        self._redirects += 1
        return True

    def wait(self, ended: Ended, now: Instant, jitter: float, *, is_long: bool) -> float:
        """Note a failure that only time or a person (`is_long`) mends; return for how many seconds to wait.

        `jitter` in [0, 1) spreads the cameras of a site over half of the wait.
        """
        self.url, self._redirects = self._home, 0
        wait_ns = self._backoff.next_try(now, jitter, is_login_refused=is_long) - now
        wait_ns = max(wait_ns, int(ended.retry_s * (1 + jitter / 2) * SECOND_NS))
        self.at = Instant(now + wait_ns)
        return wait_ns / SECOND_NS

    def went_well(self, for_ns: int) -> None:
        """Note that a session has recorded for so long."""
        self._redirects = 0
        if for_ns > SETTLED_S * SECOND_NS:
            self._backoff.settled()
