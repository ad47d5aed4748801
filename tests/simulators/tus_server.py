"""A small store on a real TLS socket: tus 1.0 core, creation and checksum, receipts, and how stores fail."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Fault(Enum):
    """What the store does wrong; each one is used up by the request it is meant for."""

    DROP_IN_PATCH = auto()  # keeps half of the body, then drops the connection
    DROP_ANSWER = auto()  # keeps the body, then drops the connection
    ERROR_500 = auto()
    LYING_OFFSET = auto()  # an answer claims more bytes than the part has
    REDIRECT = auto()
    EARLY_200 = auto()  # answers PATCH before reading its body, and keeps nothing
    SLOW = auto()  # never answers
    BAD_CHECKSUM = auto()  # says that the bytes were damaged on the way
    HUGE_ANSWER = auto()
    NO_TUS = auto()


@dataclass
class TusStore:
    """What the server keeps; tests look at it."""

    token: str = "token-1"  # noqa: S105 - for a simulator
    has_checksums: bool = True
    faults: deque[Fault] = field(default_factory=deque)
    uploads: list[bytearray] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)  # `Upload-Metadata` of each upload
    receipts: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # methods in order
    received: int = 0  # body bytes of all PATCH requests
    checksums_verified: int = 0
    ended: list[int] = field(default_factory=list)  # numbers of the uploads that were terminated
    ends_uploads: bool = True
    no_receipt: int = 404  # the status of an answer without a receipt
    stalls_at: int | None = None  # PATCH requests from this offset on are never answered
    stalled: threading.Event = field(default_factory=threading.Event)  # set when one is not
    release: threading.Event = field(default_factory=threading.Event)  # lets go of all requests that wait

    def fault(self, *kinds: Fault) -> Fault | None:
        """Use up the next fault if it is one of `kinds`."""
        return self.faults.popleft() if self.faults and self.faults[0] in kinds else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # of a connection on which nothing comes: nobody may be left to close it
    store: ClassVar[TusStore]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Tus-Resumable", "1.0.0")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_refused(self) -> bool:
        """Answer what every request may meet; True if that was the answer."""
        store = self.store
        store.seen.append(self.command)
        if self.headers.get("Authorization") != f"Bearer {store.token}":
            self.answer(401)
        elif store.fault(Fault.ERROR_500):
            self.answer(500)
        elif store.fault(Fault.REDIRECT):
            self.answer(307, Location="https://127.0.0.1:1/elsewhere")
        elif store.fault(Fault.HUGE_ANSWER):
            self.answer(200, bytes(1024 * 1024))
        elif store.fault(Fault.SLOW):
            store.release.wait(20)
            self.close_connection = True
        else:
            return False
        return True

    def do_OPTIONS(self) -> None:
        if not self.is_refused():
            sums = {"Tus_Checksum_Algorithm": "sha1,sha256"} if self.store.has_checksums else {}
            offered = "creation,checksum" + (",termination" if self.store.ends_uploads else "")
            self.answer(204, Tus_Version="1.0.0", Tus_Extension=offered, **sums)

    def do_POST(self) -> None:
        if self.is_refused():
            return
        self.store.uploads.append(bytearray())
        self.store.lengths.append(int(self.headers["Upload-Length"]))
        self.store.metadata.append(self.headers.get("Upload-Metadata", ""))
        self.answer(201, Location=f"/files/{len(self.store.uploads) - 1}")

    def do_HEAD(self) -> None:
        if self.is_refused() or (number := self.number()) is None:
            return
        self.answer(200, Upload_Offset=self.offset(number), Upload_Length=str(self.store.lengths[number]))

    def do_PATCH(self) -> None:
        if self.store.fault(Fault.EARLY_200):
            self.store.seen.append("PATCH")
            self.close_connection = True
            self.answer(200, Upload_Offset="0", Connection="close")
            return
        if self.is_refused() or (number := self.number()) is None:
            return
        upload, length = self.store.uploads[number], int(self.headers["Content-Length"])
        if self.store.stalls_at is not None and len(upload) >= self.store.stalls_at:
            self.store.stalled.set()
            self.store.release.wait(20)
            self.close_connection = True
            return
        if self.headers["Upload-Offset"] != str(len(upload)):
            self.rfile.read(length)
            self.answer(409)
            return
        is_dropped = self.store.fault(Fault.DROP_IN_PATCH) is not None
        body = self.rfile.read(length // 2 if is_dropped else length)
        self.store.received += len(body)
        if self.is_damaged(body) and not is_dropped:
            self.answer(460)
            return
        upload += body
        if is_dropped or self.store.fault(Fault.DROP_ANSWER):
            self.close_connection = True
            return
        self.answer(204, Upload_Offset=self.offset(number))

    def offset(self, number: int) -> str:
        is_lie = self.store.fault(Fault.LYING_OFFSET)
        return str(self.store.lengths[number] + 1 if is_lie else len(self.store.uploads[number]))

    def do_DELETE(self) -> None:
        if self.is_refused() or (number := self.number()) is None:
            return
        self.store.ended.append(number)
        self.answer(204)

    def is_damaged(self, body: bytes) -> bool:
        stated = self.headers.get("Upload-Checksum")
        if stated is None:
            return False
        actual = "sha256 " + base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.store.checksums_verified += stated == actual
        return stated != actual or self.store.fault(Fault.BAD_CHECKSUM) is not None

    def do_GET(self) -> None:
        if not self.is_refused():
            receipt = self.store.receipts.get(self.path.removeprefix("/receipts/"))
            self.answer(200 if receipt else self.store.no_receipt, receipt or b"")

    def number(self) -> int | None:
        """Read which upload is meant; answers 404 and returns None if there is none."""
        name = self.path.removeprefix("/files/")
        if name.isdigit() and int(name) < len(self.store.uploads) and int(name) not in self.store.ended:
            return int(name)
        self.answer(404)
        return None


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
        super().process_request(request, client_address)  # type: ignore[arg-type]  # an address is what it is

    def hang_up(self) -> None:
        """End every connection."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: broken connections are what this server is for."""


@contextmanager
def tus_server(folder: Path, *, tls: ssl.TLSVersion | None = None) -> Iterator[tuple[TusStore, str, str]]:
    """Run a store on 127.0.0.1; give the store, its URL `https://127.0.0.1:PORT` and its authority's PEM."""
    store = TusStore()
    with served(Server(type("Handler", (_Handler,), {"store": store})), folder, tls, store.release) as (url, pem):
        yield store, url, pem


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
