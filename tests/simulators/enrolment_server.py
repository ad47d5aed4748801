"""A small operator for tests: a factory list, claim codes, an authority, enrolment and renewal over TLS 1.3."""

from __future__ import annotations

import datetime as dt
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from provisioning.claim import CLAIM_LIFETIME_S, Claim
from provisioning.enrolment import REQUEST_BYTES_MAX, Broker, RenewalServer
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.issuing import HubAuthority
from provisioning.keys import key_pem, make_key, pin
from provisioning.registrar import (
    AcceptedHub,
    accept_enrolment,
    read_request,
    request_code,
    write_answer,
)
from provisioning.reissue import HubKeys, accept_confirmation, accept_renewal, read_confirmation, read_renewal


def make_authority(name: str = "Hub CA", *, is_authority: bool = True) -> HubAuthority:
    """Make a self-signed certificate: an authority's, or a TLS server's."""
    key, now = make_key(), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return HubAuthority(key, certificate)


def pem(certificate: x509.Certificate) -> str:
    """Write a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class EnrolmentServer:
    """The operator's server; use as a context manager."""

    def __init__(self, folder: Path, *, tls_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.authority = make_authority()
        self.records: dict[str, FactoryRecord] = {}
        self.accepted: list[AcceptedHub] = []
        self.bodies: list[bytes] = []
        self.answer_instead: bytes | None = None
        """Answer this with 200 instead of the truth."""
        self.status_instead: int | None = None
        self.gate: threading.Event | None = None
        """Wait for this before answering."""
        self.keys: dict[str, HubKeys] = {}
        self.renewals = self.confirmations = self.ahead_s = 0
        self._renewing = threading.Lock()
        self._codes: dict[bytes, str] = {}
        self.tls = tls = make_authority("localhost", is_authority=False)
        self.pin = pin(tls.key.public_key())
        chain = folder / "enrolment-server.pem"
        chain.write_bytes(key_pem(tls.key) + pem(tls.certificate).encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = tls_version
        context.load_cert_chain(chain)
        self._http = _TlsServer(context, self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._http.server_address[1])

    def new_claim(self, hub_id: str, *, now_s: int | None = None) -> Claim:
        """Do what a logged-in installer asks for: a code for this hub, good once, for 15 minutes."""
        code = secrets.token_bytes(16)
        self._codes[code] = hub_id
        return Claim("127.0.0.1", self.port, code, self.pin, (now_s or int(time.time())) + CLAIM_LIFETIME_S)

    def enrol(self, body: bytes) -> bytes:
        """Decide on one request. Raises BadInputError for a no."""
        self.bodies.append(body)
        request = read_request(body)
        is_code_valid = self._codes.pop(request_code(request), None) == request.hub_id
        now_s = int(time.time())
        accepted = accept_enrolment(
            request,
            self.records.get(request.hub_id),
            is_code_valid=is_code_valid,
            server_pin=self.pin,
            authority=self.authority,
            now_s=now_s,
        )
        self.accepted.append(accepted)
        self.keys[accepted.hub_id] = HubKeys(accepted.key_pin)
        renewal = RenewalServer("localhost", self.port, pem(self.tls.certificate)) if request.version > 1 else None
        return write_answer(accepted, now_s=now_s, renewal=renewal, **self.place())

    def decide(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Return status and answer. Raises BadInputError for a no."""
        now_s = int(time.time()) + self.ahead_s
        if path == "/enrol":
            return 200, self.enrol(body)
        with self._renewing:
            if path == "/renew":
                asked = read_renewal(body)
                record, keys = self.records.get(asked.hub_id), self.keys.get(asked.hub_id)
                answer, self.keys[asked.hub_id] = accept_renewal(
                    asked, record, keys, authority=self.authority, now_s=now_s
                )
                self.renewals += 1
                return 200, answer
            if path == "/renewed":
                told = read_confirmation(body)
                keys = self.keys.get(told.hub_id)
                self.keys[told.hub_id] = accept_confirmation(told, keys, authority=self.authority, now_s=now_s)
                self.confirmations += 1
                return 204, b""
        return 404, b""

    def place(self) -> dict[str, Any]:
        """Say where an enrolled hub belongs."""
        return {
            "broker": Broker("broker.example", 8883, pem(self.authority.certificate)),
            "trust_bundle": "header.claims.signature",
            "trust_roots": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],
            "pairing_epoch": 1,
            "site": "Bakery, Main St 4",
        }


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, context: ssl.SSLContext, operator: EnrolmentServer) -> None:
        self.context, self.operator = context, operator
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the parent has it
        try:
            with self.context.wrap_socket(request, server_side=True) as tls:
                super().finish_request(tls, client_address)
        except OSError:  # the hub hung up, as it should when it does not like our key
            return


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        operator: EnrolmentServer = self.server.operator  # type: ignore[attr-defined] # our own server class
        body = self.rfile.read(min(int(self.headers["Content-Length"]), REQUEST_BYTES_MAX + 1))
        status, answer = 200, b""
        try:
            status, answer = operator.decide(self.path, body)
        except BadInputError:
            status = 403
        if operator.gate is not None:
            operator.gate.wait(10)
        self.send_response(operator.status_instead or status)
        answer = operator.answer_instead if operator.answer_instead is not None else answer
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay silent."""
