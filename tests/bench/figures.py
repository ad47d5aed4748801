"""From what the rounds measured to the figures that must hold, and to the tables people read.

Rules of this file: a ratio is taken inside one round, then the median over the rounds; what was not measured is said so
and is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

MIB: Final = 1024 * 1024
YARDSTICK_CAMERAS: Final = 8
"""How many cameras a hub of a shop has: what most bars are set for, and what more cameras are compared with."""


class Measured(msgspec.Struct, frozen=True):
    """What one contender cost in one round. None: could not be measured here."""

    name: str
    kind: str
    cameras: int
    cpu_ms_per_camera_s: float
    memory_bytes: int  # if nothing else on the machine shared a file with it
    pss_bytes: int  # as the kernel shares it out, beside the bench's other processes
    switches_per_s: float
    system_calls_per_s: float | None
    sent_bytes: int  # by the source, to all its cameras, in the whole run
    received_bytes: int | None
    stored_bytes: int | None
    device_bytes: int | None  # in the whole run, to the last sync
    written_bytes_per_s: float  # by the kernel's count per process
    flushes_per_s: float | None
    dropped_pictures: int  # by the source, because the contender did not read
    late_pictures: int  # by the source, because it was late itself
    holes: int  # cameras whose footage was read back and is not whole
    has_all: bool  # it took and kept what it was sent: else its cost is that of doing less, and is not judged
    problems: tuple[str, ...] = ()  # for people

    @property
    def device_per_video_byte(self) -> float | None:
        """Bytes that reached the device for each byte of video that it kept: what it threw away cost no disk."""
        kept = self.stored_bytes or self.received_bytes
        return self.device_bytes / kept if self.device_bytes and kept else None


class Round(msgspec.Struct, frozen=True):
    """Contenders that recorded side by side."""

    cameras: int
    seconds: float
    source_cpu_ms_per_s: float
    contenders: tuple[Measured, ...]

    def find(self, kind: str, cameras: int) -> Measured | None:
        """Return the contender of this kind with so many cameras, if it did its work."""
        return next((o for o in self.contenders if (o.kind, o.cameras) == (kind, cameras) and o.has_all), None)


class Verdict(StrEnum):
    """How a figure stands to its bars."""

    MET = "met"  # goal and all
    MUST_MET = "must met"
    MISSED = "missed"
    NO_BAR = "-"
    NOT_MEASURED = "not measured"


class Figure(msgspec.Struct, frozen=True):
    """One line of the table; `must` and `goal` are limits that the figure stays under."""

    what: str
    unit: str
    measured: float | None
    must: float | None = None
    goal: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Judge it."""
        if self.measured is None:
            return Verdict.NOT_MEASURED
        bars = [bar for bar in (self.must, self.goal) if bar is not None]
        if not bars:
            return Verdict.NO_BAR
        if self.measured > max(bars):
            return Verdict.MISSED
        return Verdict.MET if self.measured <= min(bars) else Verdict.MUST_MET


@dataclass(frozen=True, slots=True)
class _Bar:
    what: str
    unit: str
    take: Callable[[Round], float | None]
    must: float | None = None
    goal: float | None = None
    is_worst: bool = False  # of the rounds, instead of the median


def _cpu(kind: str, cameras: int, other: str, other_cameras: int) -> Callable[[Round], float | None]:
    """Compare what a camera costs with one contender and with another."""

    def ratio(done: Round) -> float | None:
        one, two = done.find(kind, cameras), done.find(other, other_cameras)
        return one.cpu_ms_per_camera_s / two.cpu_ms_per_camera_s if one and two else None

    return ratio


def _own(cameras: int, take: Callable[[Measured], float | None]) -> Callable[[Round], float | None]:
    """Take something of Transom's where it recorded so many cameras and nothing but those."""

    def value(done: Round) -> float | None:
        one = done.find("Transom", cameras) if done.cameras == cameras else None
        return take(one) if one else None

    return value


def _memory_mib(one: Measured) -> float:
    return one.memory_bytes / one.cameras / MIB


def _marginal(cameras: int) -> Callable[[Round], float | None]:
    def value(done: Round) -> float | None:
        many, few = done.find("Transom", cameras), done.find("Transom", YARDSTICK_CAMERAS)
        if many is None or few is None or cameras == YARDSTICK_CAMERAS:
            return None
        return (many.memory_bytes - few.memory_bytes) / (cameras - YARDSTICK_CAMERAS) / MIB

    return value


def _holes(done: Round) -> float | None:
    return sum(one.holes or one.cameras * (not one.has_all) for one in done.contenders if one.kind == "Transom")


_EIGHT: Final = YARDSTICK_CAMERAS
BARS: Final = (
    _Bar("cameras with a hole", "", _holes, 0, is_worst=True),
    _Bar("CPU beside ffmpeg, N=8", "x", _cpu("Transom", _EIGHT, "ffmpeg", _EIGHT), 1 / 5, 1 / 7),
    _Bar("CPU beside the C limit, N=8", "x", _cpu("Transom", _EIGHT, "limit", _EIGHT), 2.2, 1.5),
    _Bar("CPU per camera, N=32 to N=8", "x", _cpu("Transom", 32, "Transom", _EIGHT), 1.1),
    _Bar("CPU per camera, N=64 to N=8", "x", _cpu("Transom", 64, "Transom", _EIGHT), 1.1),
    _Bar("CPU per camera-second, N=8", "ms", _own(_EIGHT, lambda one: one.cpu_ms_per_camera_s)),
    _Bar("memory per camera, N=8", "MiB", _own(_EIGHT, _memory_mib), 3.0),
    _Bar("PSS per camera, N=8", "MiB", _own(_EIGHT, lambda one: one.pss_bytes / one.cameras / MIB), 3.0),
    _Bar("memory per camera, N=32", "MiB", _own(32, _memory_mib), None, 2.0),
    _Bar("memory per camera beyond 8", "MiB", _marginal(32)),
    _Bar("device B per video B, N=8", "B", _own(_EIGHT, lambda one: one.device_per_video_byte), 1.02, 1.012),
    _Bar("flushes of the device, N=8", "1/s", _own(_EIGHT, lambda one: one.flushes_per_s), 1.6, 1.4),
    _Bar("flushes of the device, N=32", "1/s", _own(32, lambda one: one.flushes_per_s), 1.6, 1.4),
    _Bar("flushes of the device, N=64", "1/s", _own(64, lambda one: one.flushes_per_s), 1.6, 1.4),
)
"""What must hold, and what is aimed at."""


def figures(rounds: Iterable[Round]) -> tuple[Figure, ...]:
    """Judge the rounds by the bars."""
    done = tuple(rounds)
    judged = []
    for bar in BARS:
        known = [value for value in map(bar.take, done) if value is not None]
        value = (max if bar.is_worst else median)(known) if known else None
        judged.append(Figure(bar.what, bar.unit, value, bar.must, bar.goal))
    return tuple(judged)


def print_tables(console: Console, rounds: Iterable[Round]) -> None:
    """Print what every contender cost, then the figures and their bars."""
    done = tuple(rounds)
    costs = Table(title="What one camera costs in a second (flushes: all cameras)", title_justify="left")
    for title in ("recorder", "cameras", "CPU ms", "MiB", "waits", "calls", "disk B", "flushes"):
        costs.add_column(title, justify="left" if title == "recorder" else "right")
    for kind, cameras in dict.fromkeys((one.kind, one.cameras) for each in done for one in each.contenders):
        # Eight cameras beside more are there to be compared with those, and would blur the round of their own.
        ran = [one for each in done if each.cameras == cameras and (one := each.find(kind, cameras))]
        if ran:
            costs.add_row(kind, str(cameras), *_cells(ran))
    console.print(costs)
    judged = Table(title="Figures and bars", title_justify="left")
    for title in ("figure", "measured", "must", "goal", ""):
        judged.add_column(title, justify="right" if title in {"measured", "must", "goal"} else "left")
    for figure in figures(done):
        limits = [f"<= {bar:.4g}" if bar is not None else "" for bar in (figure.must, figure.goal)]
        judged.add_row(
            figure.what, _number(figure.measured, f" {figure.unit}".rstrip()), *limits, _coloured(figure.verdict)
        )
    console.print(judged)


def _cells(ran: list[Measured]) -> Iterable[str]:
    yield _number(_median(one.cpu_ms_per_camera_s for one in ran))
    yield _number(_median(_memory_mib(one) for one in ran))
    yield _number(_median(one.switches_per_s / one.cameras for one in ran))
    yield _number(_median(None if (calls := one.system_calls_per_s) is None else calls / one.cameras for one in ran))
    yield _number(_median(one.device_per_video_byte for one in ran))
    yield _number(_median(one.flushes_per_s for one in ran))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _number(value: float | None, unit: str = "") -> str:
    return "?" if value is None else f"{value:.4g}{unit}"


def _coloured(verdict: Verdict) -> str:
    colour = {Verdict.MET: "green", Verdict.MUST_MET: "yellow", Verdict.MISSED: "bold red"}.get(verdict, "dim")
    return f"[{colour}]{verdict}[/]"
