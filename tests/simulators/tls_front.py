"""TLS in front of a plain server, such as a camera's, with a certificate that can change between two connections."""

from __future__ import annotations

import contextlib
import datetime as dt
import select
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.simulators.threaded_server import ThreadedServer


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate: a file of key and certificate, and the latter's DER bytes."""

    path: Path
    der: bytes

    @classmethod
    def made(cls, folder: Path, *, rsa_bits: int = 0) -> Certificate:
        """Make one as cameras do: long since expired, for a name that means nothing."""
        key = rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "IPCamera")])
        begin = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + dt.timedelta(days=365))
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / f"{certificate.serial_number:x}.pem"
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return cls(path, certificate.public_bytes(serialization.Encoding.DER))


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Make the server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(certificate.path)
    return context


class TlsFront(ThreadedServer):
    """Takes TLS connections and hands their bytes to the plain server on `port`; a context manager.

    While `is_stuck`, it takes connections and never answers their handshake.
    """

    def __init__(self, port: int, certificate: Certificate) -> None:
        super().__init__()
        self.certificate = certificate
        self.is_stuck = False
        self.refused = 0  # connections that ended before a byte came
        self._target = port

    @property
    def url(self) -> str:
        """A camera's stream."""
        return f"rtsps://127.0.0.1:{self.port}/stream"

    def serve(self, client: socket.socket) -> None:
        """Carry one connection to the plain server, in the clear from here on."""
        heard = 0
        with client, contextlib.suppress(OSError):
            if self.is_stuck:
                self.stopped.wait()
                return
            client.settimeout(5)
            with (
                server_context(self.certificate).wrap_socket(client, server_side=True) as near,
                socket.create_connection(("127.0.0.1", self._target)) as far,
            ):
                heard = self._relay(near, far)
        self.refused += not heard

    def _relay(self, near: ssl.SSLSocket, far: socket.socket) -> int:
        heard = 0
        while not self.stopped.is_set():
            readable, _, _ = select.select([near, far], [], [], 0.05)
            if near in readable or near.pending():
                octets = near.recv(65536)
                if not octets:
                    return heard
                heard += len(octets)
                far.sendall(octets)
            if far in readable:
                octets = far.recv(65536)
                if not octets:
                    return heard
                near.sendall(octets)
        return heard
