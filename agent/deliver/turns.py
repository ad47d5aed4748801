"""What waits for the store, and whose turn it is: what is happening now first, and the oldest never for nothing.

Rules of this file:
- LIVE goes before FRESH, FRESH before BACKLOG; within each, urgent incidents first, then the newest (LIVE) or the
  oldest (the others).
- Whatever that says, after `OLDEST_EVERY - 1` turns of others the next free place is the oldest part's.
- Places are kept: BACKLOG never holds the last two, BACKLOG and FRESH never the last one, and LIVE leaves one to others
  that wait. So a picture of now waits for no upload of yesterday to end, and yesterday's goes on.
- A turn ends at the border of a request if it lasts longer than `TURN_S_MAX` and somebody waits who is older or goes
  before it.
- A store that fails again and again is asked by one part at a time, another each time, and by each new LIVE one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from agent.clock import SECOND_NS, Instant, WallTime

AT_ONCE: Final = 4
AT_ONCE_MAX: Final = 16
AT_ONCE_SLOW: Final = 3  # a place for each rank
BYTES_PER_S_EACH: Final = 64_000
"""A link is shared by so many that each has this much; more at once would only make every part late."""

LIVE_NS: Final = 30 * SECOND_NS
FRESH_NS: Final = 600 * SECOND_NS
OLDEST_EVERY: Final = 4
TURN_S_MAX: Final = 10
AWAY_AFTER: Final = 3  # failures in a row, of any parts
AWAY_ASKING_MAX: Final = 2  # with those of now
AWAY_S_MAX: Final = 30  # between two tries of a store that is away; 1 s first, doubled each time


_EVER: Final = Instant(0)


class Rank(IntEnum):
    """How near to now a part is."""

    LIVE = 0  # pictures taken after the command came, at most 30 s ago
    FRESH = 1  # its window still runs, or command and pictures are at most 10 minutes old
    BACKLOG = 2


@dataclass(frozen=True, slots=True)
class Urgency:
    """What a part's clip says about when it should go."""

    asked: WallTime  # when the command came
    window_end: WallTime
    is_urgent: bool = False  # by the type of its incident


@dataclass(frozen=True, slots=True)
class Freight:
    """A sealed part that waits for its turn, or has it."""

    part: str  # its id
    job: str
    store: str  # where it goes: one that is away holds up nobody else's parts
    place: int  # in its clip
    taken: WallTime  # the end of its pictures
    size: int  # bytes
    urgency: Urgency

    @property
    def ready(self) -> WallTime:
        """Since when it could have gone; the same after every restart."""
        return max(self.urgency.asked, self.taken)

    @property
    def age(self) -> tuple[WallTime, int, str]:
        """Orders parts, the oldest first."""
        return self.ready, self.place, self.part


def rank_at(urgency: Urgency, taken: WallTime, now: WallTime) -> Rank:
    """Say how near to now a part is whose pictures end at `taken`."""
    if taken > urgency.asked and now - taken < LIVE_NS:
        return Rank.LIVE
    is_fresh = now < urgency.window_end or now - max(urgency.asked, taken) < FRESH_NS
    return Rank.FRESH if is_fresh else Rank.BACKLOG


def rank_of(freight: Freight, now: WallTime) -> Rank:
    """Say how near to now a part is."""
    return rank_at(freight.urgency, freight.taken, now)


def is_among(incident_type: str, kinds: Iterable[str]) -> bool:
    """Say whether a type of incident is one of these, or of the kind that one of them names: `alarm` has them all."""
    return any(incident_type == kind or incident_type.startswith(f"{kind}.") for kind in kinds)


def places_of(at_once: int, bytes_per_s: float | None) -> int:
    """Return how many uploads go at once over a link of this rate; None: nobody knows it."""
    if bytes_per_s is None:
        return at_once
    return min(at_once, max(AT_ONCE_SLOW, int(bytes_per_s / BYTES_PER_S_EACH)))


@dataclass(slots=True)
class _Store:
    """How a store has answered of late."""

    failures: int = 0  # in a row
    not_before: Instant = _EVER
    tries: dict[str, int] = field(default_factory=dict)  # by part, since it answered last

    @property
    def is_away(self) -> bool:
        return self.failures >= AWAY_AFTER


class Turns:
    """Who waits and whose turn it is. `join`, then `give` names those whose turn begins, then `end` or `leave`."""

    def __init__(self, at_once: int = AT_ONCE, chance: Callable[[], float] = lambda: 0.5) -> None:
        self._at_once, self._chance = at_once, chance
        self._waiting: dict[str, Freight] = {}
        self._sending: dict[str, tuple[Freight, Instant]] = {}  # and since when
        self._stores: dict[str, _Store] = {}
        self._since_oldest = 0  # turns given since the oldest part had one

    @property
    def waiting(self) -> Iterable[Freight]:
        """Who waits for a turn."""
        return self._waiting.values()

    @property
    def sending(self) -> tuple[Freight, ...]:
        """Whose turn it is."""
        return tuple(freight for freight, _ in self._sending.values())

    def join(self, freight: Freight) -> None:
        """Wait for a turn."""
        self._waiting[freight.part] = freight

    def leave(self, part: str) -> None:
        """Wait no more, or end a turn that has shown nothing of the store."""
        self._waiting.pop(part, None)
        self._sending.pop(part, None)

    def end(self, part: str, now: Instant, *, has_answered: bool) -> None:
        """End a turn in which the store has taken something, or has failed to."""
        freight, _ = self._sending.pop(part)
        if has_answered:
            self._stores.pop(freight.store, None)
            return
        store = self._stores.setdefault(freight.store, _Store())
        store.failures += 1
        store.tries[part] = store.tries.get(part, 0) + 1
        pause_s = min(2.0 ** min(max(0, store.failures - AWAY_AFTER), 16), AWAY_S_MAX)
        store.not_before = Instant(now + round((0.5 + self._chance() / 2) * pause_s * SECOND_NS))

    def note_answer(self, part: str) -> None:
        """Note in the middle of a turn that the store takes what it is sent."""
        self._stores.pop(self._sending[part][0].store, None)

    def is_over(self, part: str, now: WallTime, instant: Instant) -> bool:
        """Say whether a turn has lasted long enough, since somebody waits who is older, or goes before it."""
        mine, since = self._sending[part]
        if instant - since < TURN_S_MAX * SECOND_NS:
            return False
        place = self._order(rank_of(mine, now), mine)
        return any(one.age < mine.age or self._order(rank_of(one, now), one) < place for one in self._waiting.values())

    def is_away(self) -> bool:
        """Say whether some store that is waited for does not answer."""
        return any(store.is_away for store in self._stores.values())

    def give(self, now: WallTime, instant: Instant, bytes_per_s: float | None) -> list[Freight]:
        """Begin the turns that are due now, and return whose they are."""
        given: list[Freight] = []
        while (freight := self._next(now, instant, places_of(self._at_once, bytes_per_s))) is not None:
            del self._waiting[freight.part]
            self._sending[freight.part] = (freight, instant)
            given.append(freight)
        return given

    def deadline(self) -> Instant | None:
        """Return when to ask again though nothing has happened; None: when a turn ends, or somebody joins."""
        stores = {freight.store for freight in self._waiting.values()} - {one.store for one in self.sending}
        due = [store.not_before for name, store in self._stores.items() if name in stores and store.is_away]
        return min(due, default=None)

    def _next(self, now: WallTime, instant: Instant, places: int) -> Freight | None:
        if not self._waiting or len(self._sending) >= places:
            return None
        held = [rank_of(freight, now) for freight in self.sending]
        ranked = [(rank_of(freight, now), freight) for freight in self._waiting.values()]
        is_mixed = any(rank is not Rank.LIVE for rank, _ in ranked)
        ranked = [(rank, freight) for rank, freight in ranked if self._may_ask(freight, rank, instant)]
        placed = [one for one in ranked if _has_place(one[0], held, places, is_mixed=is_mixed)]
        if not placed:
            return None
        oldest = min(ranked, key=lambda one: one[1].age)
        is_owed = self._since_oldest >= OLDEST_EVERY - 1 and oldest in placed
        chosen = oldest if is_owed else min(placed, key=lambda one: self._order(*one))
        # owed until the oldest of all has had it, also while others have the places that it may take
        self._since_oldest = 0 if chosen is oldest else self._since_oldest + 1
        return chosen[1]

    def _may_ask(self, freight: Freight, rank: Rank, instant: Instant) -> bool:
        """Say whether this part may try its store: one at a time if that is away, and a new picture at once."""
        store = self._stores.get(freight.store)
        if store is None or not store.is_away:
            return True
        asking = [one for one in self.sending if one.store == freight.store]
        if rank is Rank.LIVE and freight.part not in store.tries:
            return len(asking) < AWAY_ASKING_MAX
        return not asking and instant >= store.not_before

    def _order(self, rank: Rank, freight: Freight) -> tuple[object, ...]:
        """Order who waits: of a store that is away, those first that have asked it least."""
        store = self._stores.get(freight.store)
        tries = store.tries.get(freight.part, 0) if store is not None and store.is_away else 0
        age = (-freight.taken, -freight.place, freight.part) if rank is Rank.LIVE else freight.age
        return tries, rank, not freight.urgency.is_urgent, age


def _has_place(rank: Rank, held: list[Rank], places: int, *, is_mixed: bool) -> bool:
    """Say whether a part of this rank may take one of the places that are free."""
    live = held.count(Rank.LIVE)
    if rank is Rank.LIVE:
        return live < max(1, places - is_mixed)
    if rank is Rank.BACKLOG and held.count(Rank.BACKLOG) >= max(1, places - 2):
        return False
    return len(held) - live < max(1, places - 1)
