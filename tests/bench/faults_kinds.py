"""Every fault of the table: how it is brought about, how it is healed, and what else it may meet.

Rules of this file: chance decides everything that is not fixed here, so a seed repeats a run; a fault is healed by what
`bring_about` returned and by nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.command.request import RefusalReason
from tests.bench.faults_site import FaultSite

Heal = Callable[[], None]
SPARED_BYTES: Final = 32 * 1024 * 1024
CLOCK_REFUSALS: Final = frozenset(
    {RefusalReason.EXPIRED, RefusalReason.NOT_YET_VALID, RefusalReason.GRANT_EXPIRED, RefusalReason.TRUST_EXPIRED}
)
"""So a command is refused that comes while the hub's clock is wrong by more than the skew (command/FORMAT.md)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table."""

    name: str
    part: str  # of the site, that breaks: two faults of one run break different parts
    bring_about: Callable[[FaultSite, random.Random], Heal]
    heal_s: tuple[float, float]  # how long it lasts, from and to
    stops_recording: bool = False  # so the window must lie in the past, or it has a gap
    matters_until: float = 1.0  # as share of the job's usual time: after it there is nothing left to disturb


def _nothing() -> None:
    return


def _kill_store(site: FaultSite, _: random.Random) -> Heal:
    site.store.kill()
    return site.restart_store


def _stop_store(site: FaultSite, _: random.Random) -> Heal:
    site.stop_store(is_so=True)
    return lambda: site.stop_store(is_so=False)


def _expire(site: FaultSite, _: random.Random) -> Heal:
    site.store.forget_unfinished()
    return _nothing


def _line(**changes: float) -> Callable[[FaultSite, random.Random], Heal]:
    def bring_about(site: FaultSite, _: random.Random) -> Heal:
        site.change_line(**changes)
        return site.mend_line

    return bring_about


def _unplug(site: FaultSite, _: random.Random) -> Heal:
    site.change_line(is_plugged_in=False)
    return site.mend_line


def _kill_hub(site: FaultSite, _: random.Random) -> Heal:
    site.kill_hub()
    return site.restart_hub


def _fill_outbox(site: FaultSite, chance: random.Random) -> Heal:
    """Leave nothing, or less than the hub spares, or just enough to begin."""
    site.fill_outbox(chance.choice((0, SPARED_BYTES // 2, SPARED_BYTES + 4096 * chance.randrange(40))))
    return site.free_outbox


def _step_clock(site: FaultSite, chance: random.Random) -> Heal:
    """Set it up to 40 minutes ahead or back, by seconds as often as by minutes; also back into the window asked for."""
    site.set_clock(chance.choice((1, -1)) * 10 ** chance.uniform(0, 3.4))
    return lambda: site.set_clock(0)


def _kill_broker(site: FaultSite, _: random.Random) -> Heal:
    site.broker.kill()
    return site.broker.start


FAULTS: Final = (
    Fault("store killed", "store", _kill_store, (0.0, 3.0)),
    Fault("store stands still", "store", _stop_store, (0.3, 5.0)),
    Fault("uploads expired", "store", _expire, (0.0, 0.0)),
    Fault("network cut", "line", _line(loss=1.0), (0.2, 5.0)),
    Fault("unplugged", "line", _unplug, (0.2, 5.0)),
    Fault("10 % loss", "line", _line(loss=0.1), (2.0, 8.0)),
    Fault("300 ms", "line", _line(delay_s=0.15), (2.0, 8.0)),
    Fault("1 Mbit/s", "line", _line(rate_bit_s=1_000_000), (2.0, 8.0)),
    Fault("hub killed", "hub", _kill_hub, (0.0, 1.5), stops_recording=True),
    Fault("outbox full", "outbox", _fill_outbox, (0.5, 4.0), matters_until=0.25),
    Fault("clock step", "clock", _step_clock, (0.3, 4.0), stops_recording=True),
    Fault("broker killed", "broker", _kill_broker, (0.0, 3.0)),
)
NAMES: Final = tuple(fault.name for fault in FAULTS)


class Draw(msgspec.Struct, frozen=True):
    """What happens in one run. Times are shares of the job's usual time, or seconds."""

    faults: tuple[Fault, ...]
    moments: tuple[float, ...]  # of each, as share of the time that the job usually takes, from its publication
    lasting_s: tuple[float, ...]
    is_running: bool  # the window goes on while the command is carried out
    window_s: float
    where: float  # in what is recorded, 0 oldest to 1 newest, if the window is over
    luck: float  # for what a fault draws when it comes about

    def chance(self, fault: Fault) -> random.Random:
        """Return what decides how this fault comes about."""
        return random.Random(f"{self.luck} {fault.name}")  # noqa: S311 - the same every time, no secret


def draw(number: int, seed: int, only: str = "") -> Draw:
    """Draw the run of a number: the first fault goes round, so that all come equally often."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - the same run every time, no secret
    deck = list(FAULTS)
    random.Random(f"{seed} {number // len(FAULTS)}").shuffle(deck)  # noqa: S311 - likewise
    first = deck[number % len(FAULTS)]
    if only:
        first = next(fault for fault in FAULTS if fault.name == only)
    faults: tuple[Fault, ...] = (first,)
    if chance.random() < 0.25 and not only:  # a quarter of the runs have two
        faults += (chance.choice([fault for fault in FAULTS if fault.part != first.part]),)
    return Draw(
        faults=faults,
        moments=tuple(chance.random() * fault.matters_until for fault in faults),
        lasting_s=tuple(chance.uniform(*fault.heal_s) for fault in faults),
        is_running=not any(fault.stops_recording for fault in faults) and chance.random() < 0.5,
        window_s=chance.uniform(3, 6),
        where=chance.random(),
        luck=chance.random(),
    )


def timetable(drawn: Draw, usual_s: float) -> Sequence[tuple[float, Fault, bool]]:
    """Return when (in seconds from the publication) which fault begins (True) or is healed (False), in order."""
    steps = []
    for fault, moment, lasting_s in zip(drawn.faults, drawn.moments, drawn.lasting_s, strict=True):
        steps += [(moment * usual_s, fault, True), (moment * usual_s + lasting_s, fault, False)]
    return sorted(steps, key=lambda step: (step[0], not step[2]))
