"""A cap that is missed is told, and a short run measures what it should."""

from __future__ import annotations

from pathlib import Path

from agent.deliver.cap import Caps
from agent.outside.host import HostClock
from agent.outside.pacer import Pacer
from tests.bench.conditions import Conditions
from tests.bench.figures import Verdict
from tests.bench.uplink import Kept, UplinkReport, _keep, figures

HERE = Conditions("a processor", 2, "6.1", "3.11", "5.1", 0.0)


def test_each_cap_is_judged() -> None:
    """Too slow is as wrong as too fast; what could not be measured is not met."""
    well = Kept(1000, 1, 20.0, 990, 0.01, 12)
    found = figures(UplinkReport(HERE, (well, Kept(4000, 4, 20.0, 4300, 0.01, 12)), ()))
    verdicts = [one.verdict for one in found]
    assert verdicts[0] is Verdict.MISSED
    assert Verdict.MISSED not in verdicts[1:]
    assert found[1].measured is None
    share = Kept(8000, 1, 20.0, 8100, 0.01, 12, uplink_kbit_s=15_800)
    assert all(one.verdict is Verdict.MET for one in figures(UplinkReport(HERE, (well,), (share,)))[1:3])


def test_a_second_of_it(tmp_path: Path) -> None:
    """The bytes that a cap lets through in a second take about one."""
    kept = _keep(tmp_path, Pacer(HostClock(), Caps(kbit_s_max=2000)), 2000, 1.0, 1)
    assert kept.kbit_s < 2000 * 1.4  # what may go at once counts in so short a time
    assert kept.seconds > 0.6
    assert 0 < kept.cpu_share < 1
    assert kept.wakes_per_s > 0
