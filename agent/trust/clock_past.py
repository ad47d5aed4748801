"""Keeps on the disk which runs were recorded under which of the hub's clocks (`buffer/clock_eras.py`).

What was recorded while nobody vouched for the clock is dated afterwards, if the hub has not been off meanwhile: its own
monotonic clock tells how wrong the times were. So does what was recorded under a clock that was set since. That is a
bound; no time is ever rewritten.

Rules of this file:
- A clock of which nobody can say how wrong it was dates nothing; what the recorder's thread has begun is taken over at
  the next look, so nothing is believed better than it is for longer than that.
- The clock of now counts, if it is vouched for at least as well as the one it contradicts. One that was just set to a
  time that none has shown before is doubted for a while: nothing is cut then, so nothing that is right again is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.buffer.clock_eras import (
    UNKNOWN,
    ClockChange,
    ClockEra,
    ClockWord,
    Eras,
    begun,
    bounded,
    decode_eras,
    encode_eras,
    ended,
    era_of,
    error_of,
    is_torn,
    judged,
    read_as,
    wrong_spans,
)
from agent.clock import DRIFT_PPM_MAX, SECOND_NS, SignedClock, TimeSource, WallTime, Window
from agent.errors import BadInputError, UnavailableError
from agent.ports import Document, Documents

LOOK_EVERY_S: Final = 1.0
READING_NS_MAX: Final = 10_000_000  # two clocks that took longer to read say nothing
READINGS_MAX: Final = 3
ROUND_UP_NS: Final = 1_000_000  # a bound is stored as 1 ms, 2 ms, 4 ms ...: a growing one costs few writes
STEP_NS_MIN: Final = 100_000_000  # what the recorder takes for a step, too (`acquire/step_watch.py`)
DOUBT_NS: Final = 60 * SECOND_NS
"""A clock that was set by mistake is mostly right again before; one that stands for so long is believed."""
LIVED_MAX: Final = 64
BACK_NS_MIN: Final = 2 * SECOND_NS
BACK_NS_MAX: Final = 7 * 24 * 3600 * SECOND_NS
"""A clock that was further ahead once says nothing about that of now."""

_NAME: Final = "clock past"
RANK: Final = {TimeSource.NONE: 0, TimeSource.SIGNED: 1, TimeSource.ASSUMED: 2, TimeSource.NETWORK: 2}
"""How good a source is beside another one."""

log: Final = logging.getLogger("transom.clock_past")


@dataclass(frozen=True, slots=True)
class _Lived:
    """An era of this life of the software that has ended; UTC less the time since boot as it was in it."""

    era: ClockEra  # as it was when it ended: its error is its own
    low_ns: int
    high_ns: int
    loose_ns: int  # how long nobody had disciplined the clock when it ended

    def off_ns(self, reading: int) -> int:
        """Return how much later than it showed it was, by another reading; the most, with its sign."""
        return max(reading - self.low_ns, reading - self.high_ns, key=abs)


class ClockPast:
    """The eras of one hub. Used from the event loop only; `changes` are the recorder's, oldest first."""

    def __init__(
        self, stored: Documents, clock: SignedClock, changes: Callable[[], Sequence[ClockChange]], boot: str = ""
    ) -> None:
        """Read what is stored; `boot` names this start of the machine, empty if nobody knows."""
        self._stored, self._clock, self._changes, self._boot = stored, clock, changes, boot
        self.eras = self._read()
        self._is_stored = True
        self._taken = 0  # number of the newest change
        self._has_begun, self._least_run = False, 0
        self._low_ns = self._high_ns = self._began = 0  # UTC less the time since boot, of the newest era as it passes
        self._has_readings = False
        self._lived: list[_Lived] = []
        self._loose_ns = self._looked = 0
        self._doubted_at: int | None = None  # since boot: when the clock was set to what nothing confirms
        self._unseen_at: int | None = None  # since boot: when a step was read that the recorder has not told of yet

    def begin(self, last_run: int) -> None:
        """Note who vouches for the clock now, before anything is recorded; `last_run` is the newest on the disk."""
        self._taken = max((change.number for change in self._changes()), default=0)  # of runs that are on no disk
        self._has_begun, self._least_run = True, last_run + 1
        if not last_run and self.eras:  # the ring's disk may come later: its runs stay what they were
            self._least_run = max(self.eras[-1].first_run + 1, self._clock.now())  # runs are not below the time
        source = self._clock.standing().source
        self._looked = self._clock.since_boot()
        is_news, is_doubted = self._look_back(last_run, source)
        self._doubted_at = self._looked if is_news or is_doubted else None
        self._begin_era(self._least_run, source, is_doubted=is_news)
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
        self._count_loose()
        if reading is None:
            self._unseen_at = self._clock.since_boot() if self._unseen_at is None else self._unseen_at
            return
        new = [change for change in self._changes() if change.number > self._taken]
        for change in new:
            self._taken = change.number
            # a clock that was set, and set again before anybody looked, has never been read
            is_unread = change.is_step and change is not new[-1]
            self._take(change._replace(source=TimeSource.NONE) if is_unread else change, reading)
        self._note(reading)
        self._store()

    def error_of(self, run: int) -> int | None:
        """Return how far off a run's times may be, beside their own bound; None: nobody knows."""
        return error_of(self.eras, run)

    def era_of(self, run: int) -> ClockEra | None:
        """Return the era of a run; None: it is from before anything was noted."""
        return era_of(self.eras, run)

    def wrong_spans(self) -> tuple[Window, ...]:
        """Return when the clock was wrong though somebody vouched for it, as far as that has been found out."""
        return wrong_spans(self.eras)

    def word_for(self, received: WallTime) -> ClockWord:
        """Say what the clock is worth now for a job that was received at this time."""
        self.look()
        now = self._clock.since_boot()
        if any(at is not None and now - at < DOUBT_NS for at in (self._doubted_at, self._unseen_at)):
            return ClockWord.DOUBTED
        return ClockWord.TORN if is_torn(self.eras, received) else ClockWord.GOOD

    def _take(self, change: ClockChange, reading: int) -> None:
        """Take over what the recorder has seen: somebody else vouches for the clock, or it was set."""
        before, source = self.eras[-1].source, change.source
        if before is source and (source is TimeSource.NONE or not change.is_step):
            return  # nobody knows the time, and the readings say how far it was set; or another place to record to
        self._end_era(reading)
        is_doubted = self._is_news(source, reading)
        self._judge_all(source, reading, is_sure=not is_doubted)
        is_waited_for = is_doubted or source is TimeSource.NONE  # somebody vouched for it: perhaps so again in a moment
        self._doubted_at = self._clock.since_boot() if is_waited_for else None
        self._unseen_at = None
        self._begin_era(max(change.first_run, self._least_run), source, is_doubted=is_doubted)

    def _look_back(self, last_run: int, source: TimeSource) -> tuple[bool, bool]:
        """Say whether the clock was set while the software was off, or was doubted before that and is as it was."""
        known = self.eras[-1] if self.eras else None
        own = [msgspec.structs.replace(era, error_ns=0) for era in self.eras if self._is_of_this_boot(era)]
        self._lived = [_Lived(era, era.offset_ns, era.offset_ns, 0) for era in own]
        reading = self._read_clocks()
        if known is None or source is TimeSource.NONE:
            return False, False
        if not own or reading is None:  # the machine was off: a run's number, at least, is not below the time
            back_ns = max(last_run, known.since) - self._clock.now()
            return BACK_NS_MIN < back_ns <= BACK_NS_MAX, False
        is_as_it_was = own[-1].is_same(known) and self._is_as_now(self._lived[-1], reading)
        is_news = not is_as_it_was and self._is_news(source, reading)
        if not is_as_it_was:
            self._judge_all(source, reading, is_sure=not is_news)
        return is_news, is_as_it_was and known.is_doubted

    def _is_news(self, source: TimeSource, reading: int) -> bool:
        """Say whether this clock contradicts those that were as good, all but such as were news themselves."""
        peers = [lived for lived in self._lived if RANK[lived.era.source] >= RANK[source] > 0]
        return bool(peers) and not any(self._is_as_now(lived, reading) for lived in peers if not lived.era.is_doubted)

    def _begin_era(self, first_run: int, source: TimeSource, *, is_doubted: bool = False) -> None:
        self._put(begun(self.eras, first_run, source, self._clock.now(), is_doubted=is_doubted))
        self._has_readings, self._began = False, self._clock.since_boot()

    def _end_era(self, reading: int) -> None:
        """Keep what the newest clock was; if nobody vouched for it, say how wrong it was, now that somebody knows."""
        standing, era, now = self._clock.standing(), self.eras[-1], self._clock.since_boot()
        if not self._has_readings:
            return
        self._put(ended(self.eras, now + self._high_ns))
        if era.source is not TimeSource.NONE:
            own = era if era.error_ns != UNKNOWN else msgspec.structs.replace(era, error_ns=0)
            self._lived = [*self._lived[1 - LIVED_MAX :], _Lived(own, self._low_ns, self._high_ns, self._loose_ns)]
        elif standing.source is not TimeSource.NONE:
            off_ns = max(abs(reading - self._low_ns), abs(reading - self._high_ns))
            age_ns = now - self._began
            self._put(bounded(self.eras, off_ns + standing.error_ns + age_ns * DRIFT_PPM_MAX // 1_000_000))

    def _is_of_this_boot(self, era: ClockEra) -> bool:
        return bool(self._boot) and era.boot == self._boot and RANK[era.source] == max(RANK.values())

    def _judge_all(self, source: TimeSource, reading: int, *, is_sure: bool) -> None:
        error_ns = self._clock.standing().error_ns
        for lived in self._lived:
            if RANK[lived.era.source] <= RANK[source]:
                self._judge(lived, reading, error_ns, is_sure=is_sure)

    def _judge(self, lived: _Lived, reading: int, error_ns: int, *, is_sure: bool) -> None:
        """Say how wrong an earlier clock of this life was, by the one of now.

        One that was doubted, and is not confirmed, has dated nothing however near it was.
        """
        era, off_ns = lived.era, lived.off_ns(reading)
        is_same = era.source is not TimeSource.SIGNED and self._is_as_now(lived, reading)
        if abs(off_ns) <= era.error_ns or is_same:
            self._put(judged(self.eras, era, era.error_ns, 0))
        else:
            bound_ns = UNKNOWN if era.is_doubted and is_sure else abs(off_ns) + error_ns
            self._put(judged(self.eras, era, bound_ns, off_ns))

    def _is_as_now(self, lived: _Lived, reading: int) -> bool:
        """Say whether an earlier clock and that of now are the same, but for what nobody disciplined in between."""
        drift_ns = (self._loose_ns - lived.loose_ns) * DRIFT_PPM_MAX // 1_000_000
        return abs(lived.off_ns(reading)) <= STEP_NS_MIN + drift_ns + lived.era.error_ns

    def _note(self, reading: int) -> None:
        """Keep what a clock that nobody vouches for shows, and the worst bound of one that is signed."""
        standing, era = self._clock.standing(), self.eras[-1]
        if standing.source is not era.source:
            return  # the recorder goes by the new one from its next tick on
        is_set = self._has_readings and abs(reading - self._high_ns) > STEP_NS_MIN
        if is_set and era.source is not TimeSource.NONE:
            self._unseen_at = self._clock.since_boot() if self._unseen_at is None else self._unseen_at
            return  # the recorder sees it at its next tick
        self._unseen_at = None
        if standing.source is TimeSource.SIGNED and era.error_ns != UNKNOWN:
            moved_ns = abs(reading - self._low_ns) if self._has_readings else 0
            if standing.error_ns + moved_ns > era.error_ns:
                self._put(bounded(self.eras, _rounded(standing.error_ns + moved_ns)))
        is_kept = standing.source is TimeSource.NONE and self._has_readings
        self._low_ns = min(self._low_ns, reading) if is_kept else reading
        self._high_ns = max(self._high_ns, reading) if is_kept else reading
        self._has_readings = True
        if RANK[standing.source] == max(RANK.values()):
            self._put(read_as(self.eras, self._boot, reading))

    def _count_loose(self) -> None:
        now = self._clock.since_boot()
        if RANK[self._clock.standing().source] < RANK[TimeSource.NETWORK]:
            self._loose_ns += now - self._looked
        self._looked = now

    def _read_clocks(self) -> int | None:
        for _ in range(READINGS_MAX):
            before, now, after = self._clock.since_boot(), self._clock.now(), self._clock.since_boot()
            if after - before <= READING_NS_MAX:
                return now - before
        return None

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
