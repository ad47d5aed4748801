"""The word that a device is still the camera it was, and how long a recording waits for it.

Rules of this file: a refusal counts once, for the connection that it was about; the word lapses with the connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.clock import SECOND_NS, Instant


@dataclass(slots=True)
class Confirmation:
    """`wait_s` is how long to wait for the word; 0 where nobody gives one."""

    wait_s: float = 0.0
    is_given: bool = False
    refusal: str = ""
    _asked: Instant | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody should find out who answers at the camera's address."""
        return self._asked is not None and not self.is_given

    def is_over(self, now: Instant) -> bool:
        """Ask for the word, from the first call on; say whether the waiting is over."""
        if self.is_given or not self.wait_s:
            return True
        if self._asked is None:
            self._asked = now
        return now - self._asked >= int(self.wait_s * SECOND_NS)

    def hear(self, refusal: str) -> None:
        """Take the word: empty, it is the camera; else why it is not."""
        self.refusal, self.is_given = refusal, not refusal

    def lapse(self) -> None:
        """Forget the word: whoever answers next may be somebody else."""
        self.is_given, self.refusal, self._asked = False, "", None
