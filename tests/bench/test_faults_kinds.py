"""Chance draws the same runs from the same seed, and fair ones."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.bench.faults_kinds import FAULTS, NAMES, draw, timetable

RUNS = range(240)


def test_a_seed_repeats_a_run_and_another_draws_others() -> None:
    """So a run that failed can be looked at again."""
    assert [draw(number, 1) for number in RUNS] == [draw(number, 1) for number in RUNS]
    assert [draw(number, 1) for number in RUNS] != [draw(number, 2) for number in RUNS]
    luck = draw(3, 1)
    assert luck.chance(FAULTS[0]).random() == luck.chance(FAULTS[0]).random() != luck.chance(FAULTS[1]).random()


def test_all_faults_come_equally_often_first() -> None:
    """The deck is shuffled and dealt out before it is shuffled again."""
    firsts = Counter(draw(number, 1).faults[0].name for number in RUNS)
    assert firsts == dict.fromkeys(NAMES, len(RUNS) // len(FAULTS))
    assert {draw(number, 1, "clock step").faults for number in RUNS} == {(FAULTS[NAMES.index("clock step")],)}


def test_two_faults_break_two_things_and_no_window_runs_while_nothing_is_recorded() -> None:
    """A store cannot be killed while it stands still; what a dead hub did not record is missing rightly."""
    drawn = [draw(number, 1) for number in RUNS]
    pairs = [one.faults for one in drawn if len(one.faults) > 1]
    assert len(RUNS) // 8 < len(pairs) < len(RUNS) // 2
    assert all(first.part != second.part for first, second in pairs)
    assert any(one.is_running for one in drawn)
    assert not any(one.is_running and any(fault.stops_recording for fault in one.faults) for one in drawn)


def test_a_timetable_is_in_order_and_heals_what_it_breaks() -> None:
    """Every fault begins within the job's usual time and is healed when its time is over."""
    for number in RUNS:
        drawn = draw(number, 1)
        steps = timetable(drawn, 2.0)
        assert all(one[0] <= other[0] for one, other in pairwise(steps))
        for fault, lasting_s in zip(drawn.faults, drawn.lasting_s, strict=True):
            (begins,) = (at for at, broken, is_begin in steps if broken is fault and is_begin)
            (heals,) = (at for at, broken, is_begin in steps if broken is fault and not is_begin)
            assert 0 <= begins < 2.0 * fault.matters_until
            assert abs(heals - begins - lasting_s) < 1e-9
            assert fault.heal_s[0] <= lasting_s <= fault.heal_s[1]
