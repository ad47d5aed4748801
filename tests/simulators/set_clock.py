"""The hub's clocks as a test sets them: they stand still until they are told to move."""

from __future__ import annotations

from agent.clock import SECOND_NS, Instant, WallTime


class SetClock:
    """Implements `agent.clock.Clock`; wall time and monotonic time move together by `go_on`, or alone by `set_to`."""

    def __init__(self, now: WallTime, *, trusted: bool = True) -> None:
        self._now, self._instant = now, Instant(1_000 * SECOND_NS)
        self.trusted = trusted

    def now(self) -> WallTime:
        """Return the wall time that was set."""
        return self._now

    def instant(self) -> Instant:
        """Return the monotonic time, which only ever goes on."""
        return self._instant

    def is_trusted(self) -> bool:
        """Return what the test has set."""
        return self.trusted

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self._now = WallTime(self._now + round(seconds * SECOND_NS))
        self._instant = Instant(self._instant + round(seconds * SECOND_NS))

    def set_to(self, now: WallTime) -> None:
        """Set the wall time alone, as somebody who sets a clock does."""
        self._now = now
