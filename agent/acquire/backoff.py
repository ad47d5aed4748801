"""How long a camera is left alone after a failure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.clock import SECOND_NS, Instant


@dataclass(slots=True)
class Backoff:
    """Waits that double from `min_s` to `max_s`; after a refused login `login_s`, since cameras lock accounts."""

    min_s: float
    max_s: float
    login_s: float
    failures: int = 0

    def next_try(self, now: Instant, jitter: float, *, is_login_refused: bool) -> Instant:
        """Count a failure and return when to try again; `jitter` in [0, 1) adds up to half of the wait."""
        if is_login_refused:
            wait_s = self.login_s
        else:
            wait_s = min(self.max_s / 1.5, self.min_s * 2 ** min(self.failures, 16))
            self.failures += 1
        return Instant(now + int(wait_s * (1 + jitter / 2) * SECOND_NS))

    def settled(self) -> None:
        """Note that things went well: the next failure begins with the shortest wait again."""
        self.failures = 0
