"""How much time has passed for certain: through suspension, restarts, and clocks that are set to anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant, WallTime
from agent.outside.database import Database
from agent.ports import Document
from agent.trust.passed_time import NOTE_EVERY_NS, PassedTime
from tests.simulators.audit_log import NOW
from tests.simulators.full_disk import full_disk
from tests.simulators.set_clock import SetClock

HOUR_S = 3600
NOTE_S = NOTE_EVERY_NS / SECOND_NS


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Database]:
    """Make a disk."""
    with closing(Database(tmp_path / "journal.db", "status")) as made:
        yield made


def another_boot(clock: SetClock, off_s: float, up_s: float = 5) -> None:
    """Let the machine be off, and up again for some seconds."""
    clock.go_on(off_s + up_s)
    clock._instant = Instant(round(up_s * SECOND_NS))


def test_a_clock_that_is_set_changes_nothing_about_what_has_passed(journal: Database) -> None:
    """While the software runs the monotonic clock counts, which goes on through a suspension."""
    clock = SetClock(NOW)
    passed = PassedTime(journal, clock)
    began = passed.now()
    for set_by_s in (-24 * HOUR_S, 3 * HOUR_S, -0.5):
        clock.set_to(WallTime(clock.now() + round(set_by_s * SECOND_NS)))
        clock.go_on(10)
        passed.now()
    assert passed.now() - began == 30 * SECOND_NS


def test_it_goes_on_over_a_restart_of_the_software(journal: Database) -> None:
    """The machine has been up all the time, so its own clock tells how long, to the nanosecond, whatever UTC says."""
    clock = SetClock(NOW)
    began = PassedTime(journal, clock).now()
    clock.go_on(HOUR_S)
    clock.set_to(WallTime(NOW - 24 * HOUR_S * SECOND_NS))
    assert PassedTime(journal, clock).now() - began == HOUR_S * SECOND_NS


def test_it_goes_on_over_a_restart_of_the_machine(journal: Database) -> None:
    """UTC tells how long it was off; where it was set back meanwhile, what the machine has been up is all there is."""
    clock = SetClock(NOW)
    first = PassedTime(journal, clock)
    began = first.now()
    clock.go_on(HOUR_S)
    first.now()
    another_boot(clock, HOUR_S)
    second = PassedTime(journal, clock)
    assert second.now() - began == (2 * HOUR_S + 5) * SECOND_NS
    another_boot(clock, HOUR_S, up_s=3)
    clock.set_to(WallTime(clock.now() - 24 * HOUR_S * SECOND_NS))
    assert PassedTime(journal, clock).now() - began == (2 * HOUR_S + 8) * SECOND_NS


def test_a_clock_that_nobody_vouches_for_proves_nothing(journal: Database) -> None:
    """A hub that wakes up in another century has not been off for one."""
    clock = SetClock(NOW)
    began = PassedTime(journal, clock).now()
    another_boot(clock, 0)
    clock.trusted = False
    clock.set_to(WallTime(2 * NOW))
    passed = PassedTime(journal, clock)
    assert passed.now() - began == 5 * SECOND_NS
    clock.go_on(NOTE_S)
    passed.now()
    clock.set_to(WallTime(NOW + HOUR_S * SECOND_NS))
    clock.trusted = True
    assert passed.now() - began == HOUR_S * SECOND_NS  # now it is known how long it was off
    assert PassedTime(journal, clock).now() - began == HOUR_S * SECOND_NS


def test_a_power_cut_costs_a_minute_at_most(journal: Database) -> None:
    """That often it is stored, by whoever asks."""
    clock = SetClock(NOW)
    passed = PassedTime(journal, clock)
    began = passed.now()
    for _ in range(100):
        clock.go_on(10)
        passed.now()
    another_boot(clock, 0)
    clock.set_to(NOW)
    assert 1000 - NOTE_S <= (PassedTime(journal, clock).now() - began) / SECOND_NS <= 1005


def test_a_full_disk_stores_it_later(journal: Database) -> None:
    """Counting goes on."""
    clock = SetClock(NOW)
    passed = PassedTime(journal, clock)
    began = passed.now()
    with full_disk():
        clock.go_on(HOUR_S)
        assert passed.now() - began == HOUR_S * SECOND_NS
    clock.go_on(NOTE_S)
    passed.now()
    another_boot(clock, 0)
    clock.set_to(NOW)
    assert PassedTime(journal, clock).now() - began >= HOUR_S * SECOND_NS


def test_a_damaged_mark_is_none(journal: Database) -> None:
    """Then it begins anew."""
    journal.put_document("passed time", Document(1, "{"))
    assert PassedTime(journal, SetClock(NOW)).now() == 0


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["run", "restart", "reboot", "set"]),
            st.integers(0, 5000),
            st.integers(-90_000, 90_000),
        ),
        max_size=12,
    )
)
def test_whatever_happens_a_running_hub_misses_no_more_than_a_minute_for_each_restart(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, int]]
) -> None:
    """It never goes back, and all the time in which the hub ran counts, however its clock was set."""
    clock, ran_s, reboots = SetClock(NOW), 0, 0
    with closing(Database(tmp_path_factory.mktemp("hub") / "journal.db", "status")) as journal:
        passed = PassedTime(journal, clock)
        began = before = passed.now()
        for event, seconds, set_by_s in events:
            match event:
                case "run":
                    clock.go_on(seconds)
                    ran_s += seconds
                case "restart":
                    passed = PassedTime(journal, clock)
                case "reboot":
                    another_boot(clock, seconds)
                    passed, reboots = PassedTime(journal, clock), reboots + 1
                case _:
                    clock.set_to(WallTime(clock.now() + set_by_s * SECOND_NS))
            assert passed.now() >= before
            before = passed.now()
        assert before - began >= (ran_s - reboots * NOTE_S) * SECOND_NS
