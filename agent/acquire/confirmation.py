"""The word that a device is still the camera it was, and whether a session begins before it is there.

Rules of this file: a refusal counts once, for the connection that it was about; the word lapses with the connection. No
password goes out in clear before the word, and a digest of it only where the camera itself was a moment ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.acquire.session_effect import Ended, Ending
from agent.clock import SECOND_NS, Instant

ACQUAINTED_S: Final = 600
"""So long after a session, whoever answers at its address is taken for the camera until the word is there.

An address is given to another device after hours (DHCP leases); a camera that was started anew is back in a minute.
"""

_NEVER: Final = Instant(0)


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


@dataclass(slots=True)
class Acquaintance:
    """Where a camera was recorded last, and what whoever answered there made of an early login."""

    is_patient: bool = False  # it asks for the password in clear: each session waits for the word
    refused: Ended | None = None  # of a login to somebody who was not vouched for: final only if it was the camera
    _place: str = ""
    _seen: Instant = _NEVER

    def note_recorded(self, url: str, now: Instant) -> None:
        """Note that a session at `url` whose pictures were stored is over now."""
        self._place, self._seen = url, now

    def may_begin(self, url: str, now: Instant, *, has_login: bool, has_pin: bool) -> bool:
        """Say whether a session may begin before the word, its pictures being held back.

        `has_pin`: it showed the camera's own certificate.
        """
        if self.refused is not None or self.is_patient:
            return False
        is_near = self._place == url and now - self._seen <= ACQUAINTED_S * SECOND_NS
        return has_pin or not has_login or is_near

    def is_to_wait(self, ended: Ended) -> bool:
        """Take the end of a session that began early; say whether the next one is to wait for the word, at once."""
        if ended.ending is Ending.UNTRUSTED:
            self.is_patient = True
        elif ended.ending is Ending.LOGIN_REFUSED:
            self.refused = ended
        return ended.ending in {Ending.UNTRUSTED, Ending.LOGIN_REFUSED}
