"""The fault table counts what was judged, and a bar is missed by a single run."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from tests.bench.conditions import Conditions
from tests.bench.faults import Report, Run, figures, print_runs
from tests.bench.faults_judge import Judgement
from tests.bench.figures import Verdict

NO_END = Judgement(is_complete=False, is_identical=True, is_once=True, faults=("no end",))
GOOD = Judgement(is_complete=True, is_identical=True, is_once=True)
COLUMNS = 7
HERE = Conditions("a processor", 2, "6.1", "3.11", "5.1", 0.0)


def a_run(number: int, *faults: str, judgement: Judgement = GOOD, last_receipt_s: float | None = 2.0) -> Run:
    """Make a run."""
    moments = tuple(1.0 for _ in faults)
    return Run(
        number,
        faults,
        moments,
        moments,
        is_running=False,
        was_refused=False,
        last_receipt_s=last_receipt_s,
        judgement=judgement,
    )


def report(*runs: Run) -> Report:
    """Make a report of one quiet run and these."""
    return Report(HERE, 1, 2.0, (a_run(0), *runs))


@pytest.mark.parametrize("word", ["is_complete", "is_identical", "is_once"])
def test_one_run_in_two_hundred_misses_its_bar_and_no_other(word: str) -> None:
    """Nothing is averaged away, and a run in which nothing was broken is not counted as one."""
    good = [a_run(number, "store killed") for number in range(199)]
    assert {figure.verdict for figure in figures(report(*good))} == {Verdict.MET}
    bad = a_run(199, "network cut", judgement=msgspec.structs.replace(GOOD, **{word: False}))
    missed = [figure.what for figure in figures(report(*good, bad)) if figure.verdict is not Verdict.MET]
    assert len(missed) == 1


def test_the_table_has_a_row_for_every_fault_that_came() -> None:
    """Two at once have a row of their own; what never ended has no time."""
    page = io.StringIO()
    runs = [
        a_run(0, "store killed", last_receipt_s=4.0),
        a_run(1, "store killed", last_receipt_s=9.0),
        a_run(2, "hub killed", "300 ms", last_receipt_s=None, judgement=NO_END),
    ]
    print_runs(Console(file=page, width=100), report(*runs))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in page.getvalue().splitlines()]
    rows = {cells[0]: cells[1:] for cells in lines if len(cells) == COLUMNS}
    assert rows["none"] == ["1", "1", "1", "1", "2.0", "2.0"]
    assert rows["store killed"] == ["2", "2", "2", "2", "6.5", "9.0"]
    assert rows["two of them"] == ["1", "0", "1", "1", "?", "?"]
    assert rows["all"] == ["3", "2", "3", "3", "6.5", "9.0"]
    assert "hub killed" not in rows
