"""Signed JSON in an envelope that any DSSE tool opens (secure-systems-lab/dsse v1.0), by the key of one hub.

Rules of this file: nothing in an envelope is believed before its signature held, but for the key it names: a hint that
tells a person which hub to ask about.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.crypto import canonical_json
from agent.errors import BadInputError
from agent.evidence.note import Verifier, parse_verifier, verifier_of

ENVELOPE_BYTES_MAX: Final = 16 * 1024 * 1024
SIGNATURES_MAX: Final = 8


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def seal_envelope(payload: bytes, payload_type: str, name: str, key: Ed25519PrivateKey) -> bytes:
    """Sign `payload` as `payload_type`; the envelope names the key by its verifier line (`name+hash+key`)."""
    signature = key.sign(_authenticated(payload_type, payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": str(verifier_of(name, key)), "sig": base64.b64encode(signature).decode()}],
    }
    return canonical_json(envelope)


def claimed_signer(envelope: bytes) -> Verifier:
    """Say whose key an envelope claims to be signed by, without believing it. Raises BadInputError."""
    return parse_verifier(_parse(envelope).signatures[0].keyid)


def open_envelope(envelope: bytes, payload_type: str, verifier: Verifier) -> bytes:
    """Return the payload if `verifier` has signed it as `payload_type`. Raises BadInputError."""
    parsed = _parse(envelope)
    try:
        payload = base64.b64decode(parsed.payload, validate=True)
        signatures = [base64.b64decode(each.sig, validate=True) for each in parsed.signatures]
    except ValueError:
        raise BadInputError("a damaged envelope: not base64") from None
    if parsed.payload_type != payload_type:
        raise BadInputError(f"the envelope holds something else than {payload_type}")
    message = _authenticated(payload_type, payload)
    if not any(verifier.has_signed(message, signature) for signature in signatures):
        raise BadInputError(f"the envelope was changed, or {verifier.name} did not sign it")
    return payload


def _parse(envelope: bytes) -> _Envelope:
    if len(envelope) > ENVELOPE_BYTES_MAX:
        raise BadInputError(f"an envelope of {len(envelope)} bytes (limit {ENVELOPE_BYTES_MAX})")
    try:
        parsed = msgspec.json.decode(envelope, type=_Envelope)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadInputError("not a DSSE envelope") from None
    if not 1 <= len(parsed.signatures) <= SIGNATURES_MAX:
        raise BadInputError(
            f"an envelope with {len(parsed.signatures)} signatures (1 to {SIGNATURES_MAX} are possible)"
        )
    return parsed


def _authenticated(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: what is signed (DSSE protocol, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type.encode()), payload_type.encode(), len(payload), payload)
