"""Both brokers carry the whole conversation; mosquitto lets in and through only whom it should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from agent.demo.broker import Broker, start_broker
from agent.demo.pki import Authority
from tests.simulators.central_desk import mqtt_client

COMMANDER = "svc.commander"
WAIT_S = 10


@contextmanager
def broker(folder: Path, kind: str) -> Iterator[tuple[Broker, Authority]]:
    """Run a broker."""
    authority = Authority()
    running = start_broker(folder / "broker", authority, COMMANDER, kind=kind)
    assert running.kind == kind
    try:
        yield running, authority
    finally:
        running.stop()


class Peer:
    """A connected client that remembers what it hears."""

    def __init__(self, client: paho.Client, port: int) -> None:
        self.client, self.heard, self._changed = client, list[tuple[str, bytes]](), threading.Condition()
        self.granted: list[int] = []
        self._is_connected = threading.Event()
        client.on_message = self._take
        client.on_connect = lambda *_: self._is_connected.set()
        client.on_subscribe = self._subscribed
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._is_connected.wait(WAIT_S)

    def listen(self, topic: str) -> list[int]:
        """Subscribe and return the broker's answer."""
        self.client.subscribe(topic, qos=1)
        with self._changed:
            assert self._changed.wait_for(lambda: self.granted, WAIT_S)
            return self.granted

    def wait(self, topic: str) -> bytes:
        """Wait for a message on a topic."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(name == topic for name, _ in self.heard), WAIT_S)
            return next(payload for name, payload in self.heard if name == topic)

    def say(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        """Publish and wait for the broker's acknowledgement."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def leave(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()

    def _take(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, message.payload))
            self._changed.notify_all()

    def _subscribed(
        self, _client: object, _userdata: object, _id: int, codes: list[paho.ReasonCode], *_: object
    ) -> None:
        with self._changed:
            self.granted = [code.value for code in codes]
            self._changed.notify_all()


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_a_command_goes_out_and_a_status_comes_back(tmp_path: Path, kind: str) -> None:
    """Retained states, commands and answers pass between the console and the hub, over TLS."""
    with broker(tmp_path, kind) as (running, authority):
        hub = Peer(mqtt_client("hub-1", authority, tmp_path), running.port)
        console = Peer(mqtt_client(COMMANDER, authority, tmp_path), running.port)
        try:
            hub.say("hub/v1/hub-1/state", b"online", retain=True)
            assert console.listen("hub/v1/hub-1/state") == [1]
            assert console.wait("hub/v1/hub-1/state") == b"online"
            hub.listen("hub/v1/hub-1/cmd")
            console.say("hub/v1/hub-1/cmd", b"command")
            assert hub.wait("hub/v1/hub-1/cmd") == b"command"
        finally:
            hub.leave()
            console.leave()


def test_mosquitto_refuses_whoever_has_no_certificate_of_ours(tmp_path: Path) -> None:
    """None at all, and one of another authority."""
    with broker(tmp_path, "mosquitto") as (running, authority):
        without = mqtt_client("hub-1", authority, None)
        strange = mqtt_client("hub-1", authority, None)
        strange_context = strange._ssl_context
        assert strange_context is not None
        strange_context.load_cert_chain(*Authority().issue_client(tmp_path / "strange", "hub-1"))
        for client in (without, strange):
            is_let_in = threading.Event()
            client.on_connect = lambda *_, flag=is_let_in: flag.set()
            with suppress(OSError):
                client.connect("127.0.0.1", running.port)
            while client.loop(1) == paho.MQTT_ERR_SUCCESS:
                assert not is_let_in.is_set()
            assert not is_let_in.is_set()


def test_mosquitto_keeps_a_hub_to_its_own_topics(tmp_path: Path) -> None:
    """A hub can neither read another's commands, nor speak in another's name, nor command itself."""
    with broker(tmp_path, "mosquitto") as (running, authority):
        thief = Peer(mqtt_client("hub-2", authority, tmp_path), running.port)
        console = Peer(mqtt_client(COMMANDER, authority, tmp_path), running.port)
        try:
            for topic in ("hub/v1/+/cmd", "hub/v1/hub-1/cmd", "#"):
                thief.listen(topic)
            console.listen("hub/v1/#")
            console.say("hub/v1/hub-1/cmd", b"for hub 1 only")
            for topic in ("hub/v1/hub-1/evt/cmd", "hub/v1/hub-1/state", "hub/v1/hub-2/cmd"):
                thief.say(topic, b"forged")
            thief.say("hub/v1/hub-2/evt/cmd", b"its own")  # comes after everything above: one connection keeps order
            assert console.wait("hub/v1/hub-2/evt/cmd") == b"its own"
            assert [payload for _, payload in console.heard] == [b"for hub 1 only", b"its own"]
            assert thief.heard == []
        finally:
            thief.leave()
            console.leave()
