"""Which policy held when, on a disk that outlives the process: never less strict than it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SECOND_NS, WallTime, Window
from agent.consent.history import SPANS_MAX
from agent.consent.policy import Policy, open_policy
from agent.demo.authority import Owner
from agent.errors import UnavailableError
from agent.outside.database import Database
from agent.ports import Document
from agent.trust.policy_past import HISTORY, SEEN, SEEN_EVERY_S, PolicyPast
from tests.simulators.set_clock import SetClock
from tests.vectors.command import scene
from tests.vectors.command.scene import AUDIENCE, OWNER, fixed_key


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Database]:
    """Return a hub's journal."""
    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        yield journal


@pytest.fixture
def start(journal: Database) -> Callable[[SetClock], PolicyPast]:
    """Return what reads it all again, as a restart does."""
    return lambda clock: PolicyPast(journal, clock, lambda token: open_policy(token, OWNER.key, AUDIENCE.hub, 0))


def signed(version: int, mode: str = "opt_in", at: WallTime = scene.NOW) -> tuple[Policy, str]:
    """Return a policy of the owner and its statement."""
    token = OWNER.policy(at, version, mode=mode)
    return open_policy(token, OWNER.key, AUDIENCE.hub, 0), token


def modes(past: PolicyPast, start_s: float, end_s: float, now_s: float) -> set[str]:
    """Return which modes held between two moments after the scene's."""
    base = scene.NOW
    window = Window(WallTime(base + int(start_s * SECOND_NS)), WallTime(base + int(end_s * SECOND_NS)))
    found = past.history.during(window, WallTime(base + int(now_s * SECOND_NS)))
    return {policy.mode if policy else "none" for policy, _ in found}


def test_what_held_is_known_after_a_restart(start: Callable[[SetClock], PolicyPast]) -> None:
    """Footage of a pause is footage of a pause, whatever was signed since and however often the hub was started."""
    clock = SetClock(scene.NOW)
    start(clock).look(*signed(1))
    clock.go_on(100)
    start(clock).look(*signed(2, "sharing_off", clock.now()))
    clock.go_on(100)
    start(clock).look(*signed(3, at=clock.now()))
    clock.go_on(300)
    past = start(clock)
    past.look(*signed(3, at=WallTime(scene.NOW + 200 * SECOND_NS)))
    assert modes(past, 10, 90, 500) == {"opt_in"}
    assert modes(past, 110, 150, 500) == {"sharing_off"}
    assert modes(past, 90, 400, 500) == {"opt_in", "sharing_off"}
    assert modes(past, 300, 400, 500) == {"opt_in"}


def test_after_a_crash_a_span_is_longer_than_it_was_stored(start: Callable[[SetClock], PolicyPast]) -> None:
    """The clock was set back while the hub was off: what was recorded until the crash counts as of the pause."""
    clock = SetClock(scene.NOW)
    before, pause = start(clock), signed(1, "sharing_off")
    before.look(*pause)
    for _ in range(100):
        clock.go_on(1)
        before.look(*pause)
    clock.set_to(WallTime(scene.NOW + 20 * SECOND_NS))
    after = start(clock)
    after.look(*pause)
    after.look(*signed(2, at=clock.now()))
    assert "sharing_off" in modes(after, 95, 99, 200)
    assert modes(after, 100 + SEEN_EVERY_S + 5, 199, 200) == {"opt_in"}


def test_an_earlier_owners_policies_share_nothing(journal: Database, start: Callable[[SetClock], PolicyPast]) -> None:
    """Their statements are not signed by the owner of today; neither is what somebody wrote into the file."""
    earlier, clock = Owner(AUDIENCE.hub, fixed_key("earlier owner")), SetClock(scene.NOW)
    token = earlier.policy(scene.NOW, 1, mode="opt_in")
    PolicyPast(journal, clock, lambda _: Policy(hub="", version=1, iat=0)).look(Policy("", version=1, iat=0), token)
    assert modes(start(clock), 0, 1, 100) == {"none"}


@pytest.mark.parametrize("damaged", ["", "{}", "[1]"])
def test_a_damaged_history_shares_nothing(
    journal: Database, start: Callable[[SetClock], PolicyPast], damaged: str
) -> None:
    """What is not known is not shared; from now on it is known again."""
    clock = SetClock(scene.NOW)
    start(clock).look(*signed(1))
    journal.put_document(HISTORY, Document(1, damaged))
    clock.go_on(100)
    past = start(clock)
    past.look(*signed(1))
    assert "none" in modes(past, 10, 50, 200)
    assert modes(past, 110, 150, 200) == {"opt_in"}


def test_the_disk_is_not_worn_by_it(journal: Database, start: Callable[[SetClock], PolicyPast]) -> None:
    """A look that finds nothing new writes once a minute, and changes of policy do not grow it for ever."""
    clock, writes = SetClock(scene.NOW), []
    past, policy = start(clock), signed(1)
    for _ in range(600):
        past.look(*policy)
        writes.append(journal.document(SEEN))
        clock.go_on(1)
    assert len({document.token for document in writes if document}) <= 600 / SEEN_EVERY_S + 1
    for version in range(2, SPANS_MAX + 20):
        past.look(*signed(version))
        clock.go_on(1)
    assert len(past.history.held) == SPANS_MAX


def test_what_the_disk_does_not_take_is_not_believed(
    journal: Database, start: Callable[[SetClock], PolicyPast]
) -> None:
    """A full disk is told, and the history is as it was."""
    past = start(SetClock(scene.NOW))
    past.look(*signed(1))
    before = past.history
    journal._query(f"PRAGMA max_page_count={journal._query('PRAGMA page_count')[0][0] + 2}")
    large = signed(2)[1] * 100
    with pytest.raises(UnavailableError, match="full"):
        past.look(signed(2)[0], large)
    assert past.history is before
    journal._query("PRAGMA max_page_count=100000")
    past.look(signed(2)[0], large)
    assert past.history.held[-1].token == large
