"""The demo's certificates do what they say and nothing else."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from agent.demo.pki import Authority


def shake_hands(
    server: tuple[Path, Path], client: tuple[Path, Path] | None, authority: Authority, name: str = "localhost"
) -> str:
    """Let a client meet a server that demands a certificate; return the client's common name as the server saw it."""
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(*server)
    inside.load_verify_locations(cadata=authority.pem)
    inside.verify_mode = ssl.CERT_REQUIRED
    outside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outside.load_verify_locations(cadata=authority.pem)
    if client is not None:
        outside.load_cert_chain(*client)
    near, far = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        try:
            with inside.wrap_socket(far, server_side=True) as channel:
                subject = dict(field[0] for field in (channel.getpeercert() or {})["subject"])
                seen.append(subject["commonName"])
                channel.sendall(b"!")
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with closing(near), outside.wrap_socket(near, server_hostname=name) as channel:
            assert channel.recv(1) == b"!"
    finally:
        thread.join(10)
    return seen[0]


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Make one authority for all."""
    return Authority()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_server_and_client_certificates_meet(tmp_path: Path, authority: Authority, name: str) -> None:
    """A server on loopback and a client with its own name agree, by name and by address."""
    server, client = authority.issue_server(tmp_path, "broker"), authority.issue_client(tmp_path, "hub-1")
    assert shake_hands(server, client, authority, name) == "hub-1"


def test_certificates_are_good_for_one_side_only(tmp_path: Path, authority: Authority) -> None:
    """A hub's certificate does not make a server, a server's does not make a hub, and none does nothing."""
    server, client = authority.issue_server(tmp_path, "broker"), authority.issue_client(tmp_path, "hub-1")
    for inside, outside in ((client, client), (server, server), (server, None)):
        with pytest.raises((OSError, AssertionError)):
            shake_hands(inside, outside, authority)


def test_another_authority_and_another_name_are_not_believed(tmp_path: Path, authority: Authority) -> None:
    """Whoever is not signed by this authority, or is somewhere else, is nobody."""
    client = authority.issue_client(tmp_path, "hub-1")
    with pytest.raises(OSError, match="CERTIFICATE"):
        shake_hands(Authority().issue_server(tmp_path, "imposter"), client, authority)
    with pytest.raises(OSError, match="CERTIFICATE"):
        shake_hands(authority.issue_server(tmp_path, "broker"), client, authority, "example.com")


def test_keys_are_for_their_owner_only(tmp_path: Path, authority: Authority) -> None:
    """No other user of the machine can read a private key."""
    _, key = authority.issue_client(tmp_path / "new", "hub-1")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
