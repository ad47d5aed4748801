"""P-256 keys and certificates: made, written, read, and named by the hash of their public half."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from provisioning.errors import BadInputError, ConfigurationError

CHAIN_CERTIFICATES_MAX: Final = 5
PEM_BYTES_MAX: Final = 64 * 1024


def make_key() -> ec.EllipticCurvePrivateKey:
    """Make a new P-256 key: TPMs, secure elements and every agency's PKI know it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as unencrypted PKCS#8 PEM; the file that takes it is 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read what `key_pem` wrote. Raises ConfigurationError: it is the hub's own file."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError("the stored key is not a P-256 key", cure="reset the hub and enrol it again")
    return key


def public_der(key: CertificatePublicKeyTypes) -> bytes:
    """Write a public key as SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(der: bytes) -> ec.EllipticCurvePublicKey:
    """Read a P-256 SubjectPublicKeyInfo. Raises BadInputError."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInputError("not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInputError("not a P-256 public key")
    return key


def pin(key: CertificatePublicKeyTypes) -> bytes:
    """Return SHA-256 of the key's SubjectPublicKeyInfo: how a key is named before there is a certificate."""
    return hashlib.sha256(public_der(key)).digest()


def certificate_pin(der: bytes) -> bytes:
    """Return the pin of a certificate's key. Raises BadInputError."""
    try:
        return pin(x509.load_der_x509_certificate(der).public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInputError("the server's certificate cannot be read") from error


def make_csr(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """Make a certificate signing request (PKCS#10, DER) with `name` as its common name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def read_chain(pem: str) -> list[x509.Certificate]:
    """Read a PEM chain, leaf first, 1 to 5 certificates. Raises BadInputError."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode()) if len(pem) <= PEM_BYTES_MAX else []
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInputError("not a certificate chain in PEM") from error
    if not 1 <= len(chain) <= CHAIN_CERTIFICATES_MAX:
        raise BadInputError(f"a certificate chain must have 1 to {CHAIN_CERTIFICATES_MAX} certificates")
    return chain


def common_name(subject: x509.Name) -> str:
    """Return the only common name of a subject that has nothing else, or an empty text."""
    attributes = list(subject)
    if len(attributes) != 1 or attributes[0].oid != NameOID.COMMON_NAME:
        return ""
    return str(attributes[0].value)
