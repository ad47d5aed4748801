"""The two messages of enrolment: the hub asks by its claim and factory key, the server answers with a place to be.

Rules of this file: messages in, messages out, no socket; the answer is checked before any of it is kept, and nothing
in it can change who the hub is. Specified in FORMAT.md, section 3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.claim import Claim
from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity
from provisioning.keys import common_name, make_csr, make_key, pin, public_der, read_chain

REQUEST_BYTES_MAX: Final = 16 * 1024
ANSWER_BYTES_MAX: Final = 256 * 1024
SIGNATURE_LABEL: Final = b"transom/enrol/v1"
EVIDENCE_KEY_BYTES: Final = 32
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")

Base64 = Annotated[str, msgspec.Meta(max_length=8 * 1024)]


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the hub posts to `/enrol`; every binary member is standard base64 with padding."""

    hub_id: Annotated[str, msgspec.Meta(max_length=26)]
    code: Base64
    csr: Base64
    """PKCS#10 in DER, for the hub's new mTLS key, common name = hub id."""
    factory_key: Base64
    """SubjectPublicKeyInfo of the factory key."""
    evidence_key: Base64
    """Raw Ed25519 public key that will sign this hub's manifests and audit checkpoints."""
    signature: Base64
    """By the factory key, ECDSA-SHA256 in DER, over `signed_bytes`."""
    version: Literal[1, 2] = 1
    """2: the hub reads an answer that says where to renew."""


class RenewalServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where certificates are renewed."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    anchors_pem: Annotated[str, msgspec.Meta(max_length=64 * 1024)]
    """The only certificates that may vouch for the server's TLS key."""


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where commands come from."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    anchors_pem: Annotated[str, msgspec.Meta(max_length=64 * 1024)]
    """The only certificates that may vouch for the broker's TLS key."""


class EnrolmentAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the server answers."""

    certificate_chain_pem: Annotated[str, msgspec.Meta(max_length=64 * 1024)]
    """Leaf first."""
    broker: Broker
    trust_bundle: Annotated[str, msgspec.Meta(min_length=1, max_length=128 * 1024)]
    """The agency's signed trust bundle; provisioning does not look inside."""
    trust_roots: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=16)]
    """Public JWKs that may sign trust bundles from now on."""
    pairing_epoch: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    site: Annotated[str, msgspec.Meta(max_length=200)]
    server_time: Annotated[str, msgspec.Meta(max_length=40)]
    """RFC 3339 in UTC."""
    renewal: RenewalServer | None = None
    """Only for a request of version 2; without it the certificate cannot be renewed."""


@dataclass(frozen=True, slots=True)
class EnrolmentAttempt:
    """One try: the request to post, and the new private key that waits for its certificate."""

    hub_id: str
    request: bytes
    mtls_key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An enrolled hub's place in the world; holds no secret."""

    hub_id: str
    certificate_chain_pem: str
    broker: Broker
    trust_bundle: str
    trust_roots: tuple[dict[str, Any], ...]
    pairing_epoch: int
    site: str
    server_time: str
    renewal: RenewalServer | None = None


def start_enrolment(identity: FactoryIdentity, claim: Claim, evidence_key: bytes) -> EnrolmentAttempt:
    """Make a new mTLS key and the request for its certificate, bound to this claim and to the server it pins."""
    key = make_key()
    csr = make_csr(key, identity.hub_id)
    signed = signed_bytes(claim.code, csr, evidence_key, claim.server_pin)
    request = EnrolmentRequest(
        hub_id=identity.hub_id,
        code=to_base64(claim.code),
        csr=to_base64(csr),
        factory_key=to_base64(public_der(identity.key.public_key())),
        evidence_key=to_base64(evidence_key),
        signature=to_base64(identity.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        version=2,
    )
    return EnrolmentAttempt(identity.hub_id, msgspec.json.encode(request), key)


def finish_enrolment(attempt: EnrolmentAttempt, answer: bytes) -> Enrolment:
    """Check the server's answer. Raises BadInputError if anything in it is not for this hub and this key."""
    message = read_answer(answer)
    # 1. The certificate is for the key and the name that were asked for; the broker will accept its chain.
    checked_chain(message.certificate_chain_pem, attempt.mtls_key, attempt.hub_id)
    # 2. The broker and who renews can be verified, and the time can be read.
    read_chain(message.broker.anchors_pem)
    if message.renewal is not None:
        read_chain(message.renewal.anchors_pem)
    if _TIME.fullmatch(message.server_time) is None:
        raise BadInputError("the server's time is not RFC 3339 in UTC")
    return Enrolment(
        hub_id=attempt.hub_id,
        certificate_chain_pem=message.certificate_chain_pem,
        broker=message.broker,
        trust_bundle=message.trust_bundle,
        trust_roots=tuple(message.trust_roots),
        pairing_epoch=message.pairing_epoch,
        site=message.site,
        server_time=message.server_time,
        renewal=message.renewal,
    )


def checked_chain(chain_pem: str, key: ec.EllipticCurvePrivateKey, hub_id: str) -> list[x509.Certificate]:
    """Read a chain, leaf first, for `key` and `hub_id`, each certificate signed by the next. Raises BadInputError."""
    chain = read_chain(chain_pem)
    try:
        leaf_pin, leaf_name = pin(chain[0].public_key()), common_name(chain[0].subject)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInputError("the certificate in the answer cannot be read") from error
    if leaf_pin != pin(key.public_key()) or leaf_name != hub_id:
        raise BadInputError("the certificate in the answer is for another hub", cure="tell the operator")
    for certificate, issuer in itertools.pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise BadInputError("the certificate chain in the answer does not hold together") from error
    return chain


def read_answer(answer: bytes) -> EnrolmentAnswer:
    """Parse an answer strictly. Raises BadInputError."""
    if len(answer) > ANSWER_BYTES_MAX:
        raise BadInputError(f"an enrolment answer of more than {ANSWER_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(answer, type=EnrolmentAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("the enrolment answer is not what it must be", cure="tell the operator") from error


def signed_bytes(code: bytes, csr: bytes, evidence_key: bytes, server_pin: bytes) -> bytes:
    """Return what the factory key signs; every member has one fixed length (16, 32, 32, 32 bytes)."""
    return SIGNATURE_LABEL + b"\0" + code + hashlib.sha256(csr).digest() + evidence_key + server_pin


def to_base64(content: bytes) -> str:
    """Write standard base64."""
    return base64.b64encode(content).decode()


def from_base64(text: str, what: str) -> bytes:
    """Read standard base64 strictly. Raises BadInputError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInputError(f"{what} is not base64") from error
