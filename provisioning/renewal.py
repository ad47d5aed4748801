"""The messages of a renewal: the hub asks by its certificate and its factory key for one that lasts longer.

Rules of this file: messages in, messages out, no socket; the answer is checked before any of it is kept, and nothing
in it can change who the hub is or whom it talks to. Specified in FORMAT.md, section 6.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.enrolment import Base64, checked_chain, to_base64
from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity
from provisioning.keys import make_csr, public_der

ANSWER_BYTES_MAX: Final = 64 * 1024
AHEAD_S_MAX: Final = 24 * 3600
"""How far ahead of the hub's clock a new certificate may begin."""
ASK_LABEL: Final = b"transom/renew/v1"
CONFIRM_LABEL: Final = b"transom/renewed/v1"


class RenewalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub posts to `/renew`; every binary member is standard base64 with padding."""

    hub_id: Annotated[str, msgspec.Meta(max_length=26)]
    csr: Base64
    """PKCS#10 in DER, for the hub's next mTLS key, common name = hub id."""
    certificate: Base64
    """The present certificate, in DER."""
    factory_key: Base64
    """SubjectPublicKeyInfo of the factory key."""
    signature: Base64
    """By the present certificate's key, ECDSA-SHA256 in DER, over `asking_bytes`."""
    factory_signature: Base64
    """The same by the factory key."""


class RenewalAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server answers."""

    certificate_chain_pem: Annotated[str, msgspec.Meta(max_length=ANSWER_BYTES_MAX)]
    """Leaf first."""


class RenewalConfirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub posts to `/renewed` once its new certificate has worked; binary members as above."""

    hub_id: Annotated[str, msgspec.Meta(max_length=26)]
    certificate: Base64
    """The new one, in DER."""
    signature: Base64
    """By its key, ECDSA-SHA256 in DER, over `confirming_bytes`."""


@dataclass(frozen=True, slots=True)
class RenewalAttempt:
    """One try: the request to post, and what its answer is held against."""

    hub_id: str
    request: bytes
    next_key: ec.EllipticCurvePrivateKey
    present: x509.Certificate


def start_renewal(
    identity: FactoryIdentity,
    present_key: ec.EllipticCurvePrivateKey,
    present: x509.Certificate,
    next_key: ec.EllipticCurvePrivateKey,
) -> RenewalAttempt:
    """Write the request for a certificate of `next_key`; the same key may ask again."""
    csr, certificate = make_csr(next_key, identity.hub_id), _der(present)
    signed = asking_bytes(csr, certificate)
    request = RenewalRequest(
        hub_id=identity.hub_id,
        csr=to_base64(csr),
        certificate=to_base64(certificate),
        factory_key=to_base64(public_der(identity.key.public_key())),
        signature=_signed(present_key, signed),
        factory_signature=_signed(identity.key, signed),
    )
    return RenewalAttempt(identity.hub_id, msgspec.json.encode(request), next_key, present)


def finish_renewal(attempt: RenewalAttempt, answer: bytes, now_s: int | None) -> str:
    """Check the server's answer; return the chain (PEM, leaf first). Raises BadInputError for one that is no good.

    `now_s` is Unix time, None while the hub does not know it.
    """
    if len(answer) > ANSWER_BYTES_MAX:
        raise BadInputError(f"an answer to a renewal of more than {ANSWER_BYTES_MAX} bytes")
    try:
        pem = msgspec.json.decode(answer, type=RenewalAnswer).certificate_chain_pem
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("the answer to the renewal is not what it must be", cure="tell the operator") from error
    # 1. For the key and the name that were asked for, in a chain that holds together.
    leaf = checked_chain(pem, attempt.next_key, attempt.hub_id)[0]
    # 2. It ends no earlier than the one there is.
    if leaf.not_valid_after_utc < attempt.present.not_valid_after_utc:
        raise BadInputError("the new certificate ends before the present one", cure="tell the operator")
    # 3. It is good now.
    begins_s, ends_s = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    if now_s is not None and not begins_s - AHEAD_S_MAX <= now_s < ends_s:
        raise BadInputError("the new certificate is not good at this time", cure="is the server's clock right?")
    return pem


def write_confirmation(hub_id: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    """Tell the server that this certificate is in force now, so that it takes no word of the one before any more."""
    der = _der(certificate)
    return msgspec.json.encode(RenewalConfirmation(hub_id, to_base64(der), _signed(key, confirming_bytes(der))))


def asking_bytes(csr: bytes, certificate: bytes) -> bytes:
    """Return what both keys sign to ask; each member behind the label has 32 bytes."""
    return ASK_LABEL + b"\0" + hashlib.sha256(csr).digest() + hashlib.sha256(certificate).digest()


def confirming_bytes(certificate: bytes) -> bytes:
    """Return what the new key signs to confirm."""
    return CONFIRM_LABEL + b"\0" + hashlib.sha256(certificate).digest()


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _signed(key: ec.EllipticCurvePrivateKey, content: bytes) -> str:
    return to_base64(key.sign(content, ec.ECDSA(hashes.SHA256())))
