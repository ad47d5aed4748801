"""What recordings are worth that were made before anybody knew the time: found out afterwards, or never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.clock_eras import ClockChange
from agent.clock import SECOND_NS, SignedTime, TimeSource, WallTime
from agent.outside.database import Database
from agent.ports import Document
from agent.trust.clock_past import ClockPast
from tests.simulators.audit_log import NOW
from tests.simulators.full_disk import full_disk
from tests.simulators.set_clock import SetClock

MS = 1_000_000


class Hub:
    """A hub's clock and disk, and its recorder's word on which run is the next."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock(NOW, trusted=False)
        self.journal = Database(folder / "journal.db", "status")
        self.next_run, self.changes = 100, [ClockChange(1, 1, TimeSource.NONE)]
        self.past = self.start()

    def start(self) -> ClockPast:
        """Start its software, and record from the next run on."""
        self.past = ClockPast(self.journal, self.clock, lambda: self.changes)
        self.past.begin(self.next_run - 1)
        return self.past

    def record(self, seconds: float = 10) -> int:
        """Record a run for some seconds; return its number."""
        run, self.next_run = self.next_run, self.next_run + 1
        for _ in range(10):
            self.clock.go_on(seconds / 10)
            self.past.look()
        return run

    def follow(self) -> None:
        """Let the recorder see who vouches for the clock now."""
        number = self.changes[-1].number + 1
        self.changes.append(ClockChange(number, self.next_run, self.clock.standing().source))
        self.past.look()

    def sign(self, ahead_s: float, within_ms: int = 10) -> None:
        """Sign a time that is some seconds ahead of what the hub has."""
        offset_ns = self.clock.now() - self.clock.since_boot() + round(ahead_s * SECOND_NS)
        off_ns = within_ms * MS
        self.clock.believe(SignedTime(offset_ns - off_ns, offset_ns + off_ns, offset_ns, self.clock.since_boot()))

    def find(self, ahead_s: float = 0) -> None:
        """Let NTP find, and set, a clock that was some seconds behind."""
        self.clock.set_to(WallTime(self.clock.now() + round(ahead_s * SECOND_NS)))
        self.clock.trusted = True


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Start a hub that does not know the time."""
    hub = Hub(tmp_path)
    with closing(hub.journal):
        yield hub


def test_what_was_right_is_found_right(hub: Hub) -> None:
    """NTP answers a minute after the start and sets nothing: the bound is what two crystals go apart in a minute."""
    run = hub.record(60)
    assert hub.past.error_of(run) is None
    hub.find()
    hub.follow()
    assert hub.past.error_of(run) == 12 * MS
    assert hub.past.error_of(hub.record()) == 0


def test_what_was_wrong_by_little_says_by_how_much(hub: Hub) -> None:
    """The step is the bound of all that was recorded before it; nothing is shifted."""
    early, later = hub.record(), hub.record()
    hub.find(ahead_s=3)
    hub.follow()
    for run in (early, later):
        assert 3 * SECOND_NS <= (hub.past.error_of(run) or 0) <= 3 * SECOND_NS + 5 * MS


def test_what_was_wrong_by_much_is_dated_by_nobody(hub: Hub) -> None:
    """An hour off: those times say nothing, and nobody learns more about them later."""
    run = hub.record()
    hub.find(ahead_s=-3600)
    hub.follow()
    assert hub.past.error_of(run) is None
    assert hub.past.error_of(hub.record()) == 0


def test_signed_time_dates_what_went_before_and_has_its_own_bound(hub: Hub) -> None:
    """The bound of the answer is part of both; it grows with the time since."""
    before = hub.record()
    hub.sign(ahead_s=1, within_ms=200)
    hub.follow()
    assert SECOND_NS + 200 * MS <= (hub.past.error_of(before) or 0) <= SECOND_NS + 250 * MS
    run = hub.record(1)
    first = hub.past.error_of(run) or 0
    assert 200 * MS <= first <= 400 * MS
    hub.record(3600)
    assert 900 * MS <= (hub.past.error_of(run) or 0) <= 2 * SECOND_NS


def test_a_false_signed_time_is_found_out_by_ntp(hub: Hub) -> None:
    """What was recorded by a time key's lie is off by the lie, however sure it was."""
    hub.sign(ahead_s=7)
    hub.follow()
    small = hub.record()
    hub.clock.trusted = True  # the machine's clock was right
    hub.follow()
    assert 7 * SECOND_NS <= (hub.past.error_of(small) or 0) <= 7 * SECOND_NS + 100 * MS
    hub.clock.trusted = False
    hub.sign(ahead_s=3600)
    hub.follow()
    large = hub.record()
    hub.clock.trusted = True
    hub.follow()
    assert hub.past.error_of(large) is None


def test_a_step_while_nobody_knows_counts_in_full(hub: Hub) -> None:
    """Somebody sets the clock wrong and right again: what was recorded meanwhile was wrong."""
    hub.record()
    hub.clock.set_to(WallTime(hub.clock.now() + 5 * SECOND_NS))
    run = hub.record()
    hub.find(ahead_s=-5)
    hub.follow()
    assert 5 * SECOND_NS <= (hub.past.error_of(run) or 0) <= 6 * SECOND_NS


def test_after_a_restart_nobody_knows_how_wrong_it_was(hub: Hub) -> None:
    """What was known is on the disk; what was not can be found out no more."""
    unknown = hub.record()
    hub.start()
    found = hub.record()
    hub.find()
    hub.follow()
    known = hub.record()
    hub.start()
    assert [hub.past.error_of(run) is None for run in (unknown, found, known)] == [True, False, False]


def test_losing_the_time_for_days_is_told_with_the_drift(hub: Hub) -> None:
    """A day without NTP may be 17 s, and then nobody knows; an hour is known within 0.72 s."""
    hub.find()
    hub.follow()
    for hours, is_known in ((1, True), (24, False)):
        hub.clock.trusted = False
        hub.follow()
        run = hub.record(hours * 3600)
        hub.find()
        hub.follow()
        assert (hub.past.error_of(run) is not None) is is_known


def test_changes_before_anything_was_on_the_disk_do_not_count(hub: Hub) -> None:
    """A blank hub's runs are on no disk; an era of the disk is not replaced by one of theirs."""
    hub.find()
    hub.follow()
    known = hub.record()
    hub.changes = [ClockChange(1, 1, TimeSource.NONE), ClockChange(2, 1, TimeSource.NETWORK)]
    hub.start()
    assert hub.past.error_of(known) == 0
    hub.changes.append(ClockChange(3, 5, TimeSource.NONE))  # before the recorder has taken the disk over
    hub.clock.trusted = False
    hub.past.look()
    assert hub.past.error_of(known) == 0
    assert hub.past.error_of(hub.record()) is None


def test_a_ring_whose_disk_comes_later_keeps_what_is_known(hub: Hub) -> None:
    """At the start it has no run; what was undated on it stays so, and what is recorded now is as good as the clock."""
    unknown = hub.record()
    past = ClockPast(hub.journal, hub.clock, lambda: ())
    hub.find()
    past.begin(0)
    assert past.error_of(unknown) is None
    assert past.error_of(hub.clock.now()) == 0


def test_a_full_disk_stores_it_later(hub: Hub) -> None:
    """Recording goes on, and so does what is known of it."""
    with full_disk():
        run = hub.record(60)
        hub.find()
        hub.follow()
    assert hub.past.error_of(run) == 12 * MS
    hub.record()
    assert ClockPast(hub.journal, hub.clock, lambda: ()).error_of(run) == 12 * MS


def test_a_damaged_document_is_none(hub: Hub) -> None:
    """As if nothing had been noted."""
    hub.journal.put_document("clock past", Document(1, "["))
    assert ClockPast(hub.journal, hub.clock, lambda: ()).eras == ()
