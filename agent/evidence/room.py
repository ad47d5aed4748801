"""Whether an entry still has room: strangers cannot fill the log, and nothing begins that could not be written down.

Rules of this file: what is left out is counted, and the count is written; what must be written and cannot stops what it
would tell of. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.errors import UnavailableError
from agent.evidence.kinds import OPENING_KINDS, STRANGERS_ENTRIES_PER_DAY_MAX, STRANGERS_KINDS

LOG_BYTES_MAX: Final = 256 * 1024 * 1024  # some million entries, ten busy years; read once at each start
RESERVED_BYTES: Final = 16 * 1024 * 1024  # of the log and of its disk: for all that follows from what was begun
_DAY_NS: Final = 24 * 3600 * SECOND_NS
_CURE: Final = "`transom audit export` it, keep that, and set the hub up with an empty audit folder"


class LogFullError(UnavailableError):
    """Nothing new may begin: what it would lead to could not be written down."""


@dataclass(frozen=True, slots=True)
class LogRoom:
    """How large a log may become, and how much of that, and of its disk, is kept for what was begun already."""

    log_bytes_max: int = LOG_BYTES_MAX
    reserved_bytes: int = RESERVED_BYTES

    def check(self, kind: str, line_bytes: int, log_bytes: int, free_bytes: int) -> None:
        """Raise LogFullError if an entry may not be written to a log of this size on a disk with so much free."""
        reserved = self.reserved_bytes if kind in OPENING_KINDS else 0
        if log_bytes + line_bytes + reserved > self.log_bytes_max:
            raise LogFullError(f"the audit log has reached {log_bytes} of {self.log_bytes_max} bytes", cure=_CURE)
        if reserved and free_bytes < reserved:
            raise LogFullError(
                f"the audit log's disk has only {free_bytes} bytes free, and {reserved} are needed to begin anything",
                cure="give the partition to the hub alone, or make room on it",
            )


class StrangersBudget:
    """Counts the entries that strangers have caused since a day began."""

    def __init__(self) -> None:
        self._day_began: Instant | None = None
        self._written = 0
        self._left_out = 0

    def takes(self, kind: str, now: Instant) -> bool:
        """Say whether an entry is written; one that is not is counted."""
        if kind not in STRANGERS_KINDS:
            return True
        if self._day_began is None or now - self._day_began >= _DAY_NS:
            self._day_began, self._written = now, 0
        if self._written >= STRANGERS_ENTRIES_PER_DAY_MAX:
            self._left_out += 1
            return False
        self._written += 1
        return True

    def take_left_out(self) -> int:
        """Return how many were left out since this was asked last; the caller writes it down."""
        left_out, self._left_out = self._left_out, 0
        return left_out
