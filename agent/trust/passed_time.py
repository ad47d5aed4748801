"""How much time has passed for certain, over restarts and whatever the clock is set to: deadlines are measured by it.

Within one start of the machine it is the clock that goes on while the hub is suspended. Over a time in which the hub's
software was off it is what that clock proves, or what the hub's UTC shows, if that is more. A hub that is off, and
whose clock is set back meanwhile, cannot know of the rest.

Rules of this file: it never goes back; UTC counts when somebody vouches for it; it is stored once a minute while
somebody asks, so a power cut costs a minute of it at most.
"""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from agent.clock import SECOND_NS, BootClock
from agent.errors import UnavailableError
from agent.ports import Document, Documents

NOTE_EVERY_NS: Final = 60 * SECOND_NS
_NAME: Final = "passed time"


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much had passed, and what both clocks showed then; all ns."""

    passed: int
    wall: int
    since_boot: int


class PassedTime:
    """One hub's count. Used from the event loop only."""

    def __init__(self, stored: Documents, clock: BootClock) -> None:
        self._stored, self._clock = stored, clock
        self._mark: Mark | None = None
        self._before: Mark | None = None  # of an earlier life, until it is known what UTC shows since
        self._noted_at = 0

    def now(self) -> int:
        """Return how much has passed since this hub first counted, in ns."""
        since_boot, is_trusted = self._clock.since_boot(), self._clock.is_trusted()
        if self._mark is None:
            self._before = self._read()
            self._mark = self._begun(since_boot)
            self._note(self._mark, is_trusted=is_trusted)
        passed = self._mark.passed + max(0, since_boot - self._mark.since_boot)
        if self._before is not None and is_trusted:
            wall, before, self._before = self._clock.now(), self._before, None
            passed = max(passed, before.passed + wall - before.wall)
            self._mark = Mark(passed, wall, since_boot)
            self._note(self._mark, is_trusted=True)
        if since_boot - self._noted_at >= NOTE_EVERY_NS:
            self._note(Mark(passed, self._clock.now(), since_boot), is_trusted=is_trusted)
        return passed

    def _begun(self, since_boot: int) -> Mark:
        """Count what the clock that is never set proves of the time since the last mark, which another start may be."""
        before, wall = self._before, self._clock.now()
        if before is None:
            return Mark(0, wall, since_boot)
        is_later = since_boot >= before.since_boot
        return Mark(before.passed + (since_boot - before.since_boot if is_later else since_boot), wall, since_boot)

    def _note(self, mark: Mark, *, is_trusted: bool) -> None:
        if is_trusted:  # what nobody vouches for would be compared with later
            self._noted_at = mark.since_boot
            with contextlib.suppress(UnavailableError):  # the next minute
                self._stored.put_document(_NAME, Document(1, msgspec.json.encode(mark).decode()))

    def _read(self) -> Mark | None:
        kept = self._stored.document(_NAME)
        try:
            return None if kept is None else msgspec.json.decode(kept.token, type=Mark)
        except msgspec.MsgspecError:
            return None
