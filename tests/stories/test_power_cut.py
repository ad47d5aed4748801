"""The power goes while cameras are recorded, or the recorder is killed: what is gone came since the last commit.

A few of the cuts that `./bench powercut` makes by the hundred.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.bench.powercut import LOSS_S_MAX, Cut, Report

ROOT: Final = Path(__file__).parents[2]
CUTS, KILLS = 6, 2
PRIVATE_MOUNTS: Final = ("unshare", "--mount", "--propagation", "private")


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cut, ...]:
    """Return what some cuts and kills cost; without root the cuts are copies of what is on the disk.

    Mounts are seen by the process that makes them alone, and end with it.
    """
    file = tmp_path_factory.mktemp("cuts") / "cuts.json"
    asked = ("powercut", "--cuts", str(CUTS), "--kills", str(KILLS), "--json", str(file))
    prefix = PRIVATE_MOUNTS if os.geteuid() == 0 else ()
    done = subprocess.run(
        (*prefix, sys.executable, "-m", "tests.bench", *asked), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return msgspec.json.decode(file.read_bytes(), type=Report).cuts


def of_kind(cuts: tuple[Cut, ...], how: str) -> list[Cut]:
    """Return the kills, or the power cuts."""
    return [one for one in cuts if (one.how == "kill") == (how == "kill")]


@pytest.mark.parametrize(("how", "count"), [("kill", KILLS), ("power cut", CUTS)])
def test_a_second_is_lost_and_nothing_else(cuts: tuple[Cut, ...], how: str, count: int) -> None:
    """At most what came since the last commit is gone; up to there every byte is what the camera sent."""
    found = of_kind(cuts, how)
    assert len(found) == count
    assert max(seconds for one in found for seconds in one.lost_s) <= LOSS_S_MAX
    assert all(one.is_exact for one in found)


@pytest.mark.parametrize("how", ["kill", "power cut"])
def test_recording_goes_on_afterwards(cuts: tuple[Cut, ...], how: str) -> None:
    """What is recorded after the restart is there after another one, behind whatever the cut has torn."""
    assert all(one.goes_on for one in of_kind(cuts, how))
