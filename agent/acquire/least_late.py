"""How late the pictures come that come least late: what is left of arrival without encoding, jitter and waiting."""

from __future__ import annotations

from typing import Final

from agent.clock import SECOND_NS, WallTime

LEAST_NS: Final = 5 * SECOND_NS
"""Long enough that one picture in it had a quick way, short enough that two clocks do not go apart meanwhile."""

_FORGET: Final = (15, 16)  # per stretch: a minute and a half later a third is left


class LeastLate:
    """The least lateness of the last `LEAST_NS` at least, of twice that at most.

    What comes earlier than all before counts at once; that everything comes later counts when the last picture that
    came earlier is forgotten.
    """

    def __init__(self) -> None:
        self._since = WallTime(0)
        self._least: int | None = None
        self._before: int | None = None
        self.spread_ns = 0
        """By how much the least of two stretches have differed in the last minutes: how unsteady this measure is."""

    @property
    def late_ns(self) -> int:
        """The least; zero before the first."""
        if self._least is None:
            return 0
        return self._least if self._before is None else min(self._least, self._before)

    def note(self, late_ns: int, arrival: WallTime) -> bool:
        """Take one picture's lateness; False if nothing is another now, as with almost every picture."""
        if self._least is not None and 0 <= arrival - self._since < LEAST_NS:
            if late_ns >= self._least:
                return False
            self._least = late_ns
            return True
        if self._least is not None and self._before is not None:
            kept_ns = self.spread_ns * _FORGET[0] // _FORGET[1]
            self.spread_ns = max(abs(self._least - self._before), kept_ns)
        self._before, self._least, self._since = self._least, late_ns, arrival
        return True
