"""A broker that breaks the protocol costs a connection, never the hub's memory or its ear."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.demo.pki import Authority
from agent.outside.mqtt import PACKET_BYTES_MAX, BrokerAddress, MqttLink, Will
from agent.ports import Inbound

CONNACK = b"\x20\x03\x00\x00\x00"
GOOD = b"\x32\x07\x00\x01t\x00\x05\x00!"  # PUBLISH QoS 1, topic "t", id 5, no properties, payload "!"
MIB = 1024 * 1024


@dataclass
class HostileBroker:
    """Says CONNACK and one thing more; on the second connection it behaves and sends one good message."""

    listener: socket.socket
    tls: ssl.SSLContext
    evil: bytes
    connections: int = 0
    taken_bytes: int = 0  # of what was too much
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                self.connections += 1
                with suppress(OSError), self.tls.wrap_socket(plain, server_side=True) as hub:
                    self._talk(hub)

    def _talk(self, hub: ssl.SSLSocket) -> None:
        hub.settimeout(10)
        hub.recv(65536)
        hub.sendall(CONNACK)
        if self.connections > 1:
            hub.sendall(GOOD)
            while hub.recv(65536):
                pass
        hub.sendall(self.evil)
        self.taken_bytes = len(self.evil)
        while self.taken_bytes < 64 * MIB:
            hub.sendall(bytes(MIB))
            self.taken_bytes += MIB


def packet(head: int, length: int) -> bytes:
    """Write a fixed header with a remaining length."""
    digits = b""
    while True:
        length, digit = divmod(length, 128)
        digits += bytes([digit | 128 if length else digit])
        if not length:
            return bytes([head]) + digits


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Make one authority for broker and hub."""
    return Authority()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a free port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        yield made


async def first_message(address: BrokerAddress) -> Inbound:
    """Connect and wait for a message, however often that takes."""
    link = MqttLink("hub", address, ("t",), Will("w", b""), lambda: None)
    link._client.reconnect_delay_set(min_delay=0, max_delay=1)
    link.start()
    try:
        async with asyncio.timeout(20):
            while (message := await link.receive()).payload != b"!":
                pass
            return message
    finally:
        await asyncio.to_thread(link.stop, ("w", b""))


@pytest.mark.parametrize(
    "evil",
    [
        b"\x32\x00",
        b"\x32\x04\xff\xff\x00\x00",
        packet(0x30, 6) + b"\x00\x02\xff\xfe\x00!",
        b"\x90\x00",
        b"\x40\x01\x00",
        b"\xf0\x02\xff\xff",
        b"\x34\x07\x00\x01t\x00\x05\x00!",
        packet(0x32, PACKET_BYTES_MAX + 1),
        packet(0x30, 268_435_455),
    ],
    ids=[
        "empty publish",
        "topic without end",
        "topic not UTF-8",
        "empty suback",
        "torn puback",
        "auth nobody asked for",
        "QoS 2",
        "one byte too long",
        "256 MiB",
    ],
)
def test_a_broken_packet_costs_one_connection(
    tmp_path: Path, authority: Authority, listener: socket.socket, evil: bytes
) -> None:
    """The hub hangs up at once, connects again, and takes the next good message."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue_server(tmp_path, "broker"))
    broker = HostileBroker(listener, tls, evil)
    address = BrokerAddress(
        "127.0.0.1", listener.getsockname()[1], authority.pem, *authority.issue_client(tmp_path, "h")
    )
    message = asyncio.run(first_message(address))
    assert struct.pack(">H", message.id) == b"\x00\x05"
    assert broker.connections == 2
    assert broker.taken_bytes < 16 * MIB
