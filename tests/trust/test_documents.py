"""Whom the hub believes: documents that come over a broker which is not believed itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.command.trust import open_first_bundle
from agent.consent.standing import Standing
from agent.deliver.age import generate_identity
from agent.demo.authority import Owner
from agent.errors import BadInputError
from agent.outside.audit_file import open_audit
from agent.outside.database import Database
from agent.ports import Document
from agent.signing import SigningKey, public_jwk, thumbprint
from agent.trust.documents import REFUSALS_PER_HOUR_MAX, Desk, Pairing
from provisioning.errors import UnavailableError
from provisioning.pairing import OwnerKey, read_owner
from tests.simulators.export_site import EVIDENCE_KEY, HUB
from tests.simulators.set_clock import SetClock
from tests.vectors.command import scene
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, MALLORY, OWNER, fixed_key, trust_claims

NOBODY_PAIRS = Pairing(lambda _: "no", lambda _: pytest.fail("saved an owner who was refused"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    """Return what makes the desk of a hub anew, as a restart does, on one journal and one audit log."""
    clock = SetClock(scene.NOW)
    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        audit = open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)
        first = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(trust_claims())), OWNER.key)
        with closing(audit):
            yield lambda: Desk(first, journal, audit, NOBODY_PAIRS, clock)


def successor(version: int, signers: list[SigningKey] | None = None, **claims: object) -> bytes:
    """Sign a later trust bundle."""
    return AUTHORITY.trust_bundle(trust_claims(version=version, **claims), signers=signers)


def test_a_revocation_reaches_the_hub_and_survives_a_restart(desk: Callable[[], Desk]) -> None:
    """The roots take a key back: the next bundle is believed now and later, and an older one never again."""
    officer = thumbprint(AUTHORITY.officer)
    assert desk().take_trust(successor(3, revoked_keys=[officer]))
    after_restart = desk()
    assert after_restart.standing.trust.revoked_keys == (officer,)
    assert not after_restart.take_trust(successor(2))
    assert not after_restart.take_trust(successor(3, revoked_keys=[officer]))


def test_a_bundle_of_an_earlier_enrolment_counts_for_nothing(tmp_path: Path) -> None:
    """Before a reset the hub followed another server's roots under the same agency's name, up to a high version."""
    clock = SetClock(scene.NOW)
    old = replace(AUTHORITY, roots=(fixed_key("earlier root"),))
    claims = old.trust_claims(scene.NOW, recipients={}, upload_hosts=[])
    first, later = (old.trust_bundle({**claims, "version": version}) for version in (1, 9))
    with (
        closing(Database(tmp_path / "journal.db", "t")) as journal,
        closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit,
    ):
        assert Desk(Standing(AUDIENCE, open_first_bundle(first)), journal, audit, NOBODY_PAIRS, clock).take_trust(later)
        now = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(trust_claims())))
        assert Desk(now, journal, audit, NOBODY_PAIRS, clock).standing.trust == now.trust


def test_no_server_can_swap_the_trust_bundle(desk: Callable[[], Desk]) -> None:
    """A bundle that a threshold of the known roots has not signed changes nothing."""
    evil = [public_jwk(MALLORY), public_jwk(AUTHORITY.roots[0])]
    for forged in (
        successor(4, signers=[MALLORY]),
        successor(4, signers=[AUTHORITY.roots[0]]),
        successor(4, signers=[MALLORY, AUTHORITY.roots[0]], roots=evil),
        b"",
        b"\xff",
        b"{}",
    ):
        hub = desk()
        before = hub.standing
        assert not hub.take_trust(forged)
        assert hub.standing is before


def test_no_server_can_read_by_a_bundle_that_lists_the_owners_root_beside_its_own() -> None:
    """At enrolment a server hands out a bundle of its own: the true root is listed, but has not signed it."""
    roots = [public_jwk(MALLORY), public_jwk(AUTHORITY.roots[0])]
    mixed = trust_claims(roots=roots, threshold=1)
    with pytest.raises(BadInputError, match="1 of 2 root signatures"):
        open_first_bundle(AUTHORITY.trust_bundle(mixed, signers=[MALLORY]))


def test_a_policy_with_a_key_that_nothing_can_be_sealed_to_is_refused(desk: Callable[[], Desk]) -> None:
    """It would cost the owner every clip; a good one is taken."""
    _, recipient = generate_identity()
    broken = recipient[:-1] + ("q" if recipient[-1] != "q" else "p")  # its checksum does not hold
    open_desk = desk()
    assert not open_desk.take_policy(OWNER.policy(scene.NOW, 1, owner_copy=[broken]).encode())
    assert open_desk.take_policy(OWNER.policy(scene.NOW, 1, owner_copy=[recipient]).encode())


def test_a_policy_of_an_earlier_owner_does_not_stop_the_hub(desk: Callable[[], Desk]) -> None:
    """After a factory reset and a new pairing the journal still has the old owner's policy: it is worth nothing."""
    hub = desk()
    assert hub.take_policy(OWNER.policy(scene.NOW, 1, mode="opt_in").encode())
    hub._stored.put_document("policy", Document(7, Owner(HUB, fixed_key("earlier owner")).policy(scene.NOW, 7)))
    again = desk()
    assert again.standing.policy is None
    assert again.take_policy(OWNER.policy(scene.NOW, 1, mode="opt_in").encode())


def test_a_retained_policy_that_was_replaced_is_no_news(desk: Callable[[], Desk]) -> None:
    """The broker brings the old one again when the owner has signed a newer one at the hub's page: no alarm."""
    hub = desk()
    first = OWNER.policy(scene.NOW, 1, mode="opt_in").encode()
    assert hub.take_policy(first)
    assert hub.take_policy(OWNER.policy(scene.NOW, 2, mode="sharing_off").encode())
    entries, _ = hub._audit.head()
    assert not hub.take_policy(first)
    assert hub._audit.head()[0] == entries
    assert hub.standing.policy is not None
    assert hub.standing.policy.version == 2
    assert not hub.take_policy(OWNER.policy(scene.NOW, 1, mode="ask_first").encode())
    assert hub._audit.head()[0] == entries + 1


def test_bad_documents_do_not_fill_the_audit_log(desk: Callable[[], Desk]) -> None:
    """Anybody behind the broker can send them without end."""
    hub = desk()
    entries, _ = hub._audit.head()
    for number in range(300):
        hub.take_policy(b"x%d" % number)
        hub.take_trust(b"x%d" % number)
        hub.take_pairing(b"x%d" % number)
    assert hub._audit.head()[0] - entries == REFUSALS_PER_HOUR_MAX
    assert hub.refused_unwritten == 900 - REFUSALS_PER_HOUR_MAX


def test_an_owner_is_written_down_before_the_pairing_takes_effect(tmp_path: Path) -> None:
    """The audit log has the entry when the owner is stored, and whom the disk did not take is not believed."""
    clock, first = SetClock(scene.NOW), Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(trust_claims())))
    owner, written_when_saved = read_owner(public_jwk(OWNER.key)), []
    with (
        closing(Database(tmp_path / "journal.db", "t")) as journal,
        closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit,
    ):

        def save(_: OwnerKey) -> None:
            written_when_saved.append((tmp_path / "audit" / "audit.jsonl").read_bytes().count(b'"paired"'))
            if len(written_when_saved) == 1:
                raise UnavailableError("no space left")

        hub = Desk(first, journal, audit, Pairing(lambda _: owner, save), clock)
        assert not hub.take_pairing(b"statement")
        assert hub.standing.owner is None
        assert hub.take_pairing(b"statement")
        assert hub.standing.owner is not None
        assert thumbprint(hub.standing.owner) == owner.thumbprint
    assert written_when_saved == [1, 2]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "audit" / "audit.jsonl").read_text().splitlines()]
    assert kinds == ["paired", "pairing_refused", "paired"]


def test_a_pause_is_of_its_time_for_ever(tmp_path: Path) -> None:
    """What held when is known after any number of restarts, and what is not stored is not believed."""
    clock = SetClock(scene.NOW)
    first = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(trust_claims())), OWNER.key)
    with (
        closing(Database(tmp_path / "journal.db", "t")) as journal,
        closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit,
    ):
        for version, mode in enumerate(("opt_in", "sharing_off", "opt_in"), start=1):
            hub = Desk(first, journal, audit, NOBODY_PAIRS, clock)
            assert hub.take_policy(OWNER.policy(clock.now(), version, mode=mode).encode())
            clock.go_on(200)
            hub.look_at_clock()
        word = Desk(first, journal, audit, NOBODY_PAIRS, clock).standing.word
        modes = [
            {policy.mode if policy else "none" for policy, _ in word.history.during(window, clock.now())}
            for window in (
                Window(WallTime(scene.NOW + start * SECOND_NS), WallTime(scene.NOW + (start + 50) * SECOND_NS))
                for start in (-100, 20, 280, 500)
            )
        ]
    assert word.policy is not None
    assert word.policy.mode == "opt_in"
    assert "none" in modes[0]
    assert modes[1:] == [{"opt_in"}, {"sharing_off"}, {"opt_in"}]


def test_what_may_be_recorded_is_asked_of_the_policy_in_force(desk: Callable[[], Desk]) -> None:
    """Without a policy everything is, in `recording_off` nothing; a schedule counts by the time."""
    hub = desk()
    assert hub.may_record(scene.NOW)
    assert hub.take_policy(OWNER.policy(scene.NOW, 1, mode="recording_off").encode())
    assert not hub.may_record(scene.NOW)
    lunch = [{"mode": "recording_off", "from": "12:00", "to": "13:00"}]
    assert hub.take_policy(OWNER.policy(scene.NOW, 2, mode="opt_in", zone="UTC", schedule=lunch).encode())
    assert hub.may_record(parse_rfc3339("2026-11-24T11:59:59Z"))
    assert not hub.may_record(parse_rfc3339("2026-11-24T12:00:00Z"))
    assert not hub.take_policy(OWNER.policy(scene.NOW, 3, zone="Europe/Atlantis", schedule=lunch).encode())
    assert not hub.may_record(parse_rfc3339("2026-11-24T12:00:00Z"))
