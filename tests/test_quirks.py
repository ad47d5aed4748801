"""The table of quirks keeps its word: each has a switch, a test that exists, and a place where it can be read."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import Final

from agent.demo.camera_events import EventManners
from agent.demo.camera_quirks import Quirks
from agent.demo.camera_settings import CameraSettings

HERE: Final = Path(__file__).parent
OPTION: Final = re.compile(r'add\("(--[a-z-]+)"')


def rows() -> list[list[str]]:
    """Return the cells of the table, row by row."""
    lines = [line for line in (HERE / "QUIRKS.md").read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def names_in(file: Path) -> set[str]:
    """Name the tests of a file."""
    nodes = ast.walk(ast.parse(file.read_text())) if file.exists() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_of_the_table_exists() -> None:
    """Under the very name, in the very file; and no row is without one."""
    named = {text for row in rows() for text in re.findall(r"`([\w/]+\.py::\w+)`", row[3])}
    missing = [text for text in named if text.partition("::")[2] not in names_in(HERE / text.partition("::")[0])]
    assert sorted(missing) == []
    assert [row[0] for row in rows() if "::test_" not in row[3]] == []


def test_every_switch_of_the_table_exists_and_each_switch_is_in_it() -> None:
    """A quirk that nobody has read about is no switch, and a row without one is no quirk of the virtual camera."""
    told = {text for row in rows() for text in re.findall(r"`(-{0,2}[\w-]+)`", row[2])} - {"CameraSettings"}
    source = (HERE.parent / "agent/demo/camera_settings.py").read_text()
    quirks = {field.name for field in fields(Quirks)}
    known = quirks | {field.name for kind in (EventManners, CameraSettings) for field in fields(kind)}
    assert told - known - set(OPTION.findall(source)) == set()
    assert quirks - told == set()
    assert [row[0] for row in rows() if not re.search(r"`|always", row[2])] == []


def test_every_row_says_where_it_was_seen() -> None:
    """By an address that anybody can open."""
    assert len(rows()) > 20
    assert [row[0] for row in rows() if len(row) != 5 or not re.search(r"\]\(https://\S+\)", row[4])] == []
