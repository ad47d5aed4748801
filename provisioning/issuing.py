"""The operator's certificate authority for hubs: what a hub's certificate says, and for how long.

Rules of this file: nothing of a request but its key gets into a certificate; whether a hub may have one is decided by
`registrar` (the first) and `reissue` (each further one).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.errors import BadInputError
from provisioning.keys import common_name

CERTIFICATE_LIFETIME: Final = dt.timedelta(days=90)
CLOCK_SKEW: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class HubAuthority:
    """The operator's certificate authority for hubs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    lifetime: dt.timedelta = CERTIFICATE_LIFETIME
    """Of the hubs' certificates."""


def issue_chain(key: ec.EllipticCurvePublicKey, hub_id: str, authority: HubAuthority, now_s: int) -> str:
    """Issue a hub's certificate; return its chain as PEM, leaf first."""
    chain = [_issue(key, hub_id, authority, now_s), authority.certificate]
    return "".join(certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in chain)


def checked_csr(der: bytes, hub_id: str) -> ec.EllipticCurvePublicKey:
    """Read a request (PKCS#10, DER) that a hub signed for itself; return its P-256 key. Raises BadInputError."""
    try:
        csr = x509.load_der_x509_csr(der)
        is_signed, name, key = csr.is_signature_valid, common_name(csr.subject), csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInputError("not a certificate signing request") from error
    if not is_signed or name != hub_id:
        raise BadInputError("the signing request is not this hub's own")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInputError("the signing request is not for a P-256 key")
    return key


def _issue(key: ec.EllipticCurvePublicKey, hub_id: str, authority: HubAuthority, now_s: int) -> x509.Certificate:
    now = dt.datetime.fromtimestamp(now_s, dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hub_id)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - min(CLOCK_SKEW, authority.lifetime / 20))
        .not_valid_after(now + authority.lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:hub:{hub_id}")]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())
