"""`./bench record`: what recording costs, beside what people would run instead and beside the least it can cost."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape

from agent.errors import ConfigurationError, UnavailableError
from tests.bench.conditions import Conditions, conditions
from tests.bench.contenders import ROOT, Contender, Ffmpeg, Limit, Transom, build_limit
from tests.bench.disks import remove_leftovers
from tests.bench.figures import YARDSTICK_CAMERAS, Figure, Round, figures, print_tables
from tests.bench.loop import prepare_loop
from tests.bench.rounds import Timing, run_round

SUMMARY: Final = "processor, memory and disk of the recorder, beside ffmpeg and a C program that does the bare minimum"
CAMERAS: Final = (1, 8, 32, 64)
CAMERAS_MAX: Final = 128
SECONDS: Final = 10.0
ROUNDS: Final = 3
QUICK: Final = "one short round each of 8 and 32 cameras"
CALLS_S: Final = 2.0
CACHE: Final = ROOT / ".cache" / "bench"


class Report(msgspec.Struct, frozen=True):
    """The JSON file: everything that was measured and how it was judged."""

    conditions: Conditions
    rounds: tuple[Round, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[str, ...]  # of the figures, in their order
    notes: tuple[str, ...]  # what could not be measured, and what a recorder lost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--cameras", type=_counts, default=CAMERAS, metavar="N,N", help="how many (default: 1,8,32,64)")
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, metavar="S", help="measured time of a round (10)")
    parser.add_argument("--rounds", type=_rounds, default=ROUNDS, metavar="R", help="of each number of cameras (3)")
    parser.add_argument("--quick", action="store_true", help=QUICK)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError or ConfigurationError if that is not possible."""
    if shutil.which("ffmpeg") is None:
        raise ConfigurationError("ffmpeg makes the cameras' pictures and is missing", cure="apt-get install ffmpeg")
    notes: list[str] = []
    try:
        limit = build_limit(CACHE)
    except UnavailableError as error:
        limit = None
        notes.append(str(error))
    where = conditions("Python, one send per RTP packet")
    console.print(str(where))
    console.print("The cameras' pictures are made once; that takes some 15 s.") if not CACHE.exists() else None
    loop = prepare_loop(CACHE)
    remove_leftovers(CACHE / "disks")
    counts, seconds, repeats = arguments.cameras, arguments.seconds, arguments.rounds
    if arguments.quick:
        counts, seconds, repeats = (8, 32), 6.0, 1
    done = []
    for repeat in range(repeats):
        for cameras in counts:
            timing = Timing(window_s=seconds, calls_s=0.0 if repeat or arguments.quick else CALLS_S)
            with console.status(f"round {repeat + 1} of {repeats}, {cameras} cameras, {seconds:.0f} s"):
                done.append(run_round(CACHE / "disks", loop, line_up(cameras, limit), timing))
            notes += _notes(done[-1])
    report = _report(where, tuple(done), notes)
    print_tables(console, done)
    for note in report.notes:
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if not any(one.has_all for each in done for one in each.contenders if one.kind == Transom.kind):
        raise UnavailableError("Transom recorded all it was sent in none of the rounds: nothing could be measured")


def line_up(cameras: int, limit: Path | None) -> Iterator[Contender]:
    """Name who records in a round: more than eight cameras are compared with eight in the same round."""
    yield Transom(cameras)
    if cameras > YARDSTICK_CAMERAS:
        yield Transom(YARDSTICK_CAMERAS, "transom-beside")
    else:
        yield Ffmpeg(cameras)
    if limit:
        yield Limit(cameras, limit)


def _report(where: Conditions, done: tuple[Round, ...], notes: list[str]) -> Report:
    ours = [one for each in done for one in each.contenders]
    if any(one.device_bytes is None for one in ours):
        notes.append("no device of its own for each recorder (that takes root): device bytes and flushes not measured")
    if any(one.system_calls_per_s is None for one in ours) and not any(one.system_calls_per_s for one in ours):
        notes.append("system calls not counted: that takes perf, the right to use it, and a run without --quick")
    judged = figures(done)
    verdicts = tuple(figure.verdict.value for figure in judged)
    return Report(where, done, judged, verdicts, tuple(dict.fromkeys(notes)))


def _notes(done: Round) -> Iterator[str]:
    for one in done.contenders:
        for problem in one.problems:
            yield f"{one.name}, {one.cameras} cameras: {problem}"
    late = sum(one.late_pictures for one in done.contenders)
    if late:
        yield f"{done.cameras} cameras: the source was late with {late} pictures: the machine was busy"


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(","))
    if not all(1 <= count <= CAMERAS_MAX for count in counts):
        raise argparse.ArgumentTypeError(f"between 1 and {CAMERAS_MAX} cameras")
    return counts


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 2 <= seconds <= 600:
        raise argparse.ArgumentTypeError("between 2 and 600 s")
    return seconds


def _rounds(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= 100:
        raise argparse.ArgumentTypeError("between 1 and 100 rounds")
    return rounds
