"""`./bench poison`: what poisoned streams do to the cutter's child, and what they do to its parent."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.figures import MIB, Figure
from tests.bench.print_figures import print_figures, write_report
from tests.simulators.poison_taster import LIMITS, Tasted, own_bytes, peak_bytes, taste
from tests.simulators.poisoned_streams import KINDS, poison

SUMMARY: Final = "what poisoned streams do to the cutter's child and its parent"
CASES: Final = 2000
ENDS: Final = ("clip", "empty", "texts", "bad input", "failed", "crash")
_TOLD_EVERY: Final = 100
_WARM_CASES: Final = 50  # until every film is made and the parent has all it needs


class Report(msgspec.Struct, frozen=True):
    """The JSON file."""

    seed: int
    cases: tuple[Tasted, ...]
    figures: tuple[Figure, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how many cases, which ones, and where to put the report."""
    parser.add_argument("--cases", type=int, default=CASES, help=f"streams to poison (default {CASES})")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--json", type=Path, help="also write every case to this file")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Poison, cut, and print what came of it."""
    done: list[Tasted] = []
    began_s, warm_bytes = time.monotonic(), 0
    for number in range(arguments.cases):
        done.append(taste(number, poison(number, arguments.seed)))
        if number < _WARM_CASES:
            warm_bytes = max(warm_bytes, own_bytes())
        if number % _TOLD_EVERY == _TOLD_EVERY - 1:
            console.print(f"{number + 1} cases, {time.monotonic() - began_s:.0f} s")
    table = Table(title="Poisoned streams", title_justify="left")
    for title in ("poison", "cases", *ENDS, "longest", "wrong"):
        table.add_column(title, justify="left" if title == "poison" else "right")
    for kind in KINDS:
        of = [one for one in done if one.kind == kind]
        ends = Counter(one.end for one in of)
        longest = max((one.seconds for one in of), default=0.0)
        counts = (len(of), *(ends[end] for end in ENDS), f"{longest:.1f} s", sum(bool(one.wrong) for one in of))
        table.add_row(kind, *map(str, counts))
    console.print(table)
    for one in done:
        if one.wrong or one.end == "crash":
            console.print(f"case {one.number}: {', '.join(one.wrong) or one.end}: {one.said}", markup=False)
    right = sum(not one.wrong for one in done)
    limit_mib = LIMITS.memory_bytes / MIB
    judged = (
        Figure(f"of {len(done)} cases, not a clip or one clear failure in time", "", len(done) - right, 0),
        Figure("most memory that a child had at once", "MiB", peak_bytes() / MIB, limit_mib),
        Figure("growth of the parent's memory", "MiB", max(0, own_bytes() - warm_bytes) / MIB, 128),
        Figure("longest case", "s", max((one.seconds for one in done), default=0.0), LIMITS.deadline_s + 2),
    )
    print_figures(console, judged)
    if arguments.json:
        write_report(arguments.json, Report(arguments.seed, tuple(done), judged))
