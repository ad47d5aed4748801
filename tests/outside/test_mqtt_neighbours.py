"""A hub's topics and its session at the broker are its own: another hub's certificate opens neither."""

from __future__ import annotations

import asyncio
import queue
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.demo.broker import Broker, start_broker
from agent.demo.pki import Authority
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from tests.simulators.commander import NAME, commander

HUB, NEIGHBOUR = "hub-a", "hub-b"
TOPICS = ("cmd", "policy", "pair", "answer", "trust", "witness", "state", "evt/cmd")
SOON_S = 15.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Authority, Broker]]:
    """Run one mosquitto with the access rules of the demo."""
    folder, authority = tmp_path_factory.mktemp("neighbours"), Authority()
    running = start_broker(folder / "broker", authority, NAME, kind="mosquitto")
    yield folder, authority, running
    running.stop()


@contextmanager
def neighbour(folder: Path, authority: Authority, port: int, client_id: str) -> Iterator[tuple[paho.Client, list[str]]]:
    """Connect by the other hub's certificate and ask for everything; gives the client and the topics it heard of."""
    heard: list[str] = []
    ready: queue.Queue[str] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
    context = ssl.create_default_context(cadata=authority.pem)
    context.load_cert_chain(*authority.issue_client(folder, NEIGHBOUR))
    client.tls_set_context(context)
    client.on_connect = lambda *_: client.subscribe([("#", 1), (f"hub/v1/{HUB}/#", 1)])
    client.on_subscribe = lambda *_: ready.put("subscribed")
    client.on_message = lambda _c, _u, message: heard.append(message.topic)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        ready.get(timeout=10)
        yield client, heard
    finally:
        client.disconnect()
        client.loop_stop()


async def linked(folder: Path, authority: Authority, port: int) -> MqttLink:
    """Connect the hub itself, and wait until the broker has its subscriptions."""
    address = BrokerAddress("127.0.0.1", port, authority.pem, *authority.issue_client(folder, HUB))
    connected, topics = asyncio.Event(), tuple(f"hub/v1/{HUB}/{topic}" for topic in TOPICS[:6])
    link = MqttLink(HUB, address, topics, Will(f"hub/v1/{HUB}/state", b"gone"), connected.set)
    link.start()
    await asyncio.wait_for(connected.wait(), SOON_S)
    await link.publish(f"hub/v1/{HUB}/evt/here", b"here")
    return link


async def taken(link: MqttLink) -> bytes:
    """Wait for a message and acknowledge it."""
    message = await asyncio.wait_for(link.receive(), SOON_S)
    link.acknowledge(message)
    return message.payload


async def left(link: MqttLink) -> None:
    """Disconnect; the session stays."""
    await asyncio.to_thread(link.stop, (f"hub/v1/{HUB}/state", b"offline"))


def test_another_hub_reads_and_writes_nothing(broker: tuple[Path, Authority, Broker]) -> None:
    """It may ask for all topics and hears none; what it publishes there reaches neither the hub nor the server."""
    folder, authority, running = broker

    async def test() -> None:
        link = await linked(folder, authority, running.port)
        with (
            commander(folder, authority, running.port) as server,
            neighbour(folder, authority, running.port, NEIGHBOUR) as (other, heard),
        ):
            for topic in TOPICS:
                other.publish(f"hub/v1/{HUB}/{topic}", b"forged", qos=1).wait_for_publish(10)
                other.publish(f"hub/v1/{HUB}/{topic}", b"forged", qos=1, retain=True).wait_for_publish(10)
            await asyncio.to_thread(server.publish, f"hub/v1/{HUB}/cmd", b"good")
            assert await taken(link) == b"good"
            await link.publish(f"hub/v1/{HUB}/evt/cmd", b"status")
            await asyncio.to_thread(server.publish, f"hub/v1/{NEIGHBOUR}/cmd", b"its own")
            own = f"hub/v1/{NEIGHBOUR}/evt/cmd"
            other.publish(own, b"marker", qos=1).wait_for_publish(10)
            told = []
            while (said := await asyncio.to_thread(server.hear_next)) != (own, b"marker"):
                told.append(said)
            assert (f"hub/v1/{HUB}/evt/cmd", b"status") in told
            assert b"forged" not in {payload for _, payload in told}
            assert set(heard) <= {f"hub/v1/{NEIGHBOUR}/cmd"}
        await left(link)

    asyncio.run(asyncio.wait_for(test(), 40))


def test_another_hub_cannot_take_the_session_over(broker: tuple[Path, Authority, Broker]) -> None:
    """It names itself like the hub and asks for a clean start; the hub's commands wait for the hub nevertheless."""
    folder, authority, running = broker

    async def test() -> None:
        await left(await linked(folder, authority, running.port))
        with commander(folder, authority, running.port) as server:
            await asyncio.to_thread(server.publish, f"hub/v1/{HUB}/cmd", b"queued")
            with neighbour(folder, authority, running.port, HUB) as (_, heard):
                await asyncio.to_thread(server.publish, f"hub/v1/{HUB}/cmd", b"and another")
            assert heard == []
        link = await linked(folder, authority, running.port)
        assert [await taken(link), await taken(link)] == [b"queued", b"and another"]
        await left(link)

    asyncio.run(asyncio.wait_for(test(), 40))
