"""A program under the clock that can be set sees it step at once, and nothing else of time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.stepped_clock import SteppedClock

ASK = "import sys,time\nfor _ in sys.stdin: print(time.time_ns(), int(time.monotonic_ns()), flush=True)"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (Debian: apt-get install gcc libc6-dev)")
@pytest.mark.parametrize("ahead_s", [3600.0, -7.5])
def test_the_wall_clock_steps_and_the_monotonic_one_does_not(tmp_path: Path, ahead_s: float) -> None:
    """Each answer lies between two readings of our own clocks, moved by as much as was set."""
    clock = SteppedClock(tmp_path)
    with subprocess.Popen(
        (sys.executable, "-c", ASK),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | clock.environment,
    ) as program:
        assert program.stdin
        assert program.stdout
        for ahead_ns in (0, round(ahead_s * 1e9), 0):
            clock.set_ahead(ahead_ns / 1e9)
            before = time.time_ns(), time.monotonic_ns()
            program.stdin.write("\n")
            program.stdin.flush()
            wall, monotonic = map(int, program.stdout.readline().split())
            assert before[0] <= wall - ahead_ns <= time.time_ns()
            assert before[1] <= monotonic <= time.monotonic_ns()
