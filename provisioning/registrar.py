"""The server's half of enrolment: is this the hub that was sold, and did it get a claim? Then it gets a certificate.

Rules of this file: no socket, no storage; whoever calls looks up the record and strikes the one-use code off *before*
asking here, so that a code is spent by the first use, good or bad.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.claim import CODE_BYTES
from provisioning.enrolment import (
    EVIDENCE_KEY_BYTES,
    REQUEST_BYTES_MAX,
    Broker,
    EnrolmentAnswer,
    EnrolmentRequest,
    from_base64,
    signed_bytes,
)
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.hub_id import checked_hub_id
from provisioning.keys import common_name, pin, read_public

CERTIFICATE_LIFETIME: Final = dt.timedelta(days=90)
CLOCK_SKEW: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class HubAuthority:
    """The operator's certificate authority for hubs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class AcceptedHub:
    """What the server keeps about a hub that it has just enrolled."""

    hub_id: str
    certificate_chain_pem: str
    evidence_key: bytes
    """Raw Ed25519 public key."""


def read_request(body: bytes) -> EnrolmentRequest:
    """Parse a request, so that its record and its code can be looked up. Raises BadInputError."""
    if len(body) > REQUEST_BYTES_MAX:
        raise BadInputError(f"an enrolment request of more than {REQUEST_BYTES_MAX} bytes")
    try:
        request = msgspec.json.decode(body, type=EnrolmentRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("not an enrolment request") from error
    checked_hub_id(request.hub_id)
    return request


def request_code(request: EnrolmentRequest) -> bytes:
    """Return the request's one-use code (16 bytes). Raises BadInputError."""
    code = from_base64(request.code, "the claim code")
    if len(code) != CODE_BYTES:
        raise BadInputError("a claim code of another length")
    return code


def accept_enrolment(
    request: EnrolmentRequest,
    record: FactoryRecord | None,
    *,
    is_code_valid: bool,
    server_pin: bytes,
    authority: HubAuthority,
    now_s: int,
) -> AcceptedHub:
    """Decide on one request and issue the hub's certificate for 90 days. Raises BadInputError for a no.

    `record` is the operator's line for `request.hub_id` (None if there is none); `is_code_valid` says that the code was
    issued for this hub, has not expired and has now been struck off; `server_pin` names this server's own TLS key.
    """
    # 1. The code came from a logged-in installer, for this hub, and is spent now.
    if not is_code_valid:
        raise BadInputError("the claim code is not good", cure="make a new one in the installer's app")
    # 2. The factory key is the one the operator's list names.
    factory_key = read_public(from_base64(request.factory_key, "the factory key"))
    if record is None or record.hub_id != request.hub_id or pin(factory_key) != record.key_pin:
        raise BadInputError("this is not the hub with that id", cure="a copied label? tell the operator")
    # 3. The hub holds that key, and meant this code, this new key and this server.
    csr = from_base64(request.csr, "the signing request")
    evidence_key = from_base64(request.evidence_key, "the evidence key")
    if len(evidence_key) != EVIDENCE_KEY_BYTES:
        raise BadInputError("an evidence key is 32 bytes of Ed25519")
    signed = signed_bytes(request_code(request), csr, evidence_key, server_pin)
    try:
        factory_key.verify(from_base64(request.signature, "the signature"), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise BadInputError("the factory key did not sign this request") from error
    # 4. The hub holds the new key too, and asks for no other name than its own.
    leaf = _issue(_checked_csr(csr, request.hub_id), request.hub_id, authority, now_s)
    chain = [leaf, authority.certificate]
    pem = "".join(certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in chain)
    return AcceptedHub(request.hub_id, pem, evidence_key)


def write_answer(
    accepted: AcceptedHub,
    *,
    broker: Broker,
    trust_bundle: str,
    trust_roots: list[dict[str, Any]],
    pairing_epoch: int,
    site: str,
    now_s: int,
) -> bytes:
    """Write the answer to the hub."""
    moment = dt.datetime.fromtimestamp(now_s, dt.UTC)
    answer = EnrolmentAnswer(
        certificate_chain_pem=accepted.certificate_chain_pem,
        broker=broker,
        trust_bundle=trust_bundle,
        trust_roots=trust_roots,
        pairing_epoch=pairing_epoch,
        site=site,
        server_time=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return msgspec.json.encode(answer)


def _checked_csr(der: bytes, hub_id: str) -> ec.EllipticCurvePublicKey:
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
    # Nothing of the request but its key gets into the certificate: name, usage and lifetime are the authority's.
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hub_id)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:hub:{hub_id}")]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())
