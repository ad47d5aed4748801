"""What is lost beside four clips is judged: no byte, and no round late by more than a second."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.errors import UnavailableError
from agent.health.vitals import encode_vitals
from tests.bench.busy import BusyReport, figures, told
from tests.bench.conditions import Conditions
from tests.bench.figures import Verdict
from tests.simulators.vital_signs import hub

WELL = BusyReport(Conditions("a processor", 2, "6.1", "3.11", "5.1", 0.0), 5, 3.0, 0.01, 0.2, 0, 0, 0)


def judged(report: BusyReport) -> list[str]:
    """Name the bars that were missed."""
    return [one.what for one in figures(report) if one.verdict is Verdict.MISSED]


def test_each_loss_is_a_missed_bar() -> None:
    """And so is a recorder that comes late, while clips are cut."""
    assert judged(WELL) == []
    assert judged(msgspec.structs.replace(WELL, late_busy_s=1.1)) == ["recorder's latest round, four clips at once"]
    for loss in ("dropped_pictures", "lost_packets", "lost_chunks"):
        assert len(judged(msgspec.structs.replace(WELL, **{loss: 1}))) == 1


def test_the_hub_says_it_itself(tmp_path: Path) -> None:
    """In the file that `transom status` reads; without it nothing is measured."""
    with pytest.raises(UnavailableError):
        told(tmp_path / "status.json")
    (tmp_path / "status.json").write_bytes(encode_vitals(hub(recorder_late_s_max=0.25)))
    assert told(tmp_path / "status.json").recorder_late_s_max == 0.25
