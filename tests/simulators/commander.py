"""The server's side of the broker: whoever publishes commands and listens to the hubs."""

from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.demo.pki import Authority

NAME = "commander"


class Commander:
    """A connected MQTT client that has subscribed to everything of the hubs."""

    def __init__(self, client: paho.Client, heard: queue.Queue[paho.MQTTMessage]) -> None:
        self._client, self._heard = client, heard

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at least once and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def hear(self, topic: str, payload: bytes | None = None, timeout_s: float = 15) -> paho.MQTTMessage:
        """Wait for the next message on a topic, with this payload if one is given; others are passed over."""
        due = time.monotonic() + timeout_s
        while True:
            message = self._heard.get(timeout=max(0.001, due - time.monotonic()))
            if message.topic == topic and payload in {None, message.payload}:
                return message

    def hear_next(self, timeout_s: float = 15) -> tuple[str, bytes]:
        """Wait for the next message on any topic."""
        message = self._heard.get(timeout=timeout_s)
        return message.topic, bytes(message.payload)

    def heard(self) -> list[tuple[str, bytes]]:
        """Return everything that has come and was not heard yet."""
        found = []
        while not self._heard.empty():
            message = self._heard.get_nowait()
            found.append((message.topic, bytes(message.payload)))
        return found


@contextmanager
def commander(folder: Path, authority: Authority, port: int, topics: str = "hub/v1/#") -> Iterator[Commander]:
    """Connect with the commander's certificate, and leave at the end."""
    heard: queue.Queue[paho.MQTTMessage] = queue.Queue()
    ready: queue.Queue[str] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, NAME, protocol=paho.MQTTv5)
    context = ssl.create_default_context(cadata=authority.pem)
    context.load_cert_chain(*authority.issue_client(folder, NAME))
    client.tls_set_context(context)

    def on_connect(*_: Any) -> None:  # noqa: ANN401 - paho's
        client.subscribe(topics, qos=1)

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: ready.put("subscribed")
    client.on_message = lambda _c, _u, message: heard.put(message)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        ready.get(timeout=10)
        yield Commander(client, heard)
    finally:
        client.disconnect()
        client.loop_stop()
