"""A time stamping authority on loopback: `openssl ts` behind an HTTP server, with bad manners on request."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIG = """\
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = yes
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass
class TimeAuthority:
    """The authority; `manners` is what it does instead of answering: `refuse`, `other`, `junk`, `long`, `redirect`."""

    folder: Path
    manners: str = ""
    requests: list[bytes] = field(default_factory=list)
    url: str = ""

    @property
    def root_pem(self) -> bytes:
        """The certificate that a reader trusts."""
        return (self.folder / "root.pem").read_bytes()

    def answer(self, request: bytes) -> bytes:
        """Stamp a request by openssl; another authority's or time's answer is that of an older request."""
        self.requests.append(request)
        (self.folder / "request.tsq").write_bytes(self.requests[0] if self.manners == "other" else request)
        place = ["-config", "config", "-queryfile", "request.tsq", "-out", "response.tsr"]
        subprocess.run(["openssl", "ts", "-reply", *place], cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "response.tsr").read_bytes()


def _make_keys(folder: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "signer")}
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "time root")])
    for name, key in keys.items():
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"time {name}")])
        builder = x509.CertificateBuilder(root_name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=30))
        is_root = name == "root"
        builder = builder.add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = keys["root"].public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        if not is_root:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        certificate = builder.sign(keys["root"], hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(pem)


def make_authority(folder: Path) -> TimeAuthority:
    """Make an authority with new keys, to be asked by hand."""
    folder.mkdir(parents=True)
    _make_keys(folder)
    (folder / "config").write_text(_CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    return TimeAuthority(folder)


@contextmanager
def time_authority(folder: Path) -> Iterator[TimeAuthority]:
    """Run one on a free port."""
    authority = make_authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            media, status = "application/timestamp-reply", 200
            content = authority.answer(request) if authority.manners in {"", "other"} else b"junk"
            if authority.manners == "refuse":
                status = 503
            elif authority.manners == "long":
                content = b"x" * 1_000_000
            elif authority.manners == "redirect":
                status = 302
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_port}/tsr"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
