"""The line before the door: parts wait here until it is their turn to be sent (`deliver/turns.py` says whose it is).

Rules of this file: used from the event loop only; whoever waits can be sent away (`dismiss`) without a turn; a turn
ends with its `async with` block, whatever happens in it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, Clock, WallTime
from agent.deliver.turns import AT_ONCE, Freight, Rank, Turns, rank_of

LOOK_S_MIN: Final = 0.1
_CHANCE: Final = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Line:
    """What waits for the store, or is on its way, at one moment."""

    parts: int  # those that pause after a failure are among them
    bytes: int
    sending: int  # of the parts
    oldest: WallTime | None  # since when the oldest could have gone
    is_store_away: bool


@dataclass(slots=True)
class Turn:
    """One part's turn; `is_given` is False if it was sent away instead."""

    freight: Freight
    is_given: bool
    is_withdrawn: bool = False  # the part may not go any more
    has_answered: bool | None = None  # what it has shown of the store: taken something, failed to, nothing yet


class UploadTurns:
    """Gives turns. `bytes_per_s` says how fast the link is, None if that is not known."""

    def __init__(
        self, clock: Clock, at_once: int = AT_ONCE, bytes_per_s: Callable[[], float | None] = lambda: None
    ) -> None:
        self._clock, self.bytes_per_s = clock, bytes_per_s
        self._turns = Turns(at_once, _CHANCE)
        self._futures: dict[str, asyncio.Future[bool]] = {}
        self._known: dict[str, Freight] = {}
        self._allowed: dict[str, Callable[[], bool]] = {}
        self._timer: asyncio.Handle | None = None

    @contextmanager
    def in_line(self, freight: Freight) -> Iterator[None]:
        """Count a part among those that wait for as long as the block lasts, also between its turns."""
        self._known[freight.part] = freight
        try:
            yield
        finally:
            del self._known[freight.part]

    @asynccontextmanager
    async def turn(self, freight: Freight, is_allowed: Callable[[], bool]) -> AsyncIterator[Turn]:
        """Wait for a turn and have it for as long as the block lasts; `is_allowed` is for `may_go_on`."""
        turn = Turn(freight, is_given=False)
        self._allowed[freight.part] = is_allowed
        self._turns.join(freight)
        self._futures[freight.part] = future = asyncio.get_running_loop().create_future()
        self._look(0)
        try:
            turn.is_given = await future
            yield turn
        finally:
            self._futures.pop(freight.part, None)
            self._allowed.pop(freight.part, None)
            if turn.is_given and turn.has_answered is not None:
                self._turns.end(freight.part, self._clock.instant(), has_answered=turn.has_answered)
            else:
                self._turns.leave(freight.part)
            self._look(0)

    def note(self, turn: Turn, *, has_answered: bool) -> None:
        """Note that the store has taken something in this turn, or failed to."""
        turn.has_answered = has_answered
        if has_answered:
            self._turns.note_answer(turn.freight.part)
            self._look(0)

    def is_over(self, turn: Turn) -> bool:
        """Say whether a turn should end at the next border of a request, for others that wait."""
        return self._turns.is_over(turn.freight.part, self._clock.now(), self._clock.instant())

    def waits(self, job: str) -> bool:
        """Say whether a part of this job waits for its turn."""
        return any(freight.job == job for freight in self._turns.waiting)

    def dismiss(self, job: str) -> None:
        """Send those of a job that wait away: they may not go any more."""
        for freight in list(self._turns.waiting):
            if freight.job == job and not (future := self._futures[freight.part]).done():
                self._turns.leave(freight.part)
                future.set_result(False)

    def is_ahead(self, part: str) -> bool:
        """Say whether a part that is being sent goes before the backlog."""
        return any(freight.part == part for freight in self._ahead())

    def has_ahead(self) -> bool:
        """Say whether any part is being sent that goes before the backlog."""
        return bool(self._ahead())

    def may_go_on(self, part: str) -> bool:
        """Ask whether a part that has its turn may still be sent."""
        return part not in self._allowed or self._allowed[part]()

    def line(self) -> Line:
        """Say what waits now."""
        known = self._known.values()
        return Line(
            parts=len(known),
            bytes=sum(freight.size for freight in known),
            sending=len(self._turns.sending),
            oldest=min((freight.ready for freight in known), default=None),
            is_store_away=self._turns.is_away(),
        )

    def _ahead(self) -> list[Freight]:
        now = self._clock.now()
        return [freight for freight in self._turns.sending if rank_of(freight, now) is not Rank.BACKLOG]

    def _look(self, after_s: float) -> None:
        """Give turns soon; what joins in the same moment is looked at together."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_s, self._give) if after_s else self._soon()

    def _soon(self) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        self._timer = None
        for freight in self._turns.give(self._clock.now(), self._clock.instant(), self.bytes_per_s()):
            future = self._futures[freight.part]
            if future.cancelled():
                self._turns.leave(freight.part)
            else:
                future.set_result(True)
        due = self._turns.deadline()
        if due is not None:
            self._look(max(LOOK_S_MIN, (due - self._clock.instant()) / SECOND_NS))
