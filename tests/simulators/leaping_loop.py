"""An event loop in which days pass in seconds: when nothing is left to do, time leaps to the next thing.

For tests of what waits for long. Nothing in it may wait for a thread or a socket: it would leap past it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.clock import SECOND_NS, Instant, WallTime

_Result = TypeVar("_Result")


class _LeapingSelector(selectors.DefaultSelector):
    """Waits for nothing, but says how long it would have waited."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look, and let time pass."""
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if timeout is None and not found:
            raise RuntimeError("everybody waits, and nothing is ever going to happen")
        self.passed_s += max(timeout or 0.0, 0.0)
        return found


class LeapingClock:
    """The clocks of such a loop (`agent.clock.Clock`), from `start` on."""

    def __init__(self, start: WallTime) -> None:
        self._start, self.selector = start, _LeapingSelector()

    def now(self) -> WallTime:
        """Return the wall time."""
        return WallTime(self._start + self._passed_ns())

    def instant(self) -> Instant:
        """Return the monotonic time."""
        return Instant(1_000 * SECOND_NS + self._passed_ns())

    def is_trusted(self) -> bool:
        """Trust it."""
        return True

    def _passed_ns(self) -> int:
        return round(self.selector.passed_s * SECOND_NS)


class _LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: LeapingClock) -> None:
        super().__init__(clock.selector)
        self._leaping = clock.selector

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._leaping.passed_s


def run_leaping(clock: LeapingClock, life: Coroutine[Any, Any, _Result]) -> _Result:
    """Run something to its end in a loop with this clock; once for each clock."""
    with asyncio.Runner(loop_factory=lambda: _LeapingLoop(clock)) as runner:
        return runner.run(life)
