"""Keeps on the disk which runs were recorded under which of the hub's clocks (`buffer/clock_eras.py`).

What was recorded while nobody vouched for the clock is dated afterwards, if the hub has not been off meanwhile: its own
monotonic clock tells how wrong the times were. That is a bound; no time is ever rewritten.

Rules of this file: a clock of which nobody can say how wrong it was dates nothing; what the recorder's thread has begun
is taken over at the next look, so nothing is believed better than it is for longer than that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from agent.buffer.clock_eras import (
    UNKNOWN,
    ClockChange,
    Eras,
    begun,
    bounded,
    decode_eras,
    encode_eras,
    error_of,
)
from agent.clock import DRIFT_PPM_MAX, SignedClock, TimeSource
from agent.errors import BadInputError, UnavailableError
from agent.ports import Document, Documents

LOOK_EVERY_S: Final = 1.0
READING_NS_MAX: Final = 10_000_000  # two clocks that took longer to read say nothing
ROUND_UP_NS: Final = 1_000_000  # a bound is stored as 1 ms, 2 ms, 4 ms ...: a growing one costs few writes

_NAME: Final = "clock past"

log: Final = logging.getLogger("transom.clock_past")


class ClockPast:
    """The eras of one hub. Used from the event loop only; `changes` are the recorder's, oldest first."""

    def __init__(self, stored: Documents, clock: SignedClock, changes: Callable[[], Sequence[ClockChange]]) -> None:
        self._stored, self._clock, self._changes = stored, clock, changes
        self.eras = self._read()
        self._is_stored = True
        self._taken = 0  # number of the newest change
        self._has_begun, self._least_run = False, 0
        self._low_ns = self._high_ns = self._began = 0  # UTC less the time since boot, of the newest era as it passes
        self._has_readings = False

    def begin(self, last_run: int) -> None:
        """Note who vouches for the clock now, before anything is recorded; `last_run` is the newest on the disk."""
        self._taken = max((change.number for change in self._changes()), default=0)  # of runs that are on no disk
        self._has_begun, self._least_run = True, last_run + 1
        if not last_run and self.eras:  # the ring's disk may come later: its runs stay what they were
            self._least_run = max(self.eras[-1].first_run + 1, self._clock.now())  # runs are not below the time
        self._begin_era(self._least_run, self._clock.standing().source)
        self.look()

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Take over what has changed, and read the clocks; every second, and before footage is chosen."""
        if not self._has_begun:
            return
        reading = self._read_clocks()
        for change in self._changes():
            if change.number > self._taken:
                self._taken = change.number
                self._close_era(reading)
                self._begin_era(max(change.first_run, self._least_run), change.source)
        if reading is not None:
            self._note(reading)
        self._store()

    def error_of(self, run: int) -> int | None:
        """Return how far off a run's times may be, beside their own bound; None: nobody knows."""
        return error_of(self.eras, run)

    def _begin_era(self, first_run: int, source: TimeSource) -> None:
        self._put(begun(self.eras, first_run, source))
        self._has_readings, self._began = False, self._clock.since_boot()

    def _close_era(self, reading: int | None) -> None:
        """Say how wrong the clock was, now that somebody knows."""
        standing = self._clock.standing()
        if reading is None or not self._has_readings or standing.source is TimeSource.NONE:
            return
        era, off_ns = self.eras[-1], max(abs(reading - self._low_ns), abs(reading - self._high_ns))
        age_ns = self._clock.since_boot() - self._began
        if era.source is TimeSource.NONE:
            self._put(bounded(self.eras, off_ns + standing.error_ns + age_ns * DRIFT_PPM_MAX // 1_000_000))
        elif era.source is TimeSource.SIGNED and off_ns > era.error_ns:
            self._put(bounded(self.eras, off_ns + standing.error_ns))

    def _note(self, reading: int) -> None:
        """Keep what a clock that nobody vouches for shows, and the worst bound of one that is signed."""
        standing, era = self._clock.standing(), self.eras[-1]
        if standing.source is not era.source:
            return  # the recorder goes by the new one from its next tick on
        if standing.source is TimeSource.SIGNED and era.error_ns != UNKNOWN:
            moved_ns = abs(reading - self._low_ns) if self._has_readings else 0
            if standing.error_ns + moved_ns > era.error_ns:
                self._put(bounded(self.eras, _rounded(standing.error_ns + moved_ns)))
        is_kept = standing.source is TimeSource.NONE and self._has_readings
        self._low_ns = min(self._low_ns, reading) if is_kept else reading
        self._high_ns = max(self._high_ns, reading) if is_kept else reading
        self._has_readings = True

    def _read_clocks(self) -> int | None:
        before, now, after = self._clock.since_boot(), self._clock.now(), self._clock.since_boot()
        return None if after - before > READING_NS_MAX else now - before

    def _put(self, eras: Eras) -> None:
        if eras != self.eras:
            self.eras, self._is_stored = eras, False

    def _store(self) -> None:
        if self._is_stored:
            return
        try:
            self._stored.put_document(_NAME, Document(1, encode_eras(self.eras)))
        except UnavailableError as error:
            log.warning("how well the hub's clock was known cannot be stored: %s", error)
        else:
            self._is_stored = True

    def _read(self) -> Eras:
        kept = self._stored.document(_NAME)
        try:
            return decode_eras(kept.token) if kept else ()
        except BadInputError:
            return ()


def _rounded(error_ns: int) -> int:
    bound_ns = ROUND_UP_NS
    while bound_ns < error_ns:
        bound_ns *= 2
    return bound_ns
