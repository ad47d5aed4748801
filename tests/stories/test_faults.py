"""The fault table's bench itself, for a few runs: uploads that expire and a hub that is killed change nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.bench.faults import Report

ROOT = Path(__file__).parents[2]
FIRST, RUNS = 0, 2


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, a small disk and TUN devices take root")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (Debian: apt-get install gcc libc6-dev)")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="no /dev/net/tun")
def test_clips_are_complete_identical_and_there_once(tmp_path: Path) -> None:
    """`./bench faults` with a few of its runs, as a person runs it."""
    report = tmp_path / "report.json"
    numbers = ("--first", str(FIRST), "--runs", str(RUNS))
    argv = (sys.executable, "-m", "tests.bench", "faults", *numbers, "--json", str(report))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    runs = msgspec.json.decode(report.read_bytes(), type=Report).runs
    broken = [one for one in runs if one.faults]
    assert [one.number for one in broken] == list(range(FIRST, FIRST + RUNS))
    assert [(one.faults, one.judgement.faults) for one in runs if not one.judgement.is_good] == []
