"""What the bench reads from the kernel is what a process really did."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.disks import own_disk, remove_leftovers
from tests.bench.measure import alone_bytes, cost, count_system_calls, family, pss_bytes
from tests.bench.written_once import write_once

MIB = 1024 * 1024


@contextmanager
def doing(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python code that prints a line when it has done its work, and wait for the line."""
    command = (sys.executable, "-c", program + "\nprint(flush=True); input()")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_processor_time_is_that_of_all_threads() -> None:
    """Two threads that use half a second together cost half a second."""
    burn = "import threading, time\nwhile time.process_time() < 0.3: pass\n"
    burn += "def more():\n    while time.process_time() < 0.5: pass\n    threading.Event().wait()\n"
    burn += "threading.Thread(target=more, daemon=True).start()\nwhile time.process_time() < 0.5: time.sleep(0.01)"
    with doing(burn) as process:
        assert 0.5e9 <= cost([process.pid]).cpu_ns < 0.7e9


def test_a_recorder_is_all_its_processes() -> None:
    """What a child does is found; what has gone costs nothing."""
    start = (
        "import subprocess, sys\nchild = [sys.executable, '-c', 'print(flush=True); input()']\npipe = subprocess.PIPE\n"
    )
    start += "running = subprocess.Popen(child, stdin=pipe, stdout=pipe)\nrunning.stdout.readline()"
    with doing(start) as process:
        found = family([process.pid])
        assert len(found) == 2
        assert cost(found).cpu_ns > cost([process.pid]).cpu_ns
        os.kill(found[1], 9)
    assert cost([process.pid]).cpu_ns == 0


def test_memory_is_not_made_smaller_by_the_neighbours() -> None:
    """Two equal processes each count their interpreter whole; what a process fills is in both counts."""
    with doing("") as small, doing(f"room = bytes({50 * MIB}).replace(b'\\0', b'x')") as large:
        alone = alone_bytes({"small": [small.pid], "large": [large.pid]}, [os.getpid()])
        assert 49 * MIB <= alone["large"] - alone["small"] < 53 * MIB
        assert alone["small"] > pss_bytes([small.pid]) > 0
        both = alone_bytes({"both": [small.pid, large.pid]}, [])["both"]
        assert both < alone["small"] + alone["large"]


def test_system_calls_are_counted_or_said_to_be_unknown() -> None:
    """A process that asks for its parent again and again makes many calls; one that sleeps makes none."""
    busy = "import threading, os, time\ndef ask():\n    while True: os.getppid(); time.sleep(0.001)\n"
    with doing(busy + "threading.Thread(target=ask, daemon=True).start()") as process, doing("") as idle:
        rates = count_system_calls({"busy": [process.pid], "idle": [idle.pid]}, 0.5)
    if rates["busy"] is None:
        pytest.skip("perf may not count system calls here")
    assert rates["busy"] > 100
    assert rates["idle"] == 0


def test_a_disk_counts_what_reaches_it(tmp_path: Path) -> None:
    """8 MiB and two syncs are 8 MiB and at least two flushes; then the disk is gone."""
    with own_disk(tmp_path, "some", 64 * MIB) as disk:
        before = disk.writes()
        write_once(disk.folder / "log", 8 * MIB)
        for _ in range(2):
            disk.settle()
        after = disk.writes()
    assert list(tmp_path.iterdir()) == []
    if before is None or after is None:
        pytest.skip("no loop device may be mounted here")
    assert 8 * MIB <= after.bytes - before.bytes < 9 * MIB
    assert after.flushes - before.flushes >= 1


def test_disks_of_a_killed_bench_are_removed(tmp_path: Path) -> None:
    """What belongs to a process that lives stays."""
    with doing("") as process:
        gone = process.pid
    for place in (f"{gone}-transom", f"{os.getpid()}-transom"):
        (tmp_path / place / "disk").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == [f"{os.getpid()}-transom"]
