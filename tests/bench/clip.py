"""From the alarm to the store: how long until the first sealed byte is there, and until the last receipt is."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.alarm import Alarm
from agent.demo.site import RECIPIENT
from tests.bench.clip_cameras import GOP_PICTURES
from tests.bench.clip_pipeline import Pipeline, Taken
from tests.bench.clip_site import GOP_S, JUST_BEFORE_NS, ClipSite
from tests.bench.conditions import Conditions, conditions
from tests.bench.figures import Figure
from tests.bench.loop import film, packetise, save_loop
from tests.bench.print_figures import print_figures, write_report
from tests.bench.rounds import SourceProcess, source

SUMMARY: Final = "from the alarm to the last receipt, beside ffmpeg, age and curl, while eight cameras are recorded"
CAMERAS: Final = 8
SETTLE_S: Final = 15.0  # a run's time is known, and what is asked for lies behind the hub
MEMORY_EVERY_S: Final = 0.02
WHOLE_S: Final = 60  # the window of the figures that must hold


class Case(msgspec.Struct, frozen=True):
    """One sort of clip."""

    seconds: int
    cameras: int
    edge_s: float  # how much lies before the first key picture of the window

    def __str__(self) -> str:
        start = "on a key picture" if not self.edge_s else f"{self.edge_s:g} s before a key picture"
        return (
            f"{self.seconds} s of {self.cameras}, beginning {start}"
            if self.cameras == 1
            else (f"{self.seconds} s of {self.cameras}, wherever their key pictures are")
        )


class CaseMeasured(msgspec.Struct, frozen=True):
    """The medians of one case over its rounds."""

    case: Case
    transom: Taken
    pipeline: Taken
    copy: Taken
    memory_growth_bytes: int  # of the daemon's own process, the largest
    to_pipeline: float  # Transom's time to the last receipt beside the pipeline's to its last byte, of the same round


class ClipReport(msgspec.Struct, frozen=True):
    """Everything."""

    conditions: Conditions
    cases: tuple[CaseMeasured, ...]
    dropped_pictures: int  # by the cameras, because the hub did not read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--quick", action="store_true", help="no window longer than a minute, two rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError if a clip did not arrive."""
    lengths = (10, WHOLE_S) if arguments.quick else (10, WHOLE_S, 600)
    rounds = min(arguments.rounds, 2) if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), lengths, rounds, console)
    _print(report, console)
    if arguments.json:
        write_report(arguments.json, report)


def measure(folder: Path, lengths: tuple[int, ...], rounds: int, console: Console) -> ClipReport:
    """Record, and order every case."""
    stream, loop = film(GOP_PICTURES), folder / "clip.loop"
    save_loop(packetise(stream), loop)
    longest = max(WHOLE_S, *lengths)
    with source(loop) as cameras, ClipSite(folder / "site", cameras.port, CAMERAS, longest) as site:
        names = site.begin()
        recipient = site.central._recipients[RECIPIENT]
        with closing_pipeline(Pipeline(site, recipient, stream, longest)) as pipeline:
            for _ in track(range(longest + 30), "recording what is asked for", console=console):
                time.sleep(1)
            orders = Orders(site, names, pipeline)
            cases = [Case(seconds, 1, edge) for seconds in lengths for edge in (0, GOP_S / 2)]
            cases += [Case(seconds, 4, 0) for seconds in lengths]
            done = tuple(
                orders.measure(case, 1 if case.seconds > WHOLE_S else rounds)
                for case in track(cases, "ordering clips", console=console)
            )
        return ClipReport(conditions(), done, _dropped(cameras))


@contextmanager
def closing_pipeline(pipeline: Pipeline) -> Iterator[Pipeline]:
    """Stop it in the end."""
    try:
        yield pipeline
    finally:
        pipeline.stop()


class Orders:
    """Orders clips of a site and of the pipeline, in turn."""

    def __init__(self, site: ClipSite, cameras: list[str], pipeline: Pipeline) -> None:
        self._site, self._cameras, self._pipeline = site, cameras, pipeline
        self._key = site.key_picture(cameras[0])
        self._numbers = count()

    def measure(self, case: Case, rounds: int) -> CaseMeasured:
        """Take the medians of a case."""
        taken = [self._round(case) for _ in range(rounds)]
        transom, pipeline, copy = (_median([ways[number] for ways, _ in taken]) for number in range(3))
        growth = max(growth for _, growth in taken)
        ratio = median(ways[0].last_byte_s / ways[1].last_byte_s for ways, _ in taken)
        return CaseMeasured(case, transom, pipeline, copy, growth, ratio)

    def _round(self, case: Case) -> tuple[tuple[Taken, Taken, Taken], int]:
        with _memory(self._site) as memory:
            alarm = self._site.clip(f"bench-{next(self._numbers)}", self._window(case), self._cameras[: case.cameras])
        mine = _taken(self._site, alarm)
        start_s = GOP_S * 5 - case.edge_s
        theirs = self._pipeline.run(start_s, case.seconds, case.cameras)
        return (mine, theirs, self._pipeline.copy(start_s, case.seconds, case.cameras)), max(memory) - memory[0]

    def _window(self, case: Case) -> Window:
        """Choose the newest window of this kind that lies wholly behind the hub."""
        latest = time.time_ns() - round((case.seconds + SETTLE_S) * SECOND_NS)
        gop_ns = round(GOP_S * SECOND_NS)
        start = self._key + (latest - self._key) // gop_ns * gop_ns - JUST_BEFORE_NS - round(case.edge_s * SECOND_NS)
        return Window(WallTime(start), WallTime(start + case.seconds * SECOND_NS))


def _taken(site: ClipSite, alarm: Alarm) -> Taken:
    held = [upload for upload in site.central.store.held().values() if upload.part.startswith(f"{alarm.id}.")]
    first = min(upload.first_byte_at for upload in held if upload.first_byte_at)
    last = max(upload.receipted_at for upload in held if upload.receipted_at)
    return Taken((first - alarm.published) / SECOND_NS, (last - alarm.published) / SECOND_NS)


def _median(taken: list[Taken]) -> Taken:
    return Taken(median(one.first_byte_s for one in taken), median(one.last_byte_s for one in taken))


@contextmanager
def _memory(site: ClipSite) -> Iterator[list[int]]:
    """Watch what the daemon holds while the block runs; the first is from before."""
    seen, is_over = [site.hub_memory_bytes()], threading.Event()

    def watch() -> None:
        while not is_over.wait(MEMORY_EVERY_S):
            seen.append(site.hub_memory_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def _dropped(cameras: SourceProcess) -> int:
    return sum(sent.dropped for sent in cameras.sent().values())


def _print(report: ClipReport, console: Console) -> None:
    console.print(str(report.conditions), highlight=False)
    table = Table(title="Seconds from the order on: first byte / all of it", title_justify="left")
    for title in ("window and cameras", "Transom", "ffmpeg, age, curl", "copy of the bytes", "daemon grows by"):
        table.add_column(title, justify="left" if title == "window and cameras" else "right")
    for one in report.cases:
        ways = (f"{way.first_byte_s:.2f} / {way.last_byte_s:.2f}" for way in (one.transom, one.pipeline, one.copy))
        table.add_row(str(one.case), *ways, f"{one.memory_growth_bytes / 1e6:.0f} MB")
    console.print(table)
    print_figures(console, figures(report))


def figures(report: ClipReport) -> list[Figure]:
    """Name what must hold."""
    found = {one.case: one for one in report.cases}
    aligned, edge = (found.get(Case(WHOLE_S, 1, edge_s)) for edge_s in (0, GOP_S / 2))
    growth = max((one.memory_growth_bytes / 1e6 for one in report.cases), default=None)
    return [
        Figure("first byte, on a key picture", "s", aligned.transom.first_byte_s if aligned else None, 0.5, 0.3),
        Figure("first byte, 2 s to encode anew", "s", edge.transom.first_byte_s if edge else None, 1.5, 0.8),
        Figure("last receipt", "s", aligned.transom.last_byte_s if aligned else None, 4.0, 2.0),
        Figure("last receipt beside ffmpeg, age and curl", "", aligned.to_pipeline if aligned else None, None, 1.0),
        Figure("the daemon grows by", "MB", growth, 60.0),
        Figure("pictures that the hub did not take", "", report.dropped_pictures, 0.0),
    ]
