"""Enrolment's two messages: the factory key tells the server who asks, the claim's pin tells the hub who answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from provisioning.claim import Claim
from provisioning.enrolment import (
    ANSWER_BYTES_MAX,
    Broker,
    EnrolmentAttempt,
    finish_enrolment,
    from_base64,
    read_answer,
    start_enrolment,
    to_base64,
)
from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.issuing import HubAuthority
from provisioning.keys import make_csr, make_key, pin, public_der, read_chain
from provisioning.registrar import (
    REQUEST_BYTES_MAX,
    AcceptedHub,
    accept_enrolment,
    read_request,
    write_answer,
)
from tests.simulators.enrolment_server import make_authority, pem

NOW_S = 1_795_354_560
EVIDENCE_KEY = bytes(range(32))
HUB = make_identity("hub.example", 0)
CLAIM = Claim("127.0.0.1", 8443, b"c" * 16, b"p" * 32, NOW_S)
AUTHORITY = make_authority()


@dataclass(frozen=True)
class Server:
    """What the operator's server knows and is told; one field is changed per refusal."""

    identity: FactoryIdentity = HUB
    is_code_valid: bool = True
    pin: bytes = CLAIM.server_pin
    authority: HubAuthority = AUTHORITY

    def accept(self, body: bytes) -> AcceptedHub:
        """Decide on one request."""
        return accept_enrolment(
            read_request(body),
            self.identity.record,
            is_code_valid=self.is_code_valid,
            server_pin=self.pin,
            authority=self.authority,
            now_s=NOW_S,
        )

    def answer(self, attempt: EnrolmentAttempt, **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Answer an attempt, with some members changed."""
        body = write_answer(
            self.accept(attempt.request),
            broker=Broker("broker.example", 8883, pem(self.authority.certificate)),
            trust_bundle="header.claims.signature",
            trust_roots=[{"kty": "OKP"}],
            pairing_epoch=1,
            site="Bakery",
            now_s=NOW_S,
        )
        return json.dumps({**json.loads(body), **changes}).encode()


def changed(attempt: EnrolmentAttempt, **members: str) -> bytes:
    """Return the attempt's request with some members changed."""
    return json.dumps({**json.loads(attempt.request), **members}).encode()


def test_a_hub_gets_a_client_certificate_for_90_days_and_nothing_else_it_asked_for() -> None:
    """The certificate has the hub's name, the new key, client authentication, and no power to sign others."""
    attempt = start_enrolment(HUB, CLAIM, EVIDENCE_KEY)
    accepted = Server().accept(attempt.request)
    leaf = read_chain(accepted.certificate_chain_pem)[0]
    assert accepted.evidence_key == EVIDENCE_KEY
    assert leaf.subject.rfc4514_string() == f"CN={HUB.hub_id}"
    assert pin(leaf.public_key()) == pin(attempt.mtls_key.public_key())  # type: ignore[arg-type] # our own P-256 key
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert int((leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()) == 90 * 86400 + 300


def test_the_answer_becomes_an_enrolment() -> None:
    """What the server said is what the hub keeps."""
    attempt = start_enrolment(HUB, CLAIM, EVIDENCE_KEY)
    enrolment = finish_enrolment(attempt, Server().answer(attempt))
    assert (enrolment.hub_id, enrolment.broker.host, enrolment.broker.port) == (HUB.hub_id, "broker.example", 8883)
    assert (enrolment.site, enrolment.pairing_epoch, enrolment.server_time) == ("Bakery", 1, "2026-11-22T13:36:00Z")


@pytest.mark.parametrize(
    "server",
    [
        Server(is_code_valid=False),
        Server(identity=make_identity("hub.example", 0)),
        Server(identity=replace(HUB, key=make_key())),
        Server(pin=b"q" * 32),
    ],
    ids=["code-not-good", "another-hub", "cloned-label-on-another-device", "meant-for-another-server"],
)
def test_the_server_refuses(server: Server) -> None:
    """A used code, an unknown hub, a copied label and a relayed request get no certificate."""
    with pytest.raises(BadInputError):
        server.accept(start_enrolment(HUB, CLAIM, EVIDENCE_KEY).request)


@pytest.mark.parametrize(
    "members",
    [
        {"code": to_base64(b"d" * 16)},
        {"code": to_base64(b"c" * 15)},
        {"csr": to_base64(make_csr(make_key(), HUB.hub_id))},
        {"csr": to_base64(b"junk")},
        {"evidence_key": to_base64(bytes(32))},
        {"evidence_key": to_base64(bytes(31))},
        {"factory_key": to_base64(public_der(make_key().public_key()))},
        {"factory_key": "*"},
        {"signature": to_base64(bytes(70))},
        {"hub_id": "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"},
        {"hub_id": "+"},
        {"role": "admin"},
    ],
    ids="-".join,
)
def test_the_server_refuses_a_changed_request(members: dict[str, str]) -> None:
    """The factory key's signature covers every member that decides something."""
    with pytest.raises(BadInputError):
        Server().accept(changed(start_enrolment(HUB, CLAIM, EVIDENCE_KEY), **members))


def test_a_hub_cannot_ask_for_another_name() -> None:
    """A signing request whose name is not the hub's own is refused although the factory key signed it."""
    other = make_identity("hub.example", 0)
    attempt = start_enrolment(replace(HUB, hub_id=other.hub_id), CLAIM, EVIDENCE_KEY)
    with pytest.raises(BadInputError, match="not this hub's own"):
        Server().accept(changed(attempt, hub_id=HUB.hub_id))


@pytest.mark.parametrize(
    "changes",
    [
        {"certificate_chain_pem": pem(make_authority(HUB.hub_id).certificate)},
        {"certificate_chain_pem": ""},
        {"certificate_chain_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"broker": {"host": "", "port": 1, "anchors_pem": ""}},
        {"broker": {"host": "b", "port": 1, "anchors_pem": ""}},
        {"broker": {"host": "b", "port": 65536, "anchors_pem": pem(AUTHORITY.certificate)}},
        {"trust_bundle": ""},
        {"trust_roots": []},
        {"pairing_epoch": 0},
        {"server_time": "yesterday"},
        {"hub_id": "another"},
        {"site": 5},
    ],
    ids="-".join,
)
def test_the_hub_refuses_a_wrong_answer(changes: dict[str, Any]) -> None:
    """A certificate for another key, an unverifiable broker or a strange member is not kept."""
    attempt = start_enrolment(HUB, CLAIM, EVIDENCE_KEY)
    with pytest.raises(BadInputError):
        finish_enrolment(attempt, Server().answer(attempt, **changes))


def test_the_hub_refuses_a_chain_that_does_not_hold_together() -> None:
    """A right leaf under a wrong authority would be useless at the broker."""
    attempt = start_enrolment(HUB, CLAIM, EVIDENCE_KEY)
    leaf = read_chain(Server().accept(attempt.request).certificate_chain_pem)[0]
    stranger = make_authority().certificate
    with pytest.raises(BadInputError, match="hold together"):
        finish_enrolment(attempt, Server().answer(attempt, certificate_chain_pem=pem(leaf) + pem(stranger)))


@given(
    st.binary(max_size=200) | st.sampled_from([b"[" * 200_000, b" " * (ANSWER_BYTES_MAX + 1), b'{"site":"\\ud800"}'])
)
def test_junk_is_neither_a_request_nor_an_answer(junk: bytes) -> None:
    """Any other bytes are refused with one kind of error on both sides."""
    for read in (read_answer, read_request):
        with pytest.raises(BadInputError):
            read(junk)


def test_messages_have_a_size_limit() -> None:
    """A good request with blanks after it is refused beyond the limit."""
    request = start_enrolment(HUB, CLAIM, EVIDENCE_KEY).request
    with pytest.raises(BadInputError, match="bytes"):
        read_request(request.ljust(REQUEST_BYTES_MAX + 1))


def test_base64_is_strict() -> None:
    """Blanks and missing padding are refused."""
    for text in ("AA", "A A=", "AA==\n", "ä"):
        with pytest.raises(BadInputError):
            from_base64(text, "it")
