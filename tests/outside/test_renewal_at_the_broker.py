"""A certificate is renewed at a real broker by a real server; whatever fails of it leaves a hub on line."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.demo.broker import Broker, start_broker
from agent.demo.pki import Authority as CertificateAuthority
from agent.maintenance.certificate_watch import CertificateWatch
from agent.outside.host import HostClock
from agent.outside.hub_certificate import HubCertificate
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from provisioning.claim import make_claim
from provisioning.credentials import RenewalStage
from provisioning.enrolment_https import enrol
from provisioning.factory import make_identity
from provisioning.issuing import HubAuthority, issue_chain
from provisioning.keys import make_key
from provisioning.renewal_https import RenewalDesk
from provisioning.renewal_pace import Validity
from provisioning.store import IdentityStore
from tests.simulators.central_desk import Desk, running_desk
from tests.simulators.commander import NAME, Commander, commander
from tests.simulators.eventually import eventually
from tests.simulators.scripted_certificate import StepLog

LIFE_S = 6
SOON_S = 60.0
LOOK_S = 0.02

paho_drops_failed_sockets = pytest.mark.filterwarnings(
    # after a failed handshake paho 2.2 leaves its socket to the garbage collector, which closes it
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@dataclass
class Place:
    """An enrolled hub's folder, its server and its broker, whose authority also issues the hub's certificates."""

    store: IdentityStore
    desk: Desk
    broker: Broker
    server: Commander
    log: StepLog = field(default_factory=StepLog)

    @property
    def hub(self) -> str:
        """Its id."""
        return self.store.load_factory().hub_id

    def certificate(self) -> HubCertificate:
        """Open its pairs."""
        enrolment = self.store.load_enrolment()
        assert enrolment is not None
        assert enrolment.renewal is not None
        desk = RenewalDesk(self.store.load_factory(), self.store.credentials, enrolment.renewal)
        return HubCertificate(self.store.credentials, desk)

    async def link(self, certificate: HubCertificate) -> MqttLink:
        """Connect to the broker."""
        connected = asyncio.Event()
        pair = self.store.credentials.present()
        address = BrokerAddress("127.0.0.1", self.broker.port, self.desk.certificates.pem, *pair)
        will, topics = Will(f"hub/v1/{self.hub}/state", b"gone"), (f"hub/v1/{self.hub}/cmd",)
        hooks = certificate.before_connecting, certificate.accepted
        link = MqttLink(self.hub, address, topics, will, connected.set, *hooks)
        link.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        return link

    def run(self, test: Callable[[CertificateWatch, MqttLink, HubCertificate], Awaitable[None]]) -> None:
        """Let the hub live with its watch, for the length of a test."""

        async def life() -> None:
            certificate = self.certificate()
            link = await self.link(certificate)
            watch = CertificateWatch(certificate, link, HostClock(unsafe_assume_synchronised=True), self.log)
            beside = asyncio.create_task(watch.run(LOOK_S))
            try:
                await test(watch, link, certificate)
            finally:
                beside.cancel()
                await asyncio.wait([beside])
                link.stop((f"hub/v1/{self.hub}/state", b"bye"))

        asyncio.run(asyncio.wait_for(life(), 2 * SOON_S))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Put up broker and server, and enrol a hub with a certificate of a few seconds."""
    with placed(tmp_path) as made:
        yield made


@contextmanager
def placed(folder: Path) -> Iterator[Place]:
    """Put it all up and take it down."""
    factory = make_identity("hub.example", 1_795_354_560_000)
    with running_desk(folder / "desk", factory.hub_id) as desk:
        broker = start_broker(folder / "broker", desk.certificates, NAME, kind="mosquitto")
        try:
            store = IdentityStore(folder / "identity")
            store.save_factory(factory)
            desk.central.hub_life = dt.timedelta(seconds=LIFE_S)
            desk.central.enrolments.records[factory.hub_id] = factory.record
            claim = make_claim(desk.central.make_claim(factory.hub_id), factory.label_secret)
            enrol(store, claim, evidence_key=bytes(range(32)), now_s=int(time.time()))
            with commander(folder, desk.certificates, broker.port) as server:
                yield Place(store, desk, broker, server)
        finally:
            broker.stop()


def pins(place: Place) -> tuple[bytes, bytes | None]:
    """Return which keys of the hub the server counts."""
    return tuple(place.desk.central.enrolments.keys[place.hub])


def test_it_is_renewed_while_commands_come(place: Place) -> None:
    """Every command arrives, in order; the first certificate is over then, and the server counts only the next."""
    got: list[bytes] = []

    async def test(watch: CertificateWatch, link: MqttLink, certificate: HubCertificate) -> None:
        async def listen() -> None:
            while True:
                message = await link.receive()
                if message.payload not in got:  # what was on its way comes again: the journal's business
                    got.append(message.payload)
                link.acknowledge(message)

        listening, first = asyncio.create_task(listen()), Validity.of(place.store.credentials.present_leaf())
        topic, number = f"hub/v1/{place.hub}/cmd", 0
        deadline = time.monotonic() + SOON_S
        while time.time() < first.ends_s or "in force" not in place.log.steps or pins(place)[1]:
            assert time.monotonic() < deadline, place.log.steps
            await asyncio.to_thread(place.server.publish, topic, str(number).encode())
            number += 1
            await asyncio.sleep(0.05)
        await eventually(lambda: len(got) == number)
        assert watch.vitals().why == ""
        assert certificate.validity().ends_s > first.ends_s
        listening.cancel()
        assert got == [str(one).encode() for one in range(number)]

    place.run(test)
    assert place.log.steps[:3] == ["asked", "received", "in force"]


@paho_drops_failed_sockets
def test_a_pair_that_the_broker_does_not_take_leaves_the_hub_on_line(place: Place) -> None:
    """A lying server's certificate, by an authority that the broker does not know: the old pair connects next."""
    stranger, key = CertificateAuthority(), make_key()
    chain = issue_chain(key.public_key(), place.hub, HubAuthority(stranger.key, stranger.certificate), int(time.time()))
    place.store.credentials.keep_next_key(key)
    place.store.credentials.keep_next(key, chain)

    async def connect() -> None:
        certificate = place.certificate()
        link = await place.link(certificate)
        assert certificate.trial() == (False, 1, 1)
        link.stop((f"hub/v1/{place.hub}/state", b"bye"))

    asyncio.run(asyncio.wait_for(connect(), SOON_S))


def test_a_start_in_the_middle_goes_on(place: Place) -> None:
    """Killed after the answer: the first connection of the next start is the trial, and nobody is asked again."""
    enrolment = place.store.load_enrolment()
    assert enrolment is not None
    assert enrolment.renewal is not None
    place.desk.central.hub_life = dt.timedelta(days=1)
    RenewalDesk(place.store.load_factory(), place.store.credentials, enrolment.renewal).ask(int(time.time()))
    assert place.store.credentials.stage() is RenewalStage.ON_TRIAL

    async def test(_: CertificateWatch, link: MqttLink, certificate: HubCertificate) -> None:
        await eventually(lambda: certificate.stage() is RenewalStage.SETTLED, SOON_S)
        assert link.is_connected

    place.run(test)
    assert place.log.steps == ["in force"]
    assert pins(place)[1] is None


def test_a_dead_server_is_asked_until_it_is_back(place: Place) -> None:
    """The connection lives meanwhile, also past the end of the certificate, which is then renewed by grace."""
    place.desk.central.stop()

    async def test(watch: CertificateWatch, link: MqttLink, certificate: HubCertificate) -> None:
        ends_s = Validity.of(place.store.credentials.present_leaf()).ends_s
        await eventually(lambda: watch.vitals().failures >= 2 and time.time() > ends_s, SOON_S)
        assert "no TLS 1.3 connection" in watch.vitals().why
        assert not watch.vitals().is_refused
        assert link.is_connected
        await asyncio.to_thread(place.desk.central.start)
        await eventually(lambda: "in force" in place.log.steps and certificate.stage() is RenewalStage.SETTLED, SOON_S)
        assert watch.vitals().failures == 0

    place.run(test)
    assert place.log.steps.count("not renewed") == 1  # said once
