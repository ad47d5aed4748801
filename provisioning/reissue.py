"""The server's half of a renewal: the hub whose certificate that is, if it is its newest, gets the next one.

Rules of this file: no socket, no storage; whoever calls keeps `HubKeys` of each hub, and stores the new ones *before*
it answers. Two renewals of one hub at the same time are decided one after the other.
Specified in FORMAT.md, section 6.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.enrolment import REQUEST_BYTES_MAX, from_base64
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.hub_id import checked_hub_id
from provisioning.issuing import CLOCK_SKEW, HubAuthority, checked_csr, issue_chain
from provisioning.keys import common_name, pin, read_public
from provisioning.renewal import RenewalAnswer, RenewalConfirmation, RenewalRequest, asking_bytes, confirming_bytes

GRACE: Final = dt.timedelta(days=90)
"""So long after its end a certificate can be renewed, for a hub that lay in a drawer; no broker takes it meanwhile."""

_Message = TypeVar("_Message", RenewalRequest, RenewalConfirmation)


class HubKeys(NamedTuple):
    """Which keys of one hub count, by their pins: what the server keeps about it besides its factory record."""

    present: bytes
    offered: bytes | None = None
    """Of the newest certificate, until the hub has shown that it has it."""


def read_renewal(body: bytes) -> RenewalRequest:
    """Parse a request, so that record and keys of its hub can be looked up. Raises BadInputError."""
    return _read(body, RenewalRequest)


def read_confirmation(body: bytes) -> RenewalConfirmation:
    """Parse a confirmation. Raises BadInputError."""
    return _read(body, RenewalConfirmation)


def accept_renewal(
    request: RenewalRequest,
    record: FactoryRecord | None,
    keys: HubKeys | None,
    *,
    authority: HubAuthority,
    now_s: int,
    grace: dt.timedelta = GRACE,
) -> tuple[bytes, HubKeys]:
    """Decide on one request; return the answer to send and the keys to store before. Raises BadInputError for a no.

    `record` and `keys` are what the operator has of `request.hub_id`; None: it is not, or no more, one of its hubs.
    """
    # 1. The hub is the operator's.
    if record is None or keys is None or record.hub_id != request.hub_id:
        raise BadInputError("not a hub of this operator")
    # 2. The certificate is one of ours for this hub, and has not ended too long ago.
    certificate = from_base64(request.certificate, "the certificate")
    key = _own_key(certificate, request.hub_id, authority, now_s, grace)
    # 3. It is the newest the hub has shown, or the one offered after it. A key from before those is a copy's.
    asking = pin(key)
    if asking not in keys:
        raise BadInputError("that certificate has a successor", cure="two devices with one identity? look for a copy")
    # 4. Whoever asks holds its key and the factory key, and meant this new key.
    factory_key = read_public(from_base64(request.factory_key, "the factory key"))
    if pin(factory_key) != record.key_pin:
        raise BadInputError("this is not the hub with that id")
    csr = from_base64(request.csr, "the signing request")
    signed = asking_bytes(csr, certificate)
    _verify(key, request.signature, signed)
    _verify(factory_key, request.factory_signature, signed)
    # 5. The new key is new.
    new = checked_csr(csr, request.hub_id)
    if pin(new) in {asking, record.key_pin}:
        raise BadInputError("a renewal needs a key of its own")
    answer = RenewalAnswer(issue_chain(new, request.hub_id, authority, now_s))
    return msgspec.json.encode(answer), HubKeys(asking, pin(new))


def accept_confirmation(
    confirmation: RenewalConfirmation, keys: HubKeys | None, *, authority: HubAuthority, now_s: int
) -> HubKeys:
    """Take a hub's word that its new certificate is in force; return the keys to store. Raises BadInputError."""
    certificate = from_base64(confirmation.certificate, "the certificate")
    key = _own_key(certificate, confirmation.hub_id, authority, now_s, dt.timedelta())
    if keys is None or pin(key) not in keys:
        raise BadInputError("that certificate is not the one that was offered")
    _verify(key, confirmation.signature, confirming_bytes(certificate))
    return HubKeys(pin(key))


def _own_key(
    der: bytes, hub_id: str, authority: HubAuthority, now_s: int, grace: dt.timedelta
) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate that this authority issued to this hub. Raises BadInputError."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(authority.certificate)
        name, key = common_name(certificate.subject), certificate.public_key()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise BadInputError("not a certificate of this authority") from error
    if name != hub_id or not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadInputError("the certificate is another hub's")
    now = dt.datetime.fromtimestamp(now_s, dt.UTC)
    if not begins - CLOCK_SKEW <= now <= ends + grace:
        raise BadInputError("the certificate has ended", cure="reset the hub and enrol it again")
    return key


def _verify(key: ec.EllipticCurvePublicKey, signature: str, signed: bytes) -> None:
    try:
        key.verify(from_base64(signature, "a signature"), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise BadInputError("a signature of the message is wrong") from error


def _read(body: bytes, kind: type[_Message]) -> _Message:
    if len(body) > REQUEST_BYTES_MAX:
        raise BadInputError(f"a message of more than {REQUEST_BYTES_MAX} bytes")
    try:
        message = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("not a message about a renewal") from error
    checked_hub_id(message.hub_id)
    return message
