"""Cosignatures on their way: who is asked how often, and what is taken from whom."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.command.trust import open_first_bundle
from agent.consent.policy import open_policy
from agent.consent.standing import Standing
from agent.demo.authority import Owner
from agent.errors import BadInputError
from agent.evidence.cosignature import Witness, cosign
from agent.outside.audit_file import AuditFile
from agent.signing import SigningKey, generate_signing_key, public_jwk
from agent.trust.witnessing import REQUEST_EVERY_S, TAKEN_PER_MINUTE_MAX, Witnessing, witnesses_of
from tests.simulators.audit_log import HUB, NOW, SERVER_KEY, audit_log, fill, server
from tests.simulators.set_clock import SetClock
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, OWNER, trust_claims


def standing(*witnesses: str) -> Standing:
    """Make what a hub believes that has an owner."""
    bundle = AUTHORITY.trust_bundle(trust_claims(witnesses=list(witnesses)))
    return Standing(AUDIENCE, open_first_bundle(bundle), OWNER.key)


@pytest.fixture
def clock() -> SetClock:
    """Return a clock that stands still."""
    return SetClock(NOW)


@pytest.fixture
def log(tmp_path: Path, clock: SetClock) -> Iterator[AuditFile]:
    """Open a log of three entries."""
    with audit_log(tmp_path, clock) as opened:
        fill(opened, 3)
        yield opened


def asked(witnessing: Witnessing) -> dict[str, str]:
    """Return the requests by key id."""
    return {key_id: body.decode() for key_id, body in asyncio.run(witnessing.requests())}


def test_server_and_owner_are_asked(log: AuditFile, clock: SetClock) -> None:
    """Each by the id of its key, each from what it has seen; who has cosigned all is left alone."""
    witness = server()
    witnessing = Witnessing(log, lambda: standing(str(witness)), clock)
    requests = asked(witnessing)
    owner = witnesses_of(standing())[0]
    assert set(requests) == {witness.public.key_id.hex(), owner.key_id.hex()}
    witnessing.take(witness.cosign(requests[witness.public.key_id.hex()], HUB, NOW).encode())
    clock.go_on(REQUEST_EVERY_S)
    assert set(asked(witnessing)) == {owner.key_id.hex()}
    fill(log, 5)
    clock.go_on(REQUEST_EVERY_S)
    assert asked(witnessing)[witness.public.key_id.hex()].startswith("old 3\n")


def test_requests_are_spaced(log: AuditFile, clock: SetClock) -> None:
    """The log is not read again for every entry; without witnesses not at all."""
    witnessing = Witnessing(log, lambda: standing(str(server())), clock)
    assert asked(witnessing)
    fill(log, 6)
    clock.go_on(REQUEST_EVERY_S - 1)
    assert asked(witnessing) == {}
    clock.go_on(1)
    assert asked(witnessing)
    assert asked(Witnessing(log, lambda: replace(standing(), owner=None), clock)) == {}


def test_the_owner_cosigns_by_the_key_of_the_policy(log: AuditFile, clock: SetClock, tmp_path: Path) -> None:
    """An Ed25519 owner is a witness by name; a stranger in that name is not, nor an owner with a P-256 key."""
    witnessing, note = Witnessing(log, standing, clock), log.checkpoint()
    name = f"{AUDIENCE.hub}/owner"
    assert [one.name for one in witnesses_of(standing())] == [name]
    assert witnesses_of(replace(standing(), owner=generate_signing_key("P-256"))) == ()
    witnessing.take(cosign(note, name, SERVER_KEY, NOW).encode())
    assert (tmp_path / "cosignatures").read_bytes() == b""
    cosigned = cosign(note, name, _private(OWNER.key), NOW)
    witnessing.take(cosigned.encode())
    assert (tmp_path / "cosignatures").read_text() == f"{cosigned}\n"


def test_an_owner_whose_key_cannot_cosign_names_one_that_can(log: AuditFile, clock: SetClock, tmp_path: Path) -> None:
    """There is no cosignature by P-256: the policy names an Ed25519 key, which then is the owner's for this alone."""
    owner, cosigner = generate_signing_key("P-256"), generate_signing_key()
    name = f"{AUDIENCE.hub}/owner"
    token = Owner(AUDIENCE.hub, owner).policy(NOW, 1, cosigner=public_jwk(cosigner))
    stands = replace(standing(), owner=owner, policy=open_policy(token, owner, AUDIENCE.hub, 0))
    assert [one.name for one in witnesses_of(stands)] == [name]
    cosigned = cosign(log.checkpoint(), name, _private(cosigner), NOW)
    Witnessing(log, lambda: stands, clock).take(cosigned.encode())
    assert (tmp_path / "cosignatures").read_text() == f"{cosigned}\n"
    bad = Owner(AUDIENCE.hub, owner).policy(NOW, 2, cosigner=public_jwk(owner))
    with pytest.raises(BadInputError, match="no Ed25519 key"):
        open_policy(bad, owner, AUDIENCE.hub, 1)


def _private(key: SigningKey) -> Ed25519PrivateKey:
    seed = str(key.as_dict(private=True)["d"])
    return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(seed + "="))


def test_noise_is_counted_and_changes_nothing(log: AuditFile, clock: SetClock, tmp_path: Path) -> None:
    """Junk, other logs' checkpoints and floods cost little and leave no trace."""
    witnessing = Witnessing(log, lambda: standing(str(server())), clock)
    with audit_log(tmp_path / "other") as other:
        foreign = cosign(fill(other, 4), server().public.name, SERVER_KEY, NOW).encode()
    for payload in (b"", b"\xff", b"x" * 100_000, foreign):
        witnessing.take(payload)
    assert witnessing.refused == 4
    good = cosign(log.checkpoint(), server().public.name, SERVER_KEY, NOW).encode()
    for _ in range(TAKEN_PER_MINUTE_MAX):
        witnessing.take(b"")
    witnessing.take(good)
    assert (tmp_path / "cosignatures").read_bytes() == b""
    clock.go_on(60)
    witnessing.take(good)
    assert (tmp_path / "cosignatures").read_bytes() == good + b"\n"


def test_a_mistyped_witness_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """The roots have signed a line whose hash does not fit: it is told in the hub's log, the others count."""
    line = str(Witness("b", server().public.public))
    bad = line.replace("b+", "c+", 1)
    assert [one.name for one in witnesses_of(standing(bad, line))][:1] == ["b"]
    assert "mistyped" in caplog.text
