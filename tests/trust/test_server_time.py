"""A hub that does not know the time: whom it asks, what it goes by, and what it still knows after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import SECOND_NS, TimeSource, WallTime
from agent.command.envelope import verify
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.signed_time import ASK_AGAIN_S, ASK_S_MIN
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.consent.standing import Standing
from agent.crypto import canonical_json
from agent.errors import UnavailableError
from agent.evidence.audit import Entry
from agent.evidence.kinds import Kind
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from agent.outside.host import HostClock, boot_id
from agent.ports import Document
from agent.signing import SigningKey, public_jwk, thumbprint
from agent.trust.server_time import KNOWN_EVERY_S, ServerTime
from tests.simulators.audit_log import audit_log
from tests.simulators.set_clock import SetClock
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, MALLORY, NOW, OWNER, message, trust_claims
from tests.vectors.time.make import CLOCK

HOUR_NS = 3600 * SECOND_NS
BEHIND = WallTime(NOW - 12 * HOUR_NS)  # the machine's own clock


def bundle(*keys: SigningKey, **claims: object) -> TrustBundle:
    """Make the scene's bundle, where these keys may sign times."""
    written = trust_claims(time_keys=[public_jwk(key) for key in keys], **claims)
    return decode(canonical_json(written), TrustBundle, "trust")


class Hub:
    """A hub's clock, disk and log, and what it believes; `start` is one start of its software."""

    def __init__(self, folder: Path, log: AuditFile, clock: SetClock) -> None:
        self.log, self.clock = log, clock
        self.journal = Database(folder / "journal.db", "status")
        self.standing = Standing(AUDIENCE, bundle(CLOCK), OWNER.key)
        self.forgotten: list[WallTime] = []
        self.server_time = self.start()

    def start(self, boot: str = "boot 1") -> ServerTime:
        """Start the software."""
        self.server_time = ServerTime(
            self.clock, lambda: self.standing, self.journal, self.log, boot, self.forgotten.append
        )
        return self.server_time

    def asked(self) -> bytes:
        """Return the question that is due."""
        question = self.server_time.request()
        assert question is not None
        return question

    def told(self, now: WallTime = NOW, *, key: SigningKey = CLOCK, after_s: float = 0.2) -> bool:
        """Ask, and be answered some time later."""
        question = self.asked()
        self.clock.go_on(after_s)
        return self.server_time.take(AUTHORITY.signed_time(now, question, key=key).encode())

    def entries(self, kind: Kind) -> list[Entry]:
        """Read the entries of a kind, oldest first."""
        return [entry for entry in reversed(self.log.latest(1000)) if entry.kind == kind]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Start a hub whose clock is half a day behind, and not trusted."""
    clock = SetClock(BEHIND, trusted=False)
    with audit_log(tmp_path, clock) as log:
        hub = Hub(tmp_path, log, clock)
        yield hub
        hub.journal.close()


def verdict(hub: Hub) -> object:
    """Let the hub check the scene's command now."""
    trusted = hub.clock.is_trusted()
    return verify(message(), hub.standing.trust, AUDIENCE, hub.clock.now(), is_clock_trusted=trusted)


def test_signed_time_opens_what_was_closed(hub: Hub) -> None:
    """The same command is refused for the clock, and good once the server's time counts; the log says why."""
    refused = verdict(hub)
    assert isinstance(refused, Refusal)
    assert refused.reason is RefusalReason.CLOCK_UNTRUSTED
    assert hub.told()
    assert isinstance(verdict(hub), VerifiedCommand)
    assert hub.clock.standing().source is TimeSource.SIGNED
    assert abs(hub.clock.now() - NOW) <= hub.clock.standing().error_ns <= SECOND_NS // 5
    (entry,) = hub.entries(Kind.TIME_ACCEPTED)
    assert entry.detail["key"] == thumbprint(CLOCK)
    assert (entry.detail["round_trip_ms"], entry.detail["within_ms"]) == (
        200,
        101,
    )  # half of it, and the drift meanwhile
    assert abs(int(entry.detail["by_ms"]) - 12 * 3600 * 1000) <= 200


def test_nobody_is_asked_without_need(hub: Hub) -> None:
    """Not while NTP vouches for the clock, nor where the bundle lists nobody, nor again within the pace."""
    hub.clock.trusted = True
    assert hub.server_time.request() is None
    hub.clock.trusted = False
    hub.standing = replace(hub.standing, trust=bundle())
    assert hub.server_time.request() is None
    assert not hub.server_time.look()
    hub.standing = replace(hub.standing, trust=bundle(CLOCK))
    assert hub.server_time.look()
    assert hub.server_time.request()
    assert hub.server_time.request() is None


def test_a_wrong_key_is_refused_and_written_down(hub: Hub) -> None:
    """The hub stays closed."""
    assert not hub.told(key=MALLORY)
    assert not hub.clock.is_trusted()
    assert [entry.detail for entry in hub.entries(Kind.TIME_REFUSED)] == [{"why": "bad_signature"}]


def test_old_answers_leave_no_trace(hub: Hub) -> None:
    """A broker that replays what it has cannot write into the log."""
    old = AUTHORITY.signed_time(NOW, hub.asked(), key=CLOCK).encode()
    hub.clock.go_on(2 * ASK_S_MIN)
    hub.asked()
    size = hub.log.head()
    for _ in range(100):
        assert not hub.server_time.take(old)
    assert hub.log.head() == size
    assert hub.server_time.refused == 100


def test_what_was_held_back_is_late(hub: Hub) -> None:
    """Six seconds on the way are too many to say when it is now."""
    assert not hub.told(after_s=6)
    assert [entry.detail for entry in hub.entries(Kind.TIME_REFUSED)] == [{"why": "late"}]


def test_time_goes_on_with_a_bound_that_grows(hub: Hub) -> None:
    """It is asked again after an hour; without an answer it is not believed any more after 14 hours."""
    hub.told()
    hub.clock.go_on(ASK_AGAIN_S + 1)
    assert hub.server_time.look()
    assert hub.clock.standing().error_ns > SECOND_NS // 2
    hub.clock.go_on(13 * 3600)
    assert not hub.clock.is_trusted()
    now = hub.clock.now()
    assert now > NOW + 13 * HOUR_NS  # it is not the machine's clock again, which is half a day behind
    hub.server_time.hurry()
    assert hub.told(now)
    assert hub.clock.is_trusted()


def test_a_second_answer_makes_it_better(hub: Hub) -> None:
    """The bound is the narrower of both, and the time hardly moves."""
    hub.told(after_s=2)
    before, wide_ns = hub.clock.now(), hub.clock.standing().error_ns
    hub.clock.go_on(ASK_AGAIN_S + 1)
    assert hub.told(hub.clock.now(), after_s=0.02)
    assert hub.clock.standing().error_ns < wide_ns // 10
    assert hub.clock.now() > before


def test_ntp_takes_over(hub: Hub) -> None:
    """What comes after it is synchronised is not taken."""
    question = hub.asked()
    hub.clock.trusted = True
    assert not hub.server_time.take(AUTHORITY.signed_time(NOW, question, key=CLOCK).encode())
    assert hub.clock.signed() is None


def test_a_restart_goes_by_it_at_once(hub: Hub) -> None:
    """In the same start of the machine, while its key may sign times and its bound is narrow."""
    hub.told()
    for boot, keys, hours, is_trusted in [
        ("boot 1", (CLOCK,), 1, True),
        ("boot 2", (CLOCK,), 0, False),
        ("boot 1", (MALLORY,), 0, False),
        ("boot 1", (CLOCK,), 14, False),
    ]:
        hub.clock.go_on(hours * 3600)
        hub.clock._signed = None
        hub.standing = replace(hub.standing, trust=bundle(*keys))
        hub.start(boot)
        assert hub.clock.is_trusted() is is_trusted


def test_time_never_goes_behind_what_is_known(hub: Hub) -> None:
    """After a power cut an answer behind the newest trusted time on the disk is refused, by however little."""
    hub.told()
    hub.clock.go_on(KNOWN_EVERY_S)
    hub.server_time.look()
    known = hub.server_time.known
    assert known == hub.clock.now()
    hub.clock._signed = None
    hub.start("boot 2")
    assert not hub.told(WallTime(known - 1))
    assert [entry.detail for entry in hub.entries(Kind.TIME_REFUSED)] == [{"why": "behind"}]
    hub.clock.go_on(2 * ASK_S_MIN)
    assert hub.told(known)


def test_commands_are_forgotten_only_behind_what_is_known(hub: Hub) -> None:
    """By signed time only up to a moment that no answer can go behind; what NTP says is for the exporter to use."""
    hub.told()
    hub.clock.go_on(KNOWN_EVERY_S)
    hub.server_time.look()
    assert hub.forgotten[-1] == hub.server_time.known
    hub.clock.trusted = True
    count = len(hub.forgotten)
    hub.clock.go_on(KNOWN_EVERY_S)
    hub.server_time.look()
    assert len(hub.forgotten) == count


def test_a_time_known_by_a_revoked_key_is_not_known(hub: Hub) -> None:
    """A stolen time key is worth nothing any more once it is not listed: what it said stops nobody."""
    hub.told(WallTime(NOW + 24 * HOUR_NS))
    assert hub.server_time.known > NOW
    hub.standing = replace(hub.standing, trust=bundle(MALLORY, revoked_keys=[thumbprint(CLOCK)]))
    assert hub.server_time.known == 0


def test_a_key_that_is_revoked_takes_its_time_with_it(hub: Hub) -> None:
    """Within a second nobody vouches for the clock; another listed key's time is taken, however far behind the lie."""
    hub.told(WallTime(NOW + 24 * HOUR_NS))
    assert hub.clock.is_trusted()
    hub.standing = replace(hub.standing, trust=bundle(MALLORY, revoked_keys=[thumbprint(CLOCK)]))
    hub.server_time.look()
    assert not hub.clock.is_trusted()
    hub.clock.go_on(ASK_S_MIN)
    assert hub.told(key=MALLORY)
    assert abs(hub.clock.now() - NOW) <= SECOND_NS


def test_a_broken_clocks_time_is_not_known(hub: Hub) -> None:
    """A machine that was in the year 2050 for a while can be told the true time: its bundle would long have ended."""
    hub.clock.trusted = True
    hub.clock.set_to(WallTime(NOW + 24 * 365 * 24 * HOUR_NS))
    hub.server_time.look()
    hub.clock.trusted = False
    assert hub.told()


def test_what_cannot_be_stored_does_not_count(hub: Hub) -> None:
    """The clock goes by nothing that the disk has not; the hub asks again soon."""
    question = hub.asked()
    hub.clock.go_on(0.1)
    hub.journal.close()
    with pytest.raises(UnavailableError):
        hub.server_time.take(AUTHORITY.signed_time(NOW, question, key=CLOCK).encode())
    assert not hub.clock.is_trusted()
    hub.clock.go_on(ASK_S_MIN)
    assert hub.server_time.request()


def test_a_damaged_document_is_none(hub: Hub) -> None:
    """It is as if nothing were known."""
    hub.journal.put_document("server time", Document(1, "{"))
    assert hub.start().known == 0


def test_the_machines_clock_goes_by_it(hub: Hub) -> None:
    """The real clocks: an hour ahead of the machine's from the moment it counts, on the same monotonic clock."""
    clock = HostClock(is_network_believed=False)
    log, standing = hub.log, replace(hub.standing, trust=bundle(CLOCK, exp=4_000_000_000))
    server_time = ServerTime(clock, lambda: standing, hub.journal, log, boot_id())
    assert not clock.is_trusted()
    question = server_time.request()
    assert question
    ahead = WallTime(HostClock().now() + HOUR_NS)
    assert server_time.take(AUTHORITY.signed_time(ahead, question, key=CLOCK).encode())
    standing_now = clock.standing()
    assert standing_now.source is TimeSource.SIGNED
    difference = clock.now() - HostClock().now()
    assert abs(difference - HOUR_NS) <= standing_now.error_ns + SECOND_NS  # this process may be stopped meanwhile
