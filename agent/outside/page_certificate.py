"""The certificate of the owner's page: self-signed, and the same after every start.

Key and certificate follow from the hub's key-encryption key, so that nothing more has to be kept, sealed or restored,
and so that neither is ever a file. Who resets the hub makes a new one. Nobody's authority signs it: the owner
compares its fingerprint with what `transom owner` says on the hub.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.crypto import Secret, hkdf_sha256, sha256_hex

_PURPOSE: Final = b"transom owner's page v1"
_SCALAR_BYTES: Final = 48
"""128 bits more than the group's order has, so that the remainder is as good as uniform (FIPS 186-5, A.2.1)."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_BEGIN: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_END: Final = dt.datetime(2056, 1, 1, tzinfo=dt.UTC)  # a hub has no clock that is right at its first start
_NAME: Final = "Transom hub"  # and not which one: whoever is not logged in learns no more


def page_key(key_encryption_key: Secret) -> ec.EllipticCurvePrivateKey:
    """Derive the page's P-256 key."""
    octets = hkdf_sha256(key_encryption_key, info=_PURPOSE, length=_SCALAR_BYTES).reveal()
    return ec.derive_private_key(int.from_bytes(octets) % (_ORDER - 1) + 1, ec.SECP256R1())


def page_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Make its certificate: the same bytes for the same key (RFC 6979)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    public = key.public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return (
        x509.CertificateBuilder(name, name, public, int(sha256_hex(point)[:30], 16) + 1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("transom.invalid")]), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Write its SHA-256 fingerprint as browsers show it: pairs of upper-case hex digits with colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def page_tls(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> ssl.SSLContext:
    """Make the server's side of TLS: 1.2 at least, since some phones in shops are old."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    # The ssl module reads files only; this one is in memory and has no name.
    descriptor = os.memfd_create("page", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
