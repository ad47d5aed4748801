"""A schedule's effect stands in the audit log: when it changes the mode, once, also over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SECOND_NS, Instant, WallTime, parse_rfc3339
from agent.consent.policy import Policy
from agent.errors import UnavailableError
from agent.evidence.kinds import Kind
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from agent.trust.mode_watch import ENTRIES_PER_HOUR_MAX, ModeWatch
from tests.consent.test_decide import policy
from tests.simulators.audit_log import audit_log
from tests.simulators.full_disk import full_disk

SHOP = policy(
    version=3,
    zone="Europe/Berlin",
    schedule=[
        {"mode": "ask_first", "from": "18:00", "to": "22:00"},
        {"mode": "recording_off", "from": "22:00", "to": "23:00"},
    ],
)
MONDAY = parse_rfc3339("2026-11-23T16:00:00Z")  # 17:00 in Berlin


class Hub:
    """A disk and a log, and the watch on them."""

    def __init__(self, folder: Path, log: AuditFile) -> None:
        self.log, self.journal = log, Database(folder / "journal.db", "status")
        self.watch = ModeWatch(self.journal, log)

    def restart(self) -> None:
        """Begin again with what is on the disk."""
        self.watch = ModeWatch(self.journal, self.log)

    def look(self, hours: float, of: Policy = SHOP, *, is_clock_trusted: bool = True) -> None:
        """Look at the clock some hours after Monday, 17:00."""
        after_ns = round(hours * 3600 * SECOND_NS)
        self.watch.look(of, WallTime(MONDAY + after_ns), Instant(after_ns), is_clock_trusted=is_clock_trusted)

    def told(self) -> list[tuple[str, str, str]]:
        """Read what was written: the mode before, the mode, and why."""
        entries = [entry.detail for entry in reversed(self.log.latest(1000)) if entry.kind == Kind.MODE]
        return [(str(one["before"]), str(one["mode"]), str(one["by"])) for one in entries]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Make a hub with nothing on its disk."""
    with audit_log(tmp_path) as log:
        made = Hub(tmp_path, log)
        with closing(made.journal):
            yield made


def test_each_change_of_an_evening_is_written_once(hub: Hub) -> None:
    """However often somebody looks: to asking, to no recording, and back to what the policy says."""
    for minute in range(0, 8 * 60, 5):
        hub.look(minute / 60)
        hub.look(minute / 60 + 0.01)
    assert hub.told() == [
        ("opt_in", "ask_first", "schedule"),
        ("ask_first", "recording_off", "schedule"),
        ("recording_off", "opt_in", "schedule"),
    ]


def test_a_policys_own_mode_is_told_by_its_own_entry(hub: Hub) -> None:
    """A new policy whose mode holds now writes nothing here; one whose schedule holds already does."""
    hub.look(0)
    hub.look(0.1, policy(version=4, mode="ask_first"))
    assert hub.told() == []
    hub.look(1.5, policy(version=5, mode="ask_first"))
    hub.look(1.6, SHOP)  # version 3: another policy than before
    assert hub.told() == [("opt_in", "ask_first", "schedule")]


def test_without_a_policy_there_is_no_mode(hub: Hub) -> None:
    """Nothing is shared, and nothing is written."""
    hub.watch.look(None, MONDAY, Instant(0), is_clock_trusted=True)
    assert hub.told() == []


def test_a_change_while_the_hub_was_off_is_told_at_its_start(hub: Hub) -> None:
    """And a restart without one is silent."""
    hub.look(0.5)
    hub.restart()
    hub.look(0.6)
    assert hub.told() == []
    hub.restart()
    hub.look(1.5)
    assert hub.told() == [("opt_in", "ask_first", "schedule")]
    hub.restart()
    hub.look(1.6)
    assert len(hub.told()) == 1


def test_losing_the_time_is_told_too(hub: Hub) -> None:
    """Every rule holds then; it says that this was not the hour's doing."""
    hub.look(0)
    hub.look(0.1, is_clock_trusted=False)
    hub.look(0.2)
    assert hub.told() == [("opt_in", "recording_off", "clock_untrusted"), ("recording_off", "opt_in", "schedule")]


def test_a_clock_that_comes_and_goes_fills_no_log(hub: Hub) -> None:
    """So many an hour."""
    for number in range(3 * ENTRIES_PER_HOUR_MAX):
        hub.look(0.001 * (number % 10), is_clock_trusted=number % 2 == 0)
    assert len(hub.told()) == ENTRIES_PER_HOUR_MAX


def test_what_could_not_be_written_is_told_later(hub: Hub) -> None:
    """A full disk loses no change that still holds."""
    hub.look(0)
    with full_disk(), pytest.raises(UnavailableError):
        hub.look(1.5)
    hub.look(1.6)
    assert hub.told() == [("opt_in", "ask_first", "schedule")]
