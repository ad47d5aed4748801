"""OPERATIONS.md says of each limit in which file it stands: there it must be found by whoever wants to change it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_LIMITS = (ROOT / "OPERATIONS.md").read_text().partition("\n## Limits\n")[2].partition("\n## ")[0]
_ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in _LIMITS.splitlines() if line.startswith("| `")]


def files_of(cell: str) -> list[Path]:
    """Return the files that a row names; one without a folder lies beside the one before it."""
    found: list[Path] = []
    for name in re.findall(r"`([\w/]+\.\w+)`", cell):
        found.append(ROOT / name if "/" in name else found[-1].parent / name)
    return found


def test_there_are_limits() -> None:
    """Else nothing is compared."""
    assert len(_ROWS) > 60


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0][:40])
def test_a_limit_stands_in_its_file(row: list[str]) -> None:
    """A constant, a setting or a type of that name is defined in one of the files of its row."""
    texts = [path.read_text() for path in files_of(row[-1])]
    assert texts
    for name in re.findall(r"`(?:\w+\.)?(\w+)`", row[0]):
        defined = re.compile(rf"^ *(?:class )?{name}(?::| ?=|\()|^\| `{name}`", re.MULTILINE)
        assert any(defined.search(text) for text in texts), name
