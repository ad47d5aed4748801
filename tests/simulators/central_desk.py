"""A broker and a central server without a hub: the demo's server side alone, and a hub's place in it to speak from."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.demo.authority import Authority
from agent.demo.broker import Broker
from agent.demo.central import CentralServer
from agent.demo.pki import Authority as CertificateAuthority
from agent.demo.store import Store
from agent.signing import generate_signing_key


class NoBroker:
    """Stands where the central server asks for the broker's port, in tests that speak no MQTT."""

    kind, port, checks_client_certificates = "none", 1, False

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to end."""

    def kill(self) -> None:
        """Nothing to end."""


@dataclass
class Desk:
    """A running central server and its certificate authority."""

    certificates: CertificateAuthority
    central: CentralServer
    store: Store

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.central.host}"


@contextmanager
def running_desk(folder: Path, hub: str, token: str = "token-1", broker: Broker | None = None) -> Iterator[Desk]:  # noqa: S107 - a test's token
    """Run a central server for one hub."""
    certificates = CertificateAuthority()
    store = Store(folder / "store", hub, token, generate_signing_key("P-256"))
    central = CentralServer(folder, certificates, Authority(), broker or NoBroker(), store, {})
    central.start()
    try:
        yield Desk(certificates, central, store)
    finally:
        central.stop()


def mqtt_client(name: str, certificates: CertificateAuthority, folder: Path | None) -> paho.Client:
    """Make an MQTT client with a certificate for `name` (none without a folder to put it in); it is not connected."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates.pem)
    if folder is not None:
        context.load_cert_chain(*certificates.issue_client(folder, name))
    client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
    client.tls_set_context(context)
    return client


def emptied(desk: Desk, folder: Path) -> Desk:
    """Give the desk's store a new, empty folder, and let it forget what it had."""
    desk.store.folder = folder
    folder.mkdir()
    desk.store.uploads.clear()
    desk.store.contents.clear()
    return desk


@contextmanager
def raw_client(desk: Desk) -> Iterator[httpx.Client]:
    """Make a client that sends the desk whatever it is told."""
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    with httpx.Client(base_url=desk.url, verify=context, trust_env=False) as client:
        yield client
