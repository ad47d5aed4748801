"""When the next bytes may leave: a token bucket for all uploads, and one beside it for those that are in no hurry.

Rules of this file: what is asked for is booked at once, so that whoever waits wakes up once; while a part of now is
being sent, all others together get `BEHIND_SHARE` of the link; bytes are counted as they are on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, Instant

WIRE_FACTOR: Final = 1.037
"""Of a packet of 1500 bytes 1448 are TLS, and of a TLS record of 16 406 bytes 16 384 are ours (RFC 9293, RFC 8446)."""

BURST_NS: Final = 200_000_000  # what was not used is lost after this
BEHIND_SHARE: Final = 0.25
PIECE_NS: Final = 100_000_000  # a capped upload wakes up about ten times a second
PIECE_BYTES_MIN: Final = 4 * 1024
PIECE_BYTES_MAX: Final = 256 * 1024
REQUEST_S: Final = 8
REQUEST_BYTES_MIN: Final = 64 * 1024


_EVER: Final = Instant(0)


@dataclass(slots=True)
class Bucket:
    """Tokens at `bytes_per_s`; None lets everything pass. Kept as the time at which what was booked has passed."""

    bytes_per_s: float | None = None
    _booked_until: Instant = _EVER

    def book(self, length: int, now: Instant) -> int:
        """Book so many bytes on the wire, and return the nanoseconds after which they may go."""
        if self.bytes_per_s is None:
            self._booked_until = now
            return 0
        begins = max(self._booked_until, now - BURST_NS)
        self._booked_until = Instant(begins + round(length / self.bytes_per_s * SECOND_NS))
        return max(0, begins - now)


class Pace:
    """All uploads of a hub. `set` says what holds from now on, `book` when bytes may go."""

    def __init__(self) -> None:
        self._all, self._behind = Bucket(), Bucket()
        self._link: float | None = None

    def set(self, cap_bytes_per_s: float | None, link_bytes_per_s: float | None) -> None:
        """Send no faster than the cap from now on; the link is as fast as it was measured."""
        self._all.bytes_per_s = cap_bytes_per_s
        known = [rate for rate in (cap_bytes_per_s, link_bytes_per_s) if rate is not None]
        self._link = min(known, default=None)

    @property
    def cap_bytes_per_s(self) -> float | None:
        """Return the cap in force."""
        return self._all.bytes_per_s

    @property
    def link_bytes_per_s(self) -> float | None:
        """Return how fast all uploads together can go; None: nobody knows."""
        return self._link

    def book(self, length: int, now: Instant, *, is_behind: bool) -> int:
        """Book `length` bytes of a body, and return after how many nanoseconds they may go.

        `is_behind`: this upload is in no hurry, and another one is.
        """
        wire = round(length * WIRE_FACTOR)
        wait_ns = self._all.book(wire, now)
        if is_behind and self._link is not None:
            self._behind.bytes_per_s = self._link * BEHIND_SHARE
            wait_ns = max(wait_ns, self._behind.book(wire, now))
        return wait_ns

    def piece_bytes(self, *, is_behind: bool) -> int:
        """Return how much should be asked for at once."""
        rate = self._all.bytes_per_s
        if is_behind and self._link is not None:
            rate = self._link * BEHIND_SHARE
        if rate is None:
            return PIECE_BYTES_MAX
        return round(min(max(rate * PIECE_NS / SECOND_NS, PIECE_BYTES_MIN), PIECE_BYTES_MAX))

    def request_bytes(self, bytes_max: int, seconds: float = REQUEST_S) -> int:
        """Return how long a request should be at most: so many seconds on this link, if that is known."""
        if self._link is None:
            return bytes_max
        return min(bytes_max, max(REQUEST_BYTES_MIN, round(self._link * seconds)))
