"""The server's half of enrolment: is this the hub that was sold, and did it get a claim? Then it gets a certificate.

Rules of this file: no socket, no storage; whoever calls looks up the record and strikes the one-use code off *before*
asking here, so that a code is spent by the first use, good or bad.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.claim import CODE_BYTES
from provisioning.enrolment import (
    EVIDENCE_KEY_BYTES,
    REQUEST_BYTES_MAX,
    Broker,
    EnrolmentAnswer,
    EnrolmentRequest,
    RenewalServer,
    from_base64,
    signed_bytes,
)
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.hub_id import checked_hub_id
from provisioning.issuing import HubAuthority, checked_csr, issue_chain
from provisioning.keys import pin, read_public


@dataclass(frozen=True, slots=True)
class AcceptedHub:
    """What the server keeps about a hub that it has just enrolled."""

    hub_id: str
    certificate_chain_pem: str
    evidence_key: bytes
    """Raw Ed25519 public key."""
    key_pin: bytes
    """Of the certificate's key: the only one that may renew it (`reissue.HubKeys`)."""


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
    """Decide on one request and issue the hub's certificate. Raises BadInputError for a no.

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
    key = checked_csr(csr, request.hub_id)
    return AcceptedHub(request.hub_id, issue_chain(key, request.hub_id, authority, now_s), evidence_key, pin(key))


def write_answer(  # noqa: PLR0913 - the members of the answer
    accepted: AcceptedHub,
    *,
    broker: Broker,
    trust_bundle: str,
    trust_roots: list[dict[str, Any]],
    pairing_epoch: int,
    site: str,
    now_s: int,
    renewal: RenewalServer | None = None,
) -> bytes:
    """Write the answer to the hub; `renewal` only for a request of version 2."""
    moment = dt.datetime.fromtimestamp(now_s, dt.UTC)
    answer = EnrolmentAnswer(
        certificate_chain_pem=accepted.certificate_chain_pem,
        broker=broker,
        trust_bundle=trust_bundle,
        trust_roots=trust_roots,
        pairing_epoch=pairing_epoch,
        site=site,
        server_time=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        renewal=renewal,
    )
    return msgspec.json.encode(answer)
