"""`./bench cut`: what an exact cut costs, beside what people would run instead and beside the least it can cost."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape

from agent.errors import ConfigurationError, UnavailableError
from tests.bench.conditions import Conditions, conditions
from tests.bench.contenders import ROOT
from tests.bench.cut_contenders import (
    CutMeasured,
    ffmpeg_copy,
    ffmpeg_encode,
    install_smartcut,
    run_least,
    run_program,
    run_transom,
    smartcut,
)
from tests.bench.cut_figures import COPY, ENCODE, LEAST, OURS, SMARTCUT, YARDSTICK, figures, print_cuts
from tests.bench.cut_footage import CutFootage, large_film, prepare_footage, shop_film
from tests.bench.figures import Figure
from tests.bench.print_figures import print_figures, write_report

SUMMARY: Final = "time and memory of an exact cut, beside ffmpeg, smartcut, and moving the bytes alone"
CACHE: Final = ROOT / ".cache" / "bench"
ROUNDS: Final = 3
GOPS_S: Final = (1, 4, 10)
WINDOWS_S: Final = (10.0, 60.0, 600.0)
FILE_WINDOW_S_MAX: Final = 60.0  # the others cut from a file that is not longer
Run = Callable[[], CutMeasured]


class Report(msgspec.Struct, frozen=True):
    """The JSON file: everything that was measured and how it was judged."""

    conditions: Conditions
    rounds: tuple[tuple[CutMeasured, ...], ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[str, ...]  # of the figures, in their order
    notes: tuple[str, ...]  # what could not be measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured there")
    parser.add_argument("--rounds", type=_rounds, default=ROUNDS, metavar="R", help=f"how often ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one round of the one cut that the bars are set for")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError or ConfigurationError if that is not possible."""
    if shutil.which("ffmpeg") is None:
        raise ConfigurationError("ffmpeg makes the footage and is missing", cure="apt-get install ffmpeg")
    notes: list[str] = []
    smart: Path | None = CACHE / "smartcut"
    try:
        install_smartcut(CACHE / "smartcut")
    except UnavailableError as error:
        smart = None
        notes.append(str(error))
    where = conditions()
    console.print(str(where))
    films = [shop_film(4)] if arguments.quick else [*map(shop_film, GOPS_S), large_film()]
    with console.status("the footage is made once; that takes two minutes"):
        footage = [prepare_footage(CACHE, film) for film in films]
    done = []
    for number in range(1 if arguments.quick else arguments.rounds):
        measured: list[CutMeasured] = []
        for name, cut in line_up(footage, smart, is_first=number == 0, is_quick=arguments.quick):
            with console.status(f"round {number + 1}: {name}"):
                try:
                    measured.append(cut())
                except UnavailableError as error:
                    notes.append(f"{name}: {error}")
        done.append(tuple(measured))
    judged = figures(done)
    report = Report(where, tuple(done), judged, tuple(figure.verdict.value for figure in judged), tuple(notes))
    print_cuts(console, done)
    print_figures(console, judged)
    for note in dict.fromkeys(notes):
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    if arguments.json:
        write_report(arguments.json, report)
    if not any(one.name == OURS for each in done for one in each):
        raise UnavailableError("nothing could be cut: nothing was measured")


def line_up(
    footage: list[CutFootage], smart: Path | None, *, is_first: bool, is_quick: bool
) -> Iterator[tuple[str, Run]]:
    """Name every cut of a round; encoding everything takes long and is measured for the yardstick and once else."""
    for kind in footage:
        is_large = kind.film == large_film()
        for window_s in (60.0,) if is_quick else WINDOWS_S[:1] if is_large else WINDOWS_S:
            for edge_s in (0.0, min(2.0, kind.gop_s / 2)):
                what = f"{kind.name}, {window_s:g} s, edge {edge_s:g} s"
                yield f"{what}: {OURS}", _bound(run_transom, kind, window_s, edge_s)
                if window_s > FILE_WINDOW_S_MAX:
                    continue
                if not is_large:
                    yield f"{what}: {LEAST}", _bound(run_least, kind, window_s, edge_s)
                yield f"{what}: {COPY}", _program(COPY, kind, window_s, edge_s, ffmpeg_copy(kind, window_s, edge_s))
                if smart and edge_s:
                    command = smartcut(smart, kind, window_s, edge_s)
                    yield f"{what}: {SMARTCUT}", _program(SMARTCUT, kind, window_s, edge_s, command)
                is_yardstick = (kind.name, window_s, edge_s) == YARDSTICK
                if is_yardstick or (is_first and edge_s and window_s < 60.0 and not is_large):
                    command = ffmpeg_encode(kind, window_s, edge_s)
                    yield f"{what}: {ENCODE}", _program(ENCODE, kind, window_s, edge_s, command)


def _bound(cut: Callable[[CutFootage, float, float], CutMeasured], kind: CutFootage, window: float, edge: float) -> Run:
    return lambda: cut(kind, window, edge)


def _program(name: str, kind: CutFootage, window_s: float, edge_s: float, command: list[str]) -> Run:
    return lambda: run_program(name, kind, window_s, edge_s, command)


def _rounds(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= 100:
        raise argparse.ArgumentTypeError("between 1 and 100 rounds")
    return rounds
