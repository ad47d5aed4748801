"""The hub at a real broker: what was sent arrives once the hub is there, and nothing is forgotten unacknowledged."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.demo.broker import Broker, start_broker
from agent.demo.pki import Authority
from agent.errors import UnavailableError
from agent.outside.mqtt import INBOX_MAX, UNACKNOWLEDGED_MAX, BrokerAddress, MqttLink, Will
from agent.ports import Inbound
from tests.simulators.commander import NAME, Commander, commander
from tests.simulators.eventually import eventually

ROOT = Path(__file__).parents[2]
SOON_S = 15.0
STOP_S_MAX = 2.0
paho_drops_failed_sockets = pytest.mark.filterwarnings(
    # after a failed handshake paho 2.2 leaves its socket to the garbage collector, which closes it
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@dataclass
class Net:
    """A broker, its authority, and a folder for certificates."""

    folder: Path
    authority: Authority
    broker: Broker
    hub: str = "hub-0"
    links: list[MqttLink] = field(default_factory=list)

    def address(self, authority: Authority | None = None) -> BrokerAddress:
        """Say where the broker is, with the hub's own certificate."""
        certificate, key = self.authority.issue_client(self.folder, self.hub)
        pem = (authority or self.authority).pem
        return BrokerAddress("127.0.0.1", self.broker.port, pem, certificate, key)

    def topic(self, name: str) -> str:
        """Return one of the hub's own topics."""
        return f"hub/v1/{self.hub}/{name}"

    def link(self, address: BrokerAddress | None = None) -> tuple[MqttLink, asyncio.Event]:
        """Make a link that has not started yet, and the event that says it is connected."""
        connected = asyncio.Event()
        topics = (self.topic("cmd"), self.topic("policy"))
        will = Will(self.topic("state"), b"gone")
        link = MqttLink(self.hub, address or self.address(), topics, will, connected.set)
        return link, connected

    async def started(self) -> MqttLink:
        """Make a link and wait until it is connected."""
        link, connected = self.link()
        link.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        await link.publish(self.topic("evt/here"), b"here")  # the broker has taken the subscriptions before that
        return link


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Authority, Broker]]:
    """Run one mosquitto for all tests that leave it running."""
    folder, authority = tmp_path_factory.mktemp("broker"), Authority()
    broker = start_broker(folder / "broker", authority, NAME, kind="mosquitto")
    yield folder, authority, broker
    broker.stop()


@pytest.fixture
def net(shared: tuple[Path, Authority, Broker], request: pytest.FixtureRequest) -> Net:
    """Give every test a hub of its own at the shared broker."""
    name = "hub-" + "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-40:]
    return Net(*shared, hub=name)


@pytest.fixture
def server(net: Net) -> Iterator[Commander]:
    """Connect the server."""
    with commander(net.folder, net.authority, net.broker.port) as connected:
        yield connected


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in an event loop."""
    asyncio.run(asyncio.wait_for(test(), 40))


async def received(link: MqttLink) -> Inbound:
    """Wait for the next message."""
    return await asyncio.wait_for(link.receive(), SOON_S)


def stop(link: MqttLink, net: Net) -> None:
    """Stop a link; it takes less than two seconds, whatever the broker does."""
    began = time.monotonic()
    link.stop((net.topic("state"), b"offline"))
    assert time.monotonic() - began < STOP_S_MAX


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_commands_come_in_and_statuses_go_out(tmp_path: Path, kind: str) -> None:
    """The same at both brokers: in, acknowledged, out, and a farewell at the end."""
    authority = Authority()
    broker = start_broker(tmp_path / "broker", authority, NAME, kind=kind)
    net = Net(tmp_path, authority, broker)

    async def test(server: Commander) -> None:
        link = await net.started()
        await asyncio.to_thread(server.publish, net.topic("cmd"), b"command")
        message = await received(link)
        assert (message.topic, message.payload, message.qos) == (net.topic("cmd"), b"command", 1)
        link.acknowledge(message)
        await link.publish(net.topic("evt/cmd"), b"status")
        await asyncio.to_thread(server.hear, net.topic("evt/cmd"), b"status")
        stop(link, net)
        await asyncio.to_thread(server.hear, net.topic("state"), b"offline")

    try:
        with commander(tmp_path, authority, broker.port) as server:
            run(lambda: test(server))
    finally:
        broker.stop()


def test_what_was_sent_while_the_hub_was_away_arrives(net: Net, server: Commander) -> None:
    """The session is the broker's: a command waits for the hub, in order, and comes once."""

    async def test() -> None:
        stop(await net.started(), net)
        await asyncio.to_thread(server.publish, net.topic("cmd"), b"first")
        await asyncio.to_thread(server.publish, net.topic("cmd"), b"second")
        link = await net.started()
        for expected in (b"first", b"second"):
            message = await received(link)
            assert message.payload == expected
            link.acknowledge(message)
        stop(link, net)
        link = await net.started()
        await asyncio.to_thread(server.publish, net.topic("cmd"), b"third")
        assert (await received(link)).payload == b"third"
        stop(link, net)

    run(test)


def test_a_message_that_was_not_acknowledged_comes_again(net: Net, server: Commander) -> None:
    """The hub stops between receiving and storing: the broker brings the message to its next life."""

    async def test() -> None:
        link = await net.started()
        for payload in (b"stored", b"not stored"):
            await asyncio.to_thread(server.publish, net.topic("cmd"), payload)
        link.acknowledge(await received(link))
        assert (await received(link)).payload == b"not stored"
        stop(link, net)
        link = await net.started()
        again = await received(link)
        assert again.payload == b"not stored"
        link.acknowledge(again)
        stop(link, net)

    run(test)


def test_a_killed_hub_leaves_its_will_and_its_messages(net: Net, server: Commander) -> None:
    """The process is killed: after five seconds the broker says so, and what it had not acknowledged comes again."""
    ca = net.folder / "ca.pem"
    ca.write_text(net.authority.pem)
    address = net.address()
    paths = map(str, (ca, address.certificate, address.key))
    command = [sys.executable, "-m", "tests.simulators.hub_link_child", net.hub, str(address.port), *paths]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "connected\n"
        server.publish(net.topic("cmd"), b"command")
        assert child.stdout.readline() == "command\n"
        began = time.monotonic()
        child.kill()
    server.hear(net.topic("state"), b"gone")
    assert time.monotonic() - began > 3  # a connection lost for a moment is nobody's business

    async def test() -> None:
        link = await net.started()
        assert (await received(link)).payload == b"command"
        stop(link, net)

    run(test)


def test_no_more_than_a_few_messages_are_unacknowledged_at_once(net: Net, server: Commander) -> None:
    """The broker holds back the rest, and goes on as soon as the hub has stored one."""

    async def test() -> None:
        link = await net.started()
        for number in range(UNACKNOWLEDGED_MAX + 2):
            await asyncio.to_thread(server.publish, net.topic("cmd"), b"%d" % number)
        messages = [await received(link) for _ in range(UNACKNOWLEDGED_MAX)]
        server._client.publish(net.topic("policy"), b"marker", qos=0)
        assert (await received(link)).payload == b"marker"
        link.acknowledge(messages[0])
        assert (await received(link)).payload == b"%d" % UNACKNOWLEDGED_MAX
        stop(link, net)

    run(test)


def test_a_flood_of_what_needs_no_acknowledgement_is_dropped_and_counted(net: Net, server: Commander) -> None:
    """A hostile broker can send without end; the hub keeps a few and counts the rest."""

    async def test() -> None:
        link = await net.started()
        for number in range(INBOX_MAX + 50):
            server._client.publish(net.topic("policy"), b"%d" % number, qos=0)
        await eventually(lambda: link.dropped == 50)
        assert (await received(link)).payload == b"0"
        stop(link, net)

    run(test)


def test_a_command_finds_room_amid_a_flood(net: Net, server: Commander) -> None:
    """What must be acknowledged is never dropped: after twenty such losses no command would come any more."""

    async def test() -> None:
        link = await net.started()
        for number in range(INBOX_MAX + 50):
            server._client.publish(net.topic("policy"), b"%d" % number, qos=0)
        await eventually(lambda: link.dropped == 50)
        commands = [b"command %d" % number for number in range(2 * UNACKNOWLEDGED_MAX)]
        for command in commands:
            await asyncio.to_thread(server.publish, net.topic("cmd"), command)
        taken = []
        while len(taken) < len(commands):
            if (message := await received(link)).qos:
                taken.append(message.payload)
                link.acknowledge(message)
        assert taken == commands
        assert link.dropped == 50
        stop(link, net)

    run(test)


def test_what_waited_when_the_connection_broke_comes_once(net: Net, server: Commander) -> None:
    """The session brings again what was not acknowledged; the copies of before would fill the hub's inbox."""

    async def test() -> None:
        link, connected = net.link()
        link._client.reconnect_delay_set(min_delay=0, max_delay=1)
        link.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        await link.publish(net.topic("evt/here"), b"here")
        payloads = [b"%d" % number for number in range(UNACKNOWLEDGED_MAX)]
        for payload in payloads:
            await asyncio.to_thread(server.publish, net.topic("cmd"), payload)
        await eventually(lambda: link._inbox.qsize() == len(payloads))
        for _ in range(3):
            connected.clear()
            link._client.socket().shutdown(socket.SHUT_RDWR)
            await asyncio.wait_for(connected.wait(), SOON_S)
            await eventually(lambda: link._inbox.qsize() == len(payloads))
        for payload in payloads:
            message = await received(link)
            assert message.payload == payload
            link.acknowledge(message)
        await link.publish(net.topic("evt/here"), b"here")
        assert link._inbox.empty()
        stop(link, net)

    run(test)


def test_what_could_not_be_published_is_not_sent_later(net: Net, server: Commander) -> None:
    """Publishing without a broker fails at once and queues nothing: the mailbox brings it again, in order, once."""

    async def test() -> None:
        link, connected = net.link()
        for _ in range(5):
            with pytest.raises(UnavailableError, match="not connected"):
                await link.publish(net.topic("evt/cmd"), b"stale")
        link.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        for payload in (b"now", b"then"):
            await link.publish(net.topic("evt/cmd"), payload)
            assert (await asyncio.to_thread(server.hear, net.topic("evt/cmd"))).payload == payload
        stop(link, net)

    run(test)


def test_a_broker_that_was_away_is_found_again(tmp_path: Path) -> None:
    """The link comes back by itself; until then publishing fails."""
    authority = Authority()
    broker = start_broker(tmp_path / "broker", authority, NAME, kind="mosquitto")
    net = Net(tmp_path, authority, broker)

    async def test() -> None:
        link, connected = net.link()
        link.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        connected.clear()
        broker.stop()
        await eventually(lambda: not link._client.is_connected())
        with pytest.raises(UnavailableError, match="not connected"):
            await link.publish(net.topic("evt/cmd"), b"stale")
        broker.start()
        await asyncio.wait_for(connected.wait(), SOON_S)
        await link.publish(net.topic("evt/cmd"), b"now")
        stop(link, net)

    try:
        run(test)
    finally:
        broker.stop()


@paho_drops_failed_sockets
def test_stopping_takes_less_than_two_seconds_without_a_broker(net: Net) -> None:
    """Neither a closed port nor a server that accepts and says nothing holds the hub's end up."""
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    silent = socket.create_server(("127.0.0.1", 0))

    async def test() -> None:
        for place in (port, silent.getsockname()[1]):
            address = net.address()
            link, _ = net.link(BrokerAddress("127.0.0.1", place, address.anchors_pem, address.certificate, address.key))
            link.start()
            if place == port:
                stop(link, net)
                continue
            connection, _ = await asyncio.to_thread(silent.accept)
            with connection:
                stop(link, net)

    with silent:
        run(test)
