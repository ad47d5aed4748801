"""`./bench faults`: a whole hub carries out commands while store, line, broker, disk, clock and the hub itself fail.

Rules of this file: a run counts only if its fault began before the job had ended; which faults come when is decided by
the seed alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.clip_job import Status
from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.alarm import Alarm, order_clip
from agent.errors import ConfigurationError, UnavailableError
from tests.bench.conditions import Conditions, conditions
from tests.bench.faults_judge import Judgement, gather, judge
from tests.bench.faults_kinds import CLOCK_REFUSALS, FAULTS, NAMES, Draw, draw, timetable
from tests.bench.faults_site import FaultSite
from tests.bench.figures import Figure
from tests.bench.own_namespaces import enter_own_mounts, enter_own_network
from tests.bench.print_figures import print_figures, write_report

SUMMARY: Final = (
    "every clip complete, byte-identical, once: through dead stores, cut lines, kills, full disks, wrong clocks"
)
RUNS: Final = 200
QUIET_RUNS: Final = 3  # before the others, to know how long a job takes; one if few others follow
END_S_MAX: Final = 150.0
MISSES_MAX: Final = 4  # of one run: its fault came after the job's end
RUNNING_BEFORE_S, RUNNING_AFTER_S = 3.0, 1.5
SHORTEST_S: Final = 2.0


class Run(msgspec.Struct, frozen=True):
    """One command and what became of it."""

    number: int
    faults: tuple[str, ...]  # empty: nothing was broken
    began_s: tuple[float, ...]  # from the command's publication
    lasted_s: tuple[float, ...]
    is_running: bool
    was_refused: bool  # the first time: it came while the hub's clock was wrong
    last_receipt_s: float | None
    judgement: Judgement


class Report(msgspec.Struct, frozen=True):
    """The JSON file."""

    conditions: Conditions
    seed: int
    usual_s: float  # that a job takes on this line, nothing being broken
    runs: tuple[Run, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help=f"({RUNS})")
    parser.add_argument("--quick", action="store_true", help=f"one run of each of the {len(FAULTS)} faults")
    parser.add_argument("--fault", choices=NAMES, default="", help="this one only")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER", help="begin with this run (0)")
    parser.add_argument("--seed", type=int, default=1, help="which faults come when (1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the site's logs and the store there")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError without root, mosquitto or /dev/net/tun."""
    if os.geteuid() != 0:
        raise UnavailableError("namespaces, a small disk and a TUN device take root", cure="run the bench as root")
    enter_own_network()
    enter_own_mounts()
    where = conditions("busy" if os.getloadavg()[0] > 1 else "")
    numbers = range(arguments.first, arguments.first + (len(FAULTS) if arguments.quick else arguments.runs))
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.keep or Path(folder)
        if (place / "site").exists():
            raise ConfigurationError(f"{place} has been used", cure="name a new folder")
        place.mkdir(parents=True, exist_ok=True)
        with FaultSite(place / "site", arguments.seed) as site:
            report = Breaker(site, console, arguments.seed, arguments.fault).measure(numbers, where)
    print_runs(console, report)
    if arguments.json:
        write_report(arguments.json, report)


class Breaker:
    """Orders clips of a site and breaks things meanwhile."""

    def __init__(self, site: FaultSite, console: Console, seed: int, only: str) -> None:
        self._site, self._console, self._seed, self._only = site, console, seed, only
        self._usual_s = 2.0

    def measure(self, numbers: Sequence[int], where: Conditions) -> Report:
        """Put the site up and do every run."""
        self._site.begin()
        runs: list[Run] = []
        quiet = QUIET_RUNS if len(numbers) >= len(FAULTS) else 1
        with Progress(console=self._console) as progress:
            task = progress.add_task("breaking things", total=len(numbers) + quiet)
            while not any(one.seconds > SHORTEST_S for one in self._site.recorded()):
                time.sleep(0.5)
            for number in range(quiet):
                runs.append(self._run(f"quiet-{number}", number, None))
                progress.advance(task)
            took = [one.last_receipt_s for one in runs if one.last_receipt_s is not None]
            self._usual_s = median(took) if took else self._usual_s
            for number in numbers:
                runs.append(self._hit(number, draw(number, self._seed, self._only)))
                progress.advance(task)
                if not runs[-1].judgement.is_good:
                    progress.console.print(_told(runs[-1]), markup=False, soft_wrap=True)
        return Report(where, self._seed, self._usual_s, tuple(runs))

    def _hit(self, number: int, drawn: Draw) -> Run:
        """Do a run, earlier in the job each time that its fault comes too late."""
        for attempt in range(MISSES_MAX):
            try:
                return self._run(f"run-{number}-{attempt}", number, drawn)
            except _MissedError:
                drawn = msgspec.structs.replace(drawn, moments=tuple(moment / 2 for moment in drawn.moments))
        raise UnavailableError(f"run {number}: the job always ended before its fault")

    def _run(self, name: str, number: int, drawn: Draw | None) -> Run:
        site = self._site
        site.wait_whole()
        site.window = self._window(drawn)
        alarm = order_clip(site, name, site.window)
        began, lasted = self._break(alarm, drawn)
        end = self._end(alarm)
        is_clock_wrong = drawn is not None and any(fault.part == "clock" for fault in drawn.faults)
        was_refused = is_clock_wrong and end is not None and end.reason in CLOCK_REFUSALS
        refused: list[str] = []
        if was_refused:  # as it must be; nothing of it may be anywhere
            refused = [f"{alarm.id} was refused and {path} exists" for path in site.traces(alarm.id)]
            alarm = order_clip(site, f"{name}-again", alarm.window)
            self._end(alarm)
        site.wait_outbox_empty()
        judgement = judge(found := gather(site, alarm, site.folder / "opened"), len(site.cameras))
        if refused:
            judgement = msgspec.structs.replace(judgement, is_once=False, faults=(*judgement.faults, *refused))
        names = tuple(fault.name for fault in drawn.faults) if drawn else ()
        is_running = alarm.window.end > alarm.published
        return Run(number, names, began, lasted, is_running, was_refused, found.last_receipt_s, judgement)

    def _window(self, drawn: Draw | None) -> Window:
        """Choose the window: one that goes on, or one of which every picture is on the hub's disk."""
        site, now = self._site, time.time_ns()
        recorded_from = site.recorded_from()
        if drawn and drawn.is_running and recorded_from is not None and recorded_from < now:
            start = max(recorded_from, now - int(RUNNING_BEFORE_S * SECOND_NS))
            running = Window(WallTime(start), WallTime(now + int(RUNNING_AFTER_S * SECOND_NS)))
            if not site.is_dated_twice(running):
                return running
        stretches = [one for one in site.recorded() if one.seconds > SHORTEST_S]
        while not stretches:
            time.sleep(0.2)
            stretches = [one for one in site.recorded() if one.seconds > SHORTEST_S]
        where = drawn.where if drawn else 1.0
        stretch = stretches[min(int(where * len(stretches)), len(stretches) - 1)]
        seconds = min(drawn.window_s if drawn else 5.0, stretch.seconds)
        start = stretch.start + int((stretch.seconds - seconds) * where * SECOND_NS)
        return Window(WallTime(start), WallTime(start + int(seconds * SECOND_NS)))

    def _break(self, alarm: Alarm, drawn: Draw | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Bring the faults about and heal them; return when each began and how long it lasted. Raises _MissedError."""
        if drawn is None:
            return (), ()
        site = self._site
        usual_s = self._usual_s + (RUNNING_AFTER_S if drawn.is_running else 0.0)
        began: dict[str, float] = {}
        lasted: dict[str, float] = {}
        heals = {}
        is_missed = False
        for due_s, fault, begins in timetable(drawn, usual_s):
            time.sleep(max(0.0, alarm.published_s + due_s - time.monotonic()))
            if begins:
                is_missed |= not began and site.has_ended(alarm)
                began[fault.name] = time.monotonic() - alarm.published_s
                heals[fault.name] = fault.bring_about(site, drawn.chance(fault))
            else:
                lasted[fault.name] = time.monotonic() - alarm.published_s - began[fault.name]
                heals[fault.name]()
        if any(fault.part == "broker" for fault in drawn.faults):
            site.repeat(alarm)
        if is_missed:
            self._end(alarm)
            raise _MissedError
        return tuple(began.values()), tuple(lasted[name] for name in began)

    def _end(self, alarm: Alarm) -> Status | None:
        """Wait for the command's end; None: it did not come, which is a result too."""
        try:
            return self._site.console.wait_end(alarm.id, END_S_MAX)[1]
        except UnavailableError:
            return None


class _MissedError(Exception):
    """The job had ended before its first fault began."""


def figures(report: Report) -> list[Figure]:
    """Name what must hold."""
    broken = [one for one in report.runs if one.faults]
    return [
        Figure("runs whose clip was not complete", "", sum(not one.judgement.is_complete for one in broken), 0),
        Figure("runs whose clip was not byte-identical", "", sum(not one.judgement.is_identical for one in broken), 0),
        Figure("runs whose clip was not there once", "", sum(not one.judgement.is_once for one in broken), 0),
    ]


def print_runs(console: Console, report: Report) -> None:
    """Print the table."""
    console.print(str(report.conditions), highlight=False)
    table = Table(title=f"Seed {report.seed}; seconds from the order to the last receipt", title_justify="left")
    for title in ("fault", "runs", "complete", "identical", "once", "median s", "worst s"):
        table.add_column(title, justify="left" if title == "fault" else "right")
    rows = {"none": [one for one in report.runs if not one.faults]}
    rows |= {name: [one for one in report.runs if one.faults == (name,)] for name in NAMES}
    rows["two of them"] = [one for one in report.runs if len(one.faults) > 1]
    rows["all"] = [one for one in report.runs if one.faults]
    for name, runs in rows.items():
        if runs:
            judged = [one.judgement for one in runs]
            counts = [sum(getattr(one, word) for one in judged) for word in ("is_complete", "is_identical", "is_once")]
            took = [one.last_receipt_s for one in runs if one.last_receipt_s is not None]
            spread = (f"{median(took):.1f}", f"{max(took):.1f}") if took else ("?", "?")
            table.add_row(name, str(len(runs)), *map(str, counts), *spread)
    console.print(table)
    print_figures(console, figures(report))


def _told(one: Run) -> str:
    what = " and ".join(
        f"{name} at {began:.2f} s for {lasted:.2f} s"
        for name, began, lasted in zip(one.faults, one.began_s, one.lasted_s, strict=True)
    )
    return f"run {one.number} ({what or 'nothing broken'}): {'; '.join(one.judgement.faults)}"
