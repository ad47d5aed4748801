"""A process that has closed its memory, seen from another one of the same user."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.outside.closed_memory import count_tasks
from tests.simulators.peer_process import PRIVATE, ROOT, looked_into, ordinary

WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"


def waiting(first: str) -> subprocess.Popen[bytes]:
    """Start a process that does something first, and then waits for the end of its input."""
    child = subprocess.Popen(
        ordinary("-c", f"{first}; {WAITS}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


@pytest.mark.parametrize("module", ["agent.outside.closed_memory", "firmware_bridge.closed_memory"])
def test_nobody_looks_in_and_no_core_is_left(module: str) -> None:
    """Neither what it was started with nor its memory; and a core file has no room."""
    with waiting(f"from {module} import close_memory; close_memory()") as child:
        assert looked_into(child.pid) == set()
        limits = Path(f"/proc/{child.pid}/limits").read_text().splitlines()
        child.communicate()
    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[-3:-1] == ["0", "0"]


def test_any_other_process_is_open() -> None:
    """So it is the closing that keeps the others out."""
    with waiting("pass") as child:
        assert looked_into(child.pid) == set(PRIVATE)
        child.communicate()


def test_threads_are_counted() -> None:
    """A process may always count its own."""
    assert count_tasks() >= 1
