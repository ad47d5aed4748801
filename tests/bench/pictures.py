"""How often the judge of pictures errs: drawn places through a day, and what is done to them, counted in a table.

`./bench pictures` prints what OPERATIONS.md quotes. One look stands for one minute.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rich.console import Console

from agent.clock import SECOND_NS, Instant, WallTime
from agent.cut.measure import measure
from agent.pictures.judge import Fault, PictureJudge
from tests.simulators.watched_scene import Moment, Scene, at_night, by_infrared, coded

SUMMARY: Final = "how often the judge of pictures errs"
LOOK_S: Final = 60
FIRST_SCENE: Final = 1000  # thresholds were chosen on scenes 0 to 5; these are others

SPOILT: Final[dict[str, tuple[Fault, Moment, int]]] = {
    "lens cap, day": (Fault.BLACK, Moment(cover="cap"), 5),
    "no light at all": (Fault.BLACK, Moment(light=0, lamps=0, noise=4), 5),
    "cloth": (Fault.BLINDED, Moment(cover="cloth"), 6),
    "hand": (Fault.BLINDED, Moment(cover="hand"), 6),
    "paint": (Fault.BLINDED, Moment(cover="paint"), 6),
    "torch into the lens": (Fault.BLINDED, Moment(cover="torch"), 6),
    "stands still": (Fault.FROZEN, Moment(), 6),
    "stands still, its clock goes on": (Fault.FROZEN, Moment(clock_min=0), 6),
    "stands still, quality varies": (Fault.FROZEN, Moment(crf=0), 6),
    "turned by 5 %, day": (Fault.MOVED, Moment(turned=(0.05, 0.02)), 8),
    "turned by 10 %, day, rain": (Fault.MOVED, Moment(turned=(0.1, 0.0), rain=300), 8),
    "turned by 10 %, lamplight": (Fault.MOVED, at_night(Moment(turned=(0.1, 0.0))), 8),
    "turned by 10 %, infrared": (Fault.MOVED, by_infrared(Moment(turned=(-0.1, 0.0))), 8),
    "turned by 30 %, day": (Fault.MOVED, Moment(turned=(-0.3, 0.1)), 8),
    "out of focus, 2 px, day": (Fault.BLURRED, Moment(blur=2), 12),
    "out of focus, 4 px, day": (Fault.BLURRED, Moment(blur=4), 12),
    "out of focus, 8 px, day": (Fault.BLURRED, Moment(blur=8), 12),
    "out of focus, 4 px, lamplight": (Fault.BLURRED, at_night(Moment(blur=4)), 12),
    "out of focus, 4 px, infrared": (Fault.BLURRED, by_infrared(Moment(blur=4)), 12),
}
"""What is done to a camera: the fault that should be said, what it sees, and after how many looks it must be."""


@dataclass
class Rates:
    """What was counted."""

    quiet_looks: int = 0
    false_looks: dict[Fault, int] = field(default_factory=dict)  # at which a fault stood that was none
    false_alarms: dict[Fault, int] = field(default_factory=dict)  # times one began to stand
    spoilt: dict[str, list[int]] = field(default_factory=dict)  # tried, said, and something else said

    def table(self) -> str:
        """Write it for people."""
        lines = [f"{self.quiet_looks} looks at cameras that are well (day, people, cars, lorry, rain, fog, sway,"]
        lines.append("moving shadow, dusk, lamplight, headlights, infrared, dawn):")
        for fault in Fault:
            began, stood = self.false_alarms.get(fault, 0), self.false_looks.get(fault, 0)
            lines.append(f"  {fault.value:18} false alarms {began:3}, looks under one {stood:4}")
        lines.append(f"{'what is done':32} {'tried':>5} {'said':>5} {'else':>5}")
        lines += [f"{name:32} {tried:5} {said:5} {other:5}" for name, (tried, said, other) in self.spoilt.items()]
        return "\n".join(lines)


def a_day(looks: int) -> Iterator[Moment]:
    """Yield a day and a night of a camera that is well, in `looks` looks, each by another chance."""
    for look in range(looks):
        hour = 24 * look / looks
        moment = Moment(seed=look + 1, people=look % 4, cars=look % 3, crf=24 + look % 9, sway=(look % 5 - 2, look % 3))
        if hour < 9:  # noon to evening: sun that wanders, a lorry, a shower
            moment = replace(moment, shadow=0.2 + hour * 0.07 if look % 7 else 0.0)
            moment = replace(moment, lorry=0.35) if 3 < hour < 3.4 else moment
            moment = replace(moment, rain=400, noise=2.0, shadow=0.0) if 5 < hour < 6.5 else moment
        elif hour < 11:
            moment = replace(moment, light=1 - (hour - 9) * 0.44, noise=1.5 + (hour - 9))
        elif hour < 14:
            moment = at_night(replace(moment, headlights=look % 3, rain=250 if hour > 13 else 0))
        elif hour < 19:
            moment = by_infrared(replace(moment, rain=300 if 16 < hour < 17 else 0))
        elif hour < 21:
            moment = replace(moment, light=0.2 + (hour - 19) * 0.4, noise=3.0, fog=0.6 - (hour - 19) * 0.3)
        yield moment


def count(scenes: Sequence[int], looks: int, names: Sequence[str] = tuple(SPOILT)) -> Rates:
    """Let every scene live through a day, then spoil it in each way."""
    rates = Rates(spoilt={name: [0, 0, 0] for name in names})
    for seed in scenes:
        watched = _Watched(Scene(seed))
        stood: set[Fault] = set()
        for moment in a_day(looks):
            faults = watched.look(moment)
            rates.quiet_looks += 1
            for fault in faults:
                rates.false_looks[fault] = rates.false_looks.get(fault, 0) + 1
                rates.false_alarms[fault] = rates.false_alarms.get(fault, 0) + (fault not in stood)
            stood = faults
        for name in names:
            said, other = watched.spoil(name)
            counts = rates.spoilt[name]
            rates.spoilt[name] = [counts[0] + 1, counts[1] + said, counts[2] + other]
    return rates


@dataclass
class _Watched:
    scene: Scene
    judge: PictureJudge = field(default_factory=PictureJudge)
    looks: int = 0

    def look(self, moment: Moment) -> set[Fault]:
        self.looks += 1
        now_ns = self.looks * LOOK_S * SECOND_NS
        frame = coded(self.scene.picture(moment), moment.crf)
        self.judge.judge(measure(frame, WallTime(now_ns), self.judge.order(0)), Instant(now_ns))
        return set(self.judge.faults)

    def spoil(self, name: str) -> tuple[bool, bool]:
        """Spoil a copy of it; say whether the right fault was said in time, and whether another one was."""
        fault, moment, looks = SPOILT[name]
        other = copy.deepcopy(self)
        faults: set[Fault] = set()
        for look in range(looks):
            seed = 10_000 if fault is Fault.FROZEN else 10_000 + look
            moved = replace(moment, seed=seed, people=look % 3 if fault is not Fault.FROZEN else 1)
            moved = replace(moved, crf=24 + look) if not moment.crf else moved
            moved = replace(moved, clock_min=700 + look) if moment.clock_min is not None else moved
            faults |= other.look(moved)
        return fault in faults, bool(faults - {fault})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument("--scenes", type=int, default=16, help="how many places (default %(default)s)")
    parser.add_argument("--only", choices=tuple(SPOILT), help="one way to spoil a picture")
    parser.add_argument("--looks", type=int, default=144, help="of each place's day (default %(default)s)")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Count and print."""
    names = (arguments.only,) if arguments.only else tuple(SPOILT)
    rates = count(range(FIRST_SCENE, FIRST_SCENE + arguments.scenes), arguments.looks, names)
    console.print(f"{arguments.scenes} places\n{rates.table()}", markup=False, highlight=False, soft_wrap=True)
