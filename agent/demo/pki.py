"""The demo's certificate authority: one root, server certificates for the broker and the central server."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=2)
LOOPBACK = "127.0.0.1"


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key as PEM that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class Authority:
    """A certificate authority with its key in memory, for servers at `address`; valid two days from `began_ago` on."""

    def __init__(self, began_ago: timedelta = timedelta(hours=1), *, address: str = LOOPBACK) -> None:
        self._began_ago, self.address = began_ago, address
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        name = _name("Transom demo device CA")
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - self._began_ago)
            .not_valid_after(now - self._began_ago + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The root certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, folder: Path, common_name: str, usage: x509.ObjectIdentifier) -> tuple[Path, Path]:
        """Issue a certificate for `common_name` at the address; return the paths of certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(self.address))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - self._began_ago)
            .not_valid_after(now - self._began_ago + LIFETIME)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate_path, key_path = folder / f"{common_name}.crt", folder / f"{common_name}.key"
        certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        write_key(key_path, key)
        return certificate_path, key_path

    def issue_server(self, folder: Path, common_name: str) -> tuple[Path, Path]:
        """Issue a certificate for a TLS server at the address."""
        return self.issue(folder, common_name, ExtendedKeyUsageOID.SERVER_AUTH)

    def issue_client(self, folder: Path, common_name: str) -> tuple[Path, Path]:
        """Issue a certificate for a TLS client."""
        return self.issue(folder, common_name, ExtendedKeyUsageOID.CLIENT_AUTH)
