"""The count of false alarms counts, and a small one of it holds what the documents say of the large one."""

from __future__ import annotations

from agent.pictures.judge import Fault
from tests.bench.pictures import SPOILT, Rates, a_day, count

NAMES = ("lens cap, day", "paint", "stands still", "turned by 10 %, infrared", "out of focus, 4 px, day")


def test_a_place_of_its_own_is_judged_right() -> None:
    """A day without a false alarm, then five faults, each said and nothing else."""
    rates = count([77], 60, NAMES)
    assert (rates.quiet_looks, rates.false_alarms) == (60, {})
    assert rates.spoilt == {name: [1, 1, 0] for name in NAMES}


def test_the_day_has_all_that_could_mislead() -> None:
    """People, cars, a lorry, rain, fog, headlights, shadows, dusk and infrared."""
    day = list(a_day(120))
    for what in ("people", "cars", "lorry", "rain", "fog", "headlights", "shadow", "is_infrared"):
        assert {bool(getattr(moment, what)) for moment in day} == {True, False}
    assert any(0.3 < moment.light < 0.7 for moment in day)


def test_the_table_says_what_was_counted() -> None:
    """Every fault, every way to spoil a picture."""
    rates = Rates(7, {Fault.MOVED: 3}, {Fault.MOVED: 1}, {name: [4, 3, 0] for name in SPOILT})
    table = rates.table()
    assert table.startswith("7 looks at cameras")
    assert f"{'picture_moved':18} false alarms   1, looks under one    3" in table
    assert table.count("    4     3     0") == len(SPOILT)
