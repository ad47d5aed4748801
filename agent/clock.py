"""Two clocks, two types: an `Instant` orders and waits, a `WallTime` is shown, signed and compared with windows.

Rules of this file: UTC nanoseconds only; nothing here reads a clock (the adapter in `outside/host.py` does).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType, Protocol

from agent.errors import BadInputError

WallTime = NewType("WallTime", int)
"""Nanoseconds of UTC since 1970-01-01, as the hub's clock has them."""

Instant = NewType("Instant", int)
"""Nanoseconds of the hub's monotonic clock; meaningless outside this boot."""

SECOND_NS = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class Clock(Protocol):
    """The only source of time for stories and adapters; stages get times as arguments."""

    def now(self) -> WallTime:
        """Return the hub's UTC time."""

    def instant(self) -> Instant:
        """Return the monotonic time."""

    def is_trusted(self) -> bool:
        """Say whether the UTC time is known to be synchronised; commands fail closed while it is not."""


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
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + decimals + "Z"
