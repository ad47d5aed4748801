"""Two clocks, two types: an `Instant` orders and waits, a `WallTime` is shown, signed and compared with windows.

Rules of this file: UTC nanoseconds only; nothing here reads a clock (the adapter in `outside/host.py` does).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NewType, Protocol

import msgspec

from agent.errors import BadInputError

WallTime = NewType("WallTime", int)
"""Nanoseconds of UTC since 1970-01-01, as the hub's clock has them."""

Instant = NewType("Instant", int)
"""Nanoseconds of the hub's monotonic clock; meaningless outside this boot."""

SECOND_NS = 1_000_000_000

DRIFT_PPM_MAX: Final = 200
"""How fast the monotonic clock and UTC go apart while nobody disciplines either: twice what a cheap crystal does."""

SIGNED_ERROR_NS_MAX: Final = 10 * SECOND_NS
"""Signed time that may be off by more is not believed any more; commands allow for 60 s."""

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class TimeSource(StrEnum):
    """Who vouches for the hub's UTC time."""

    NETWORK = "network"  # NTP: the kernel says that it is synchronised
    SIGNED = "signed"  # a time key's answer to this hub's question, carried on by the monotonic clock
    ASSUMED = "assumed"  # nobody, by a setting that says unsafe
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClockStanding:
    """Who vouches for the time, and how far off it may be: beside the server's clock, 0 unless it is signed."""

    source: TimeSource
    error_ns: int = 0


class SignedTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signed answers say: UTC minus the time since boot was in `[low_ns, high_ns]`, all ns, at `at`."""

    low_ns: int
    high_ns: int
    estimate_ns: int  # what is shown; it moves no more than it must
    at: int  # since boot

    def now(self, since_boot: Instant) -> WallTime:
        """Return the UTC time."""
        return WallTime(since_boot + self.estimate_ns)

    def error_ns(self, since_boot: Instant) -> int:
        """Return how far off that may be: half the round trip, and the drift since."""
        off_ns = max(self.high_ns - self.estimate_ns, self.estimate_ns - self.low_ns)
        return off_ns + self._drift_ns(since_boot)

    def met_by(self, newer: SignedTime) -> SignedTime:
        """Return what both say together; where they contradict each other, the newer one."""
        drift_ns = self._drift_ns(newer.at)
        low_ns, high_ns = max(self.low_ns - drift_ns, newer.low_ns), min(self.high_ns + drift_ns, newer.high_ns)
        if low_ns > high_ns:
            return newer
        return SignedTime(low_ns, high_ns, min(max(self.estimate_ns, low_ns), high_ns), newer.at)

    def _drift_ns(self, since_boot: int) -> int:
        return -(-abs(since_boot - self.at) * DRIFT_PPM_MAX // 1_000_000)


class Clock(Protocol):
    """The only source of time for stories and adapters; stages get times as arguments."""

    def now(self) -> WallTime:
        """Return the hub's UTC time."""

    def instant(self) -> Instant:
        """Return the monotonic time."""

    def is_trusted(self) -> bool:
        """Say whether somebody vouches for the UTC time; commands fail closed while nobody does."""

    def standing(self) -> ClockStanding:
        """Say who does, and how well."""


class BootClock(Clock, Protocol):
    """A clock that also counts the time in which the hub was suspended."""

    def since_boot(self) -> Instant:
        """Return the time since the machine's start, suspended or not; what signed time is measured by."""


class SignedClock(BootClock, Protocol):
    """A clock that can be told the time."""

    def signed(self) -> SignedTime | None:
        """Return what it was told, while it goes by that."""

    def believe(self, signed: SignedTime | None) -> None:
        """Go by this until a better source is there, or by the machine's clock alone; nobody sets that."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open interval `[start, end)` in hub time; never empty."""

    start: WallTime
    end: WallTime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise BadInputError("a window must start before it ends")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SECOND_NS

    def __contains__(self, moment: WallTime) -> bool:
        return self.start <= moment < self.end

    def intersection(self, other: Window) -> Window | None:
        """Return what both have in common, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None


def parse_rfc3339(text: str) -> WallTime:
    """Read `2026-11-22T13:46:00.123Z` (UTC only, up to 9 decimals) exactly, without floats.

    Raises BadInputError for anything else.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadInputError(f"not an RFC 3339 UTC time: {text[:40]!r}")
    try:
        whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInputError(f"not a date: {text[:40]!r}") from error
    return WallTime(int(whole.timestamp()) * SECOND_NS + int((match[2] or "").ljust(9, "0")))


def rfc3339(moment: WallTime) -> str:
    """Write a time as RFC 3339 in UTC with as many of 9 decimals as it needs, at least milliseconds."""
    seconds, nanoseconds = divmod(moment, SECOND_NS)
    decimals = f"{nanoseconds:09d}"
    decimals = decimals[:3] if decimals.endswith("000000") else decimals
    return (
        f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()}.{decimals}Z"  # %Y: no zeros in front
    )
