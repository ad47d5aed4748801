"""The central server enrols the hub that was sold, once, with the installer's code; and nobody else."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.clock import WallTime
from agent.command.trust import open_first_bundle
from agent.demo.central import REQUEST_BYTES_MAX, Enrolments
from provisioning.claim import Claim, make_claim
from provisioning.enrolment_https import enrol
from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.store import HubState, IdentityStore
from tests.simulators.central_desk import Desk, running_desk

EVIDENCE_KEY = bytes(range(32))


@pytest.fixture
def factory() -> FactoryIdentity:
    """Make a hub."""
    return make_identity("HUB.EXAMPLE", time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Run a central server for all tests of this file."""
    with running_desk(tmp_path_factory.mktemp("central"), "hub-1") as running:
        yield running


@pytest.fixture
def desk(running: Desk, factory: FactoryIdentity) -> Desk:
    """Let the server know this test's hub and nothing else."""
    running.central.enrolments = Enrolments({factory.hub_id: factory.record})
    return running


def blank(folder: Path, factory: FactoryIdentity) -> IdentityStore:
    """Make a hub's identity as the factory leaves it."""
    store = IdentityStore(folder / "identity")
    store.save_factory(factory)
    return store


def show(store: IdentityStore, claim: Claim, factory: FactoryIdentity) -> None:
    """Show the hub a claim."""
    enrol(store, make_claim(claim, factory.label_secret), evidence_key=EVIDENCE_KEY, now_s=int(time.time()))


def test_a_claim_makes_a_hub(desk: Desk, tmp_path: Path, factory: FactoryIdentity) -> None:
    """Certificate, broker, trust bundle, and the server knows whose clips to believe."""
    store = blank(tmp_path, factory)
    show(store, desk.central.make_claim(factory.hub_id), factory)
    enrolment = store.load_enrolment()
    assert enrolment is not None
    trust = open_first_bundle(enrolment.trust_bundle.encode())
    assert desk.central.host in trust.upload_hosts
    assert desk.central.enrolments.evidence_keys[factory.hub_id].name == factory.hub_id
    assert desk.central.enrolments.codes == {}
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    context.load_cert_chain(*store.credentials.present())


def test_a_code_works_once(desk: Desk, tmp_path: Path, factory: FactoryIdentity) -> None:
    """Also if the hub forgot that it used it."""
    store = blank(tmp_path, factory)
    claim = desk.central.make_claim(factory.hub_id)
    show(store, claim, factory)
    store.reset()
    (store.folder / "used_codes.json").unlink()
    with pytest.raises(BadInputError, match="403"):
        show(store, claim, factory)
    assert store.state() is HubState.BLANK


@pytest.mark.parametrize("wrong", ["unknown code", "code of another hub", "expired code", "unsold hub", "copied label"])
def test_refuses(desk: Desk, tmp_path: Path, factory: FactoryIdentity, wrong: str) -> None:
    """Each of these alone is a no, the code is spent by it, and no key is believed."""
    enrolments, store = desk.central.enrolments, blank(tmp_path, factory)
    claim = desk.central.make_claim(factory.hub_id)
    match wrong:
        case "unknown code":
            enrolments.codes.clear()
        case "code of another hub":
            enrolments.codes[claim.code] = ("another", time.time() + 60)
        case "expired code":
            enrolments.codes[claim.code] = (factory.hub_id, time.time() - 1)
        case "unsold hub":
            enrolments.records.clear()
        case "copied label":
            enrolments.records[factory.hub_id] = make_identity("HUB.EXAMPLE", 1, factory.hub_id).record
    with pytest.raises(BadInputError, match="403"):
        show(store, claim, factory)
    assert store.state() is HubState.BLANK
    assert enrolments.evidence_keys == {}
    assert enrolments.codes == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 403), (b"[" * 50_000, 403), (b"\xff\xfe", 403), (b"{}", 403), (b"x" * (REQUEST_BYTES_MAX + 1), 413)],
    ids=["empty", "nested", "no text", "no request", "too long"],
)
def test_what_is_no_request_is_refused(desk: Desk, body: bytes, status: int) -> None:
    """The server says no and goes on."""
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    with httpx.Client(base_url=desk.url, verify=context, trust_env=False) as client:
        assert client.post("/enrol", content=body).status_code == status
        assert client.get("/nothing").status_code == 404


def test_speaks_tls_1_3_only(desk: Desk) -> None:
    """An older client is turned away."""
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(desk.url)


def test_a_trust_bundle_names_its_version_and_where_it_listens(desk: Desk) -> None:
    """It opens by the roots it is signed with."""
    bundle = open_first_bundle(desk.central.trust_bundle(WallTime(time.time_ns()), version=7))
    assert bundle.version == 7
    assert desk.central.host in bundle.upload_hosts
