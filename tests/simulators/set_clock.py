"""The hub's clocks as a test sets them: they stand still until they are told to move."""

from __future__ import annotations

import time

from agent.clock import SECOND_NS, SIGNED_ERROR_NS_MAX, ClockStanding, Instant, SignedTime, TimeSource, WallTime


class SetClock:
    """Implements `agent.clock.SignedClock`: wall and monotonic time move together by `go_on`, or alone by `set_to`.

    While it is not `trusted` it goes by signed time, as the machine's clock does. If it is `running`, the time since
    boot goes on beside that, as a machine's does whatever its clock is set to.
    """

    def __init__(self, now: WallTime, *, trusted: bool = True, running: bool = False) -> None:
        self._began = time.monotonic_ns() if running else None
        self._now, self._instant = now, Instant(1_000 * SECOND_NS)
        self.trusted = trusted
        self._signed: SignedTime | None = None

    def now(self) -> WallTime:
        """Return the wall time that was set, or signed."""
        signed = None if self.trusted else self._signed
        return self._now if signed is None else signed.now(self._instant)

    def instant(self) -> Instant:
        """Return the monotonic time, which only ever goes on."""
        return self._instant

    def since_boot(self) -> Instant:
        """Return the monotonic time: this machine is never suspended."""
        return self._instant if self._began is None else Instant(self._instant + time.monotonic_ns() - self._began)

    def is_trusted(self) -> bool:
        """Say whether anybody vouches for it."""
        return self.standing().source is not TimeSource.NONE

    def standing(self) -> ClockStanding:
        """Return what the test has set, or what was signed."""
        if self.trusted:
            return ClockStanding(TimeSource.NETWORK)
        error_ns = self._signed.error_ns(self._instant) if self._signed else SIGNED_ERROR_NS_MAX + 1
        is_good = error_ns <= SIGNED_ERROR_NS_MAX
        return ClockStanding(TimeSource.SIGNED, error_ns) if is_good else ClockStanding(TimeSource.NONE)

    def signed(self) -> SignedTime | None:
        """Return what it was told."""
        return self._signed

    def believe(self, signed: SignedTime | None) -> None:
        """Take signed time, or none."""
        self._signed = signed

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self._now = WallTime(self._now + round(seconds * SECOND_NS))
        self._instant = Instant(self._instant + round(seconds * SECOND_NS))

    def set_to(self, now: WallTime) -> None:
        """Set the wall time alone, as somebody who sets a clock does."""
        self._now = now
