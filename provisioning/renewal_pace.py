"""When a certificate is renewed, how often that is tried, and when a person should know that it does not work.

Rules of this file: dates in, dates out; all of it scales with the certificate's life, since operators choose that.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization

WINDOW: Final = (2 / 3, 3 / 4)
"""Shares of its life between which a certificate is renewed. Where in between, it says itself (its hash does, so that
a start changes nothing): hubs that were enrolled in one night are not back in one night (RFC 9773 section 4.2)."""
LATE: Final = 5 / 6
"""From here on a person is told what fails: 15 days before the end of 90."""
PAUSE_S: Final = (1.0, 15 * 60.0)
PAUSE_S_MAX: Final = (2.0, 12 * 3600.0)
"""Shortest and longest values of the first and the last pause between tries; 90 days have the longest."""


class Validity(NamedTuple):
    """The life of a certificate, in Unix seconds."""

    begins_s: float
    ends_s: float
    spread: float
    """In [0, 1), its own."""

    @classmethod
    def of(cls, leaf: x509.Certificate) -> Self:
        """Read it."""
        digest = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).digest()
        spread = int.from_bytes(digest[:6]) / 2**48
        return cls(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp(), spread)

    @property
    def life_s(self) -> float:
        """How long it is good for in all."""
        return max(0.0, self.ends_s - self.begins_s)

    @property
    def due_s(self) -> float:
        """When it should be renewed."""
        first, last = WINDOW
        return self.begins_s + self.life_s * (first + (last - first) * self.spread)

    @property
    def late_s(self) -> float:
        """From when on a person should know that it was not renewed."""
        return self.begins_s + self.life_s * LATE


def pause_s(life_s: float, failures: int, chance: float) -> float:
    """Return how long to wait after so many failures on end; `chance` in [0, 1) takes up to half of it away."""
    first = _between(life_s / 5000, PAUSE_S)
    last = _between(life_s / 100, PAUSE_S_MAX)
    doublings = min(failures, 16)
    return min(last, first * float(1 << doublings)) * (1 - chance / 2)


def _between(wanted: float, limits: tuple[float, float]) -> float:
    return min(max(wanted, limits[0]), limits[1])
