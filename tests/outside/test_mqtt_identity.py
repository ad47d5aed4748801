"""Who is it there? A hub speaks to the broker of its own authority, at the address it was given, by TLS 1.3 only."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.demo.pki import Authority
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from tests.simulators.eventually import eventually

HUB = "hub-0"
pytestmark = pytest.mark.filterwarnings(
    # after a failed handshake paho 2.2 leaves its socket to the garbage collector, which closes it
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def tls_server(context: ssl.SSLContext, host: str = "127.0.0.1") -> Iterator[tuple[int, list[str]]]:
    """Serve one TLS handshake; give the port, and afterwards what became of it ("done", or the alert)."""
    listener, outcome = socket.create_server((host, 0)), list[str]()

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(1)
        except (ssl.SSLError, OSError) as error:
            outcome.append(str(error))
        else:
            outcome.append("done")
        finally:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], outcome
    thread.join(15)
    listener.close()


def server_context(folder: Path, authority: Authority) -> ssl.SSLContext:
    """Make a server's side by a certificate of `authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue_server(folder / "servers", HUB))
    return context


def outcome_at(folder: Path, authority: Authority, context: ssl.SSLContext, host: str = "127.0.0.1") -> str:
    """Let a hub of an authority connect to a server; return what became of the handshake at the server."""
    with tls_server(context, host) as (port, outcome):

        async def test() -> None:
            address = BrokerAddress(host, port, authority.pem, *authority.issue_client(folder, HUB))
            connected = asyncio.Event()
            link = MqttLink(HUB, address, (f"hub/v1/{HUB}/cmd",), Will(f"hub/v1/{HUB}/state", b"gone"), connected.set)
            link.start()
            await eventually(lambda: outcome)
            assert not connected.is_set()
            link.stop((f"hub/v1/{HUB}/state", b"offline"))

        asyncio.run(test())
    return outcome[0]


def test_a_broker_of_another_authority_is_refused(tmp_path: Path) -> None:
    """The hub says so before it shows who it is."""
    assert "unknown ca" in outcome_at(tmp_path, Authority(), server_context(tmp_path, Authority()))


def test_a_broker_with_another_name_is_refused(tmp_path: Path) -> None:
    """A true certificate for another address is no certificate for this one."""
    authority = Authority()
    assert "bad certificate" in outcome_at(tmp_path, authority, server_context(tmp_path, authority), "127.0.0.2")


def test_tls_1_2_is_refused(tmp_path: Path) -> None:
    """A server that speaks nothing newer gets nothing."""
    authority = Authority()
    context = server_context(tmp_path, authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "unsupported protocol" in outcome_at(tmp_path, authority, context).replace("_", " ").lower()
