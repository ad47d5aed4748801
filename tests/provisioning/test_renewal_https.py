"""Real renewals over TLS on loopback: what is asked and refused, and deaths between any two changes of the disk."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provisioning.claim import make_claim
from provisioning.credentials import CredentialStore, RenewalStage
from provisioning.enrolment import RenewalServer
from provisioning.enrolment_https import enrol
from provisioning.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning.factory import FactoryIdentity
from provisioning.keys import pin
from provisioning.reissue import GRACE, HubKeys
from provisioning.renewal import ANSWER_BYTES_MAX
from provisioning.renewal_https import RenewalDesk
from provisioning.store import IdentityStore
from tests.simulators.enrolment_server import EnrolmentServer, make_authority, pem
from tests.simulators.renewing_child import go_on

ROOT = Path(__file__).parents[2]
DAY_S = 86400


@pytest.fixture
def place(store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer) -> RenewalServer:
    """Enrol the hub, and say where it renews."""
    now_s = int(time.time())
    claim = make_claim(operator.new_claim(identity.hub_id), identity.label_secret)
    renewal = enrol(store, claim, evidence_key=bytes(32), now_s=now_s).renewal
    assert renewal is not None
    return renewal


@pytest.fixture
def desk(store: IdentityStore, identity: FactoryIdentity, place: RenewalServer) -> RenewalDesk:
    """Return the enrolled hub's way to its server."""
    return RenewalDesk(identity, store.credentials, place)


def present_pin(store: IdentityStore) -> bytes:
    """Name the key in force, of a pair that TLS takes."""
    ssl.create_default_context().load_cert_chain(*store.credentials.present())
    return pin(store.credentials.present_key().public_key())


def test_a_renewal_is_whole_on_trial_in_force_and_confirmed(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer, desk: RenewalDesk
) -> None:
    """Step by step: the present pair stays what it is until the next one is promoted; the enrolment keeps its name."""
    credentials, first, enrolment = store.credentials, present_pin(store), store.enrolment_pin()
    assert credentials.stage() is RenewalStage.SETTLED
    desk.ask(int(time.time()))
    assert (credentials.stage(), present_pin(store)) == (RenewalStage.ON_TRIAL, first)
    following = credentials.next()
    assert following is not None
    ssl.create_default_context().load_cert_chain(*following)
    second = pin(credentials.next_leaf().public_key())  # type: ignore[arg-type] # our own P-256 key
    assert operator.keys[identity.hub_id] == HubKeys(first, second)
    credentials.promote()
    assert (credentials.stage(), present_pin(store)) == (RenewalStage.UNCONFIRMED, second)
    desk.confirm()
    assert (credentials.stage(), present_pin(store)) == (RenewalStage.SETTLED, second)
    assert operator.keys[identity.hub_id] == HubKeys(second)
    assert store.enrolment_pin() == enrolment
    desk.ask(int(time.time()))  # and the next one, by the new pair
    assert credentials.stage() is RenewalStage.ON_TRIAL


def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(
    store: IdentityStore, operator: EnrolmentServer, desk: RenewalDesk
) -> None:
    """The server issued, nobody heard it: the hub is where it was, and its next try is as good."""
    operator.status_instead = 503
    with pytest.raises(UnavailableError, match="503"):
        desk.ask(int(time.time()))
    key = store.credentials.next_key()
    assert key is not None
    assert (store.credentials.stage(), operator.renewals) == (RenewalStage.ASKED, 1)
    operator.status_instead = None
    desk.ask(int(time.time()))
    assert store.credentials.stage() is RenewalStage.ON_TRIAL
    assert pin(store.credentials.next_leaf().public_key()) == pin(key.public_key())  # type: ignore[arg-type] # P-256


def test_a_stolen_old_certificate_renews_nothing(
    tmp_path: Path, store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer, place: RenewalServer
) -> None:
    """A copy of the whole identity folder from before the last renewal is refused, and the hub's own goes on."""
    thief = IdentityStore(tmp_path / "copy")
    thief.folder.mkdir()
    for file in store.folder.iterdir():
        (thief.folder / file.name).write_bytes(file.read_bytes())
        (thief.folder / file.name).chmod(0o600)
    desk = RenewalDesk(identity, store.credentials, place)
    desk.ask(int(time.time()))
    store.credentials.promote()
    desk.confirm()
    stolen = RenewalDesk(thief.load_factory(), thief.credentials, place)
    with pytest.raises(ConfigurationError, match="refuses"):
        stolen.ask(int(time.time()))
    with pytest.raises(ConfigurationError, match="refuses"):
        stolen.confirm()
    assert operator.keys[identity.hub_id] == HubKeys(present_pin(store))
    desk.ask(int(time.time()))


def test_a_hub_from_a_drawer_has_a_bounded_time(
    operator: EnrolmentServer, desk: RenewalDesk, store: IdentityStore
) -> None:
    """An ended certificate renews itself for 90 days by the server's clock; after that only a person helps."""
    operator.ahead_s = 91 * DAY_S + int(GRACE.total_seconds())
    with pytest.raises(ConfigurationError, match="enrol it again"):
        desk.ask(None)
    operator.ahead_s = 89 * DAY_S + int(GRACE.total_seconds())
    desk.ask(None)
    assert store.credentials.stage() is RenewalStage.ON_TRIAL


def test_nobody_is_told_anything_by_a_server_without_the_right_certificate(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer, place: RenewalServer
) -> None:
    """Another authority's, or one for another name: nothing is sent."""
    stranger = pem(make_authority("localhost").certificate)
    said = len(operator.bodies)
    for lie in (
        msgspec.structs.replace(place, anchors_pem=stranger),
        msgspec.structs.replace(place, host="127.0.0.1"),
    ):
        with pytest.raises(UnavailableError, match="nobody here trusts"):
            RenewalDesk(identity, store.credentials, lie).ask(int(time.time()))
    assert (len(operator.bodies), operator.renewals) == (said, 0)


def test_the_clocks_rules_come_before_each_connection(
    store: IdentityStore, identity: FactoryIdentity, place: RenewalServer
) -> None:
    """Whether dates count is decided anew each time; names and authorities always do."""
    seen: list[ssl.SSLContext] = []
    desk = RenewalDesk(identity, store.credentials, place, before_connecting=seen.append)
    desk.ask(int(time.time()))
    store.credentials.promote()
    desk.confirm()
    assert [(one.check_hostname, one.verify_mode) for one in seen] == [(True, ssl.CERT_REQUIRED)] * 2


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"{}", 200, BadInputError),
        (b" " * (ANSWER_BYTES_MAX + 1), 200, BadInputError),
        (b'{"certificate_chain_pem": ""}', 200, BadInputError),
        (b"", 302, UnavailableError),
        (b"", 503, UnavailableError),
        (b"", 403, ConfigurationError),
    ],
    ids=["not an answer", "too long", "no chain", "redirect", "overloaded", "refused"],
)
def test_a_bad_answer_changes_nothing(
    store: IdentityStore,
    operator: EnrolmentServer,
    desk: RenewalDesk,
    answer: bytes,
    status: int,
    error: type[Exception],
) -> None:
    """The pair in force is what it was, and the next try works."""
    before = present_pin(store)
    operator.answer_instead, operator.status_instead = answer, status
    with pytest.raises(error):
        desk.ask(int(time.time()))
    assert (store.credentials.stage(), present_pin(store)) == (RenewalStage.ASKED, before)
    operator.answer_instead = operator.status_instead = None
    desk.ask(int(time.time()))


def test_a_silent_server_is_left_after_the_time_limit(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer, place: RenewalServer
) -> None:
    """The whole conversation has one deadline."""
    operator.gate = threading.Event()
    try:
        with pytest.raises(UnavailableError):
            RenewalDesk(identity, store.credentials, place, conversation_s_max=0.3).ask(int(time.time()))
    finally:
        operator.gate.set()


def child(store: IdentityStore, place: Path, deadly: int) -> subprocess.CompletedProcess[bytes]:
    """Go on with the hub's renewal in a process that dies at its nth change of the disk."""
    command = [sys.executable, "-m", "tests.simulators.renewing_child", str(store.folder), str(place), str(deadly)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)


@pytest.fixture
def place_file(tmp_path: Path, place: RenewalServer) -> Iterator[Path]:
    """Write down where to renew, for a child."""
    path = tmp_path / "place.json"
    path.write_bytes(msgspec.json.encode(place))
    return path


def test_a_kill_between_any_two_changes_of_the_disk_leaves_a_hub_that_can_connect(
    store: IdentityStore, identity: FactoryIdentity, operator: EnrolmentServer, place: RenewalServer, place_file: Path
) -> None:
    """At each of them a process is killed; the pair is whole and known to the server, and the next start ends it."""
    lived = child(store, place_file, 0)
    assert lived.returncode == 0, lived.stderr.decode()
    changes = int(lived.stdout)
    assert changes >= 6
    for deadly in range(1, changes + 1):
        before = present_pin(store)
        died = child(store, place_file, deadly)
        assert died.returncode == -9, died.stderr.decode()
        assert present_pin(store) in operator.keys[identity.hub_id]
        go_on(store.folder, place)
        assert (store.credentials.stage(), operator.keys[identity.hub_id]) == (
            RenewalStage.SETTLED,
            HubKeys(present_pin(store)),
        )
        assert present_pin(store) != before
        assert {file.name for file in store.folder.iterdir() if "renewal" in file.name} == set()


def test_nothing_is_left_of_renewals_after_a_reset(store: IdentityStore, desk: RenewalDesk) -> None:
    """Neither the pair in force nor the one on trial, and none of a reset that was cut short counts afterwards."""
    desk.ask(int(time.time()))
    store.credentials.promote()
    store.credentials.keep_next_key(store.credentials.present_key())
    store.reset()
    assert {"mtls.pem", "renewal.pem", "renewal.key"} & {file.name for file in store.folder.iterdir()} == set()
    assert CredentialStore(store.folder).next_key() is None
