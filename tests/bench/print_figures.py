"""Figures as a table for people and as JSON for programs, for the benches that have just a few of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Verdict

_COLOURS: Final = {Verdict.MET: "green", Verdict.MUST_MET: "yellow", Verdict.MISSED: "bold red"}


def print_figures(console: Console, figures: Iterable[Figure]) -> None:
    """Print what was measured beside what must hold."""
    table = Table(title="Figures and bars", title_justify="left")
    for title in ("figure", "measured", "must", "goal", ""):
        table.add_column(title, justify="right" if title in {"measured", "must", "goal"} else "left")
    for figure in figures:
        limits = [f"<= {bar:.4g}" if bar is not None else "" for bar in (figure.must, figure.goal)]
        measured = "?" if figure.measured is None else f"{figure.measured:.4g} {figure.unit}".rstrip()
        colour = _COLOURS.get(figure.verdict, "dim")
        table.add_row(figure.what, measured, *limits, f"[{colour}]{figure.verdict}[/]")
    console.print(table)


def write_report(path: Path, report: msgspec.Struct) -> None:
    """Write everything that was measured as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
