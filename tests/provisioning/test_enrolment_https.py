"""Real enrolments over TLS on loopback, and each way in which one must not happen."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.claim import Claim, make_claim
from provisioning.enrolment import ANSWER_BYTES_MAX
from provisioning.enrolment_https import enrol
from provisioning.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning.factory import FactoryIdentity
from provisioning.keys import make_key
from provisioning.secret import Secret
from provisioning.store import HubState, IdentityStore
from tests.simulators.enrolment_server import EnrolmentServer

EVIDENCE_KEY = bytes(range(32))
NOW_S = 1_795_354_560


def show(store: IdentityStore, claim: Claim, label: Secret, *, now_s: int = NOW_S) -> None:
    """Show the hub a claim code made from a label."""
    enrol(store, make_claim(claim, label), evidence_key=EVIDENCE_KEY, now_s=now_s)


def test_a_blank_hub_enrols(store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer) -> None:
    """A claim from the label becomes a certificate, a broker and a trust bundle on disk."""
    show(store, operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)
    assert store.state() is HubState.ENROLLED
    enrolment = store.load_enrolment()
    assert enrolment is not None
    assert enrolment.broker.host == "broker.example"
    assert operator.accepted[0].evidence_key == EVIDENCE_KEY
    context = ssl.create_default_context()
    context.load_cert_chain(*store.credentials.present())  # key and certificate belong together


def test_an_enrolled_hub_ignores_further_claims(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """After enrolment the label is dead: a new claim needs a factory reset."""
    show(store, operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)
    with pytest.raises(ConfigurationError, match="factory reset"):
        show(store, operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)
    store.reset()
    show(store, operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)
    assert store.state() is HubState.ENROLLED


def test_the_same_claim_does_not_work_twice(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """Neither this hub (after a reset) nor the server accepts a used code."""
    claim = operator.new_claim(identity.hub_id, now_s=NOW_S)
    show(store, claim, identity.label_secret)
    store.reset()
    with pytest.raises(BadInputError, match="used before"):
        show(store, claim, identity.label_secret)
    (store.folder / "used_codes.json").unlink()
    with pytest.raises(BadInputError, match="403"):
        show(store, claim, identity.label_secret)
    assert store.state() is HubState.BLANK


def test_a_claim_without_the_label_reaches_no_server(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """A passer-by's code, and the owner card's, do nothing."""
    for secret in (Secret(bytes(16)), identity.owner_secret):
        with pytest.raises(BadInputError, match="label"):
            show(store, operator.new_claim(identity.hub_id, now_s=NOW_S), secret)
    assert operator.bodies == []


def test_an_expired_claim_reaches_no_server(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """One second after its 15 minutes a claim is dead."""
    claim = operator.new_claim(identity.hub_id, now_s=NOW_S)
    with pytest.raises(BadInputError, match="expired"):
        show(store, claim, identity.label_secret, now_s=claim.expires_s + 1)
    assert operator.bodies == []


def test_another_server_gets_nothing_and_the_claim_stays_good(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """A server that cannot prove the pinned key is sent nothing, and the true one can still be reached."""
    claim = operator.new_claim(identity.hub_id, now_s=NOW_S)
    with pytest.raises(BadInputError, match="nothing was sent"):
        show(store, replace(claim, server_pin=bytes(32)), identity.label_secret)
    assert operator.bodies == []
    show(store, claim, identity.label_secret)


def test_a_cloned_label_on_another_device_is_refused(
    tmp_path: Path, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """Id and secrets can be copied off a label; the factory key cannot."""
    clone = IdentityStore(tmp_path / "clone")
    clone.save_factory(replace(identity, key=make_key()))
    with pytest.raises(BadInputError, match="403"):
        show(clone, operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)


def test_a_code_for_one_hub_does_not_enrol_another(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """The server made the code for one hub id."""
    with pytest.raises(BadInputError, match="403"):
        show(store, operator.new_claim("01JD3Q7Z8X5M2K9P4R6T8V0W1Y", now_s=NOW_S), identity.label_secret)


def test_a_closed_port_leaves_the_claim_good(store: IdentityStore, identity: FactoryIdentity) -> None:
    """Without a server nothing is spent."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnavailableError, match="still good"):
        show(store, Claim("127.0.0.1", port, bytes(16), bytes(32), NOW_S), identity.label_secret)
    assert not (store.folder / "used_codes.json").exists()


def test_tls_1_2_is_not_spoken(store: IdentityStore, identity: FactoryIdentity, tmp_path: Path) -> None:
    """An old server is no server."""
    with EnrolmentServer(tmp_path, tls_version=ssl.TLSVersion.TLSv1_2) as old, pytest.raises(UnavailableError):
        show(store, old.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"{}", 200, BadInputError),
        (b" " * (ANSWER_BYTES_MAX + 1), 200, BadInputError),
        (b"", 503, UnavailableError),
        (b"", 302, BadInputError),
    ],
    ids=["not-an-answer", "too-long", "overloaded", "redirect"],
)
def test_a_bad_answer_leaves_the_hub_blank(
    store: IdentityStore,
    identity: FactoryIdentity,
    operator: EnrolmentServer,
    answer: bytes,
    status: int,
    error: type[Exception],
) -> None:
    """Nothing of a wrong answer is kept, and its code is spent."""
    operator.answer_instead, operator.status_instead = answer, status
    claim = operator.new_claim(identity.hub_id, now_s=NOW_S)
    with pytest.raises(error):
        show(store, claim, identity.label_secret)
    assert store.state() is HubState.BLANK
    with pytest.raises(BadInputError, match="used before"):
        show(store, claim, identity.label_secret)


def test_a_silent_server_is_left_after_the_time_limit(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer
) -> None:
    """The whole conversation has one deadline."""
    operator.gate = threading.Event()
    text = make_claim(operator.new_claim(identity.hub_id, now_s=NOW_S), identity.label_secret)
    try:
        with pytest.raises(UnavailableError):
            enrol(store, text, evidence_key=EVIDENCE_KEY, now_s=NOW_S, conversation_s_max=0.3)
    finally:
        operator.gate.set()
