"""What the simulated stores have in common: HTTP/1.1 over TLS on loopback, with a certificate by a new authority."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class StoreRequest(BaseHTTPRequestHandler):
    """One request; `always` are headers of every answer."""

    protocol_version = "HTTP/1.1"
    timeout = 5  # of a connection on which nothing comes: nobody may be left to close it
    always: ClassVar[tuple[tuple[str, str], ...]] = ()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer; in a header's name, an underscore stands for a hyphen."""
        self.send_response(status)
        for name, value in (*self.always, *headers.items()):
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Serves on loopback until its owner hangs up."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._connections: list[socket.socket] = []

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Remember the connection, so that one which nobody closes does not hold up the end."""
        if isinstance(request, socket.socket):
            self._connections.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End every connection."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: broken connections are what this server is for."""


@contextmanager
def served(
    server: Server, folder: Path, tls: ssl.TLSVersion | None, release: threading.Event
) -> Iterator[tuple[str, str]]:
    """Serve over TLS, at most of version `tls`; give URL and authority's PEM. `release` is set before the end."""
    authority_pem, chain = certificate_of(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    if tls is not None:
        context.maximum_version = tls
    # the handshake belongs to the connection's own thread, not to the one that accepts
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", authority_pem
    finally:
        release.set()
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


def certificate_of(folder: Path) -> tuple[str, Path]:
    """Make an authority and a server certificate by it; return the authority's PEM and the file with key and chain."""
    now = datetime.now(UTC)
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def builder(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    authority = (
        builder(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test store")])
    server = (
        builder(server_name, server_key.public_key())
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = folder / "store.pem"
    chain.write_bytes(private + server.public_bytes(serialization.Encoding.PEM))
    return authority.public_bytes(serialization.Encoding.PEM).decode(), chain
