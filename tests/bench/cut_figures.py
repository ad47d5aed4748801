"""From what the cutters cost to the figures that must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.cut_contenders import CutMeasured
from tests.bench.figures import MIB, Figure

OURS: Final = "Transom"
COPY: Final = "ffmpeg -c copy"
ENCODE: Final = "ffmpeg, all encoded"
LEAST: Final = "bytes and edge alone"
SMARTCUT: Final = "smartcut"
YARDSTICK: Final = ("H.264 1080p30, GOP 4 s", 60.0, 2.0)
"""The cut that most bars are set for: footage, window and edge in seconds."""
_LARGE: Final = "H.265 4K"

Round = Sequence[CutMeasured]
"""Cuts that were measured side by side."""


@dataclass(frozen=True, slots=True)
class _Bar:
    what: str
    unit: str
    take: Callable[[Round], float | None]
    must: float | None = None
    goal: float | None = None


def _find(done: Round, name: str, cut: tuple[str, float, float] = YARDSTICK) -> CutMeasured | None:
    return next((one for one in done if one.name == name and (one.footage, one.window_s, one.edge_s) == cut), None)


def _beside(other: str) -> Callable[[Round], float | None]:
    def ratio(done: Round) -> float | None:
        ours, theirs = _find(done, OURS), _find(done, other)
        return ours.wall_s / theirs.wall_s if ours and theirs else None

    return ratio


def _own(edge_s: float, take: Callable[[CutMeasured], float | None]) -> Callable[[Round], float | None]:
    def value(done: Round) -> float | None:
        ours = _find(done, OURS, (*YARDSTICK[:2], edge_s))
        return take(ours) if ours else None

    return value


def _outside(name: str) -> Callable[[Round], float | None]:
    """Take the most pictures that one of them put into a clip and nobody had asked for."""

    def value(done: Round) -> float | None:
        return max((one.outside for one in done if one.name == name and one.outside is not None), default=None)

    return value


def _peak(done: Round) -> float | None:
    return max((one.peak_bytes / MIB for one in done if one.name == OURS and _LARGE not in one.footage), default=None)


def _growth(done: Round) -> float | None:
    """Compare the memory of ten minutes with that of one."""
    footage, _, edge_s = YARDSTICK
    long, short = _find(done, OURS, (footage, 600.0, edge_s)), _find(done, OURS)
    return long.peak_bytes / short.peak_bytes if long and short else None


def _large(take: Callable[[CutMeasured], float]) -> Callable[[Round], float | None]:
    def value(done: Round) -> float | None:
        ours = next((one for one in done if one.name == OURS and _LARGE in one.footage and one.edge_s), None)
        return take(ours) if ours else None

    return value


BARS: Final = (
    _Bar("pictures outside, in our clips", "", _outside(OURS), 0),
    _Bar("pictures outside, ffmpeg -c copy", "", _outside(COPY)),
    _Bar("time beside full re-encoding", "x", _beside(ENCODE), 1 / 15, 1 / 30),
    _Bar("time beside bytes and edge alone", "x", _beside(LEAST), 2, 1.3),
    _Bar("time beside smartcut", "x", _beside(SMARTCUT)),
    _Bar("first byte, aligned", "s", _own(0.0, lambda one: one.first_byte_s), 0.3, 0.1),
    _Bar("first byte, 2 s edge", "s", _own(2.0, lambda one: one.first_byte_s), 1, 0.5),
    _Bar("last byte, aligned", "s", _own(0.0, lambda one: one.wall_s)),
    _Bar("last byte, 2 s edge", "s", _own(2.0, lambda one: one.wall_s)),
    _Bar("peak memory of the child, 1080p", "MiB", _peak, 260, 180),
    _Bar("memory, 10 min beside 1 min", "x", _growth, 1.05),
    _Bar("4K H.265, 2 s edge", "s", _large(lambda one: one.wall_s), None, 4),
    _Bar("4K H.265, peak memory", "MiB", _large(lambda one: one.peak_bytes / MIB), None, 500),
)
"""What must hold, and what is aimed at; 60 s of 1080p, GOP 4 s, unless it says otherwise."""


def figures(rounds: Iterable[Round]) -> tuple[Figure, ...]:
    """Judge the rounds: a ratio is taken inside one round, then the median over the rounds."""
    done = tuple(rounds)
    judged = []
    for bar in BARS:
        known = [value for value in map(bar.take, done) if value is not None]
        judged.append(Figure(bar.what, bar.unit, median(known) if known else None, bar.must, bar.goal))
    return tuple(judged)


def print_cuts(console: Console, rounds: Iterable[Round]) -> None:
    """Print what every cut cost, as medians over the rounds, a table for each sort of footage."""
    cuts = [one for done in rounds for one in done]
    for footage in dict.fromkeys(one.footage for one in cuts):
        table = Table(title=footage, title_justify="left")
        for title in ("window", "edge", "cutter", "wall s", "CPU s", "MiB", "1st byte", "outside"):
            table.add_column(title, justify="left" if title == "cutter" else "right")
        here = [one for one in cuts if one.footage == footage]
        for key in dict.fromkeys((one.window_s, one.edge_s, one.name) for one in here):
            table.add_row(*_cells([one for one in here if (one.window_s, one.edge_s, one.name) == key]))
        console.print(table)


def _cells(same: Sequence[CutMeasured]) -> Iterable[str]:
    first = [one.first_byte_s for one in same if one.first_byte_s is not None]
    yield from (f"{same[0].window_s:g} s", f"{same[0].edge_s:g} s", same[0].name)
    yield f"{median(one.wall_s for one in same):.2f}"
    yield f"{median(one.cpu_s for one in same):.2f}"
    yield f"{median(one.peak_bytes for one in same) / MIB:.0f}" if same[0].peak_bytes else ""
    yield f"{median(first):.2f} s" if first else ""
    yield "" if same[0].outside is None else str(same[0].outside)
