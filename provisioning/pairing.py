"""A person becomes the owner: their phone's key, the card from the box, and a finger on the hub's button, once.

Rules of this file: three things must come together within 120 s, and the first owner stays until a factory reset. A
statement is for one enrolment: what was recorded before a reset is worth nothing after it.
Specified in FORMAT.md, section 4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from provisioning.errors import BadInputError
from provisioning.secret import Secret, authenticate, is_authentic

PURPOSE: Final = b"transom/owner/v1"
BUTTON_WINDOW_S: Final = 120
STATEMENT_BYTES_MAX: Final = 4 * 1024
PROOF_BYTES: Final = 32
ENROLMENT_BYTES: Final = 32
"""An enrolment is named by the pin of the key that the hub made for it (`IdentityStore.enrolment_pin`)."""

Coordinate = Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
"""32 bytes in base64url without padding."""


class OwnerJwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The owner's public key as a JWK: Ed25519 (`x` only) or P-256 (`x` and `y`); a private member is an error."""

    kty: Literal["OKP", "EC"]
    crv: Literal["Ed25519", "P-256"]
    x: Coordinate
    y: Coordinate | msgspec.UnsetType = msgspec.UNSET


class PairingStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner's phone sends."""

    owner: OwnerJwk
    hub_id: Annotated[str, msgspec.Meta(max_length=26)]
    proof: Coordinate


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """The key whose signature is the owner's word from now on."""

    jwk: dict[str, str]
    thumbprint: str
    """RFC 7638, base64url."""


class PairingRefusal(StrEnum):
    """Why a well-formed statement did not make an owner; the value may be shown to whoever asks."""

    ALREADY_PAIRED = "this hub has an owner already; only a factory reset makes room for another"
    NO_BUTTON = "press the button on the hub, then try again within two minutes"
    WRONG_CARD = "this is not by the hub's owner card as it is enrolled now; scan the card that came in the box again"


def make_statement(jwk: dict[str, str], hub_id: str, owner_secret: Secret, enrolment: bytes) -> bytes:
    """Write the pairing statement, as the owner's app does after scanning the card; `enrolment` is the hub's word."""
    owner = read_owner(jwk)
    proof = authenticate(owner_secret, _proven(hub_id, owner, enrolment), purpose=PURPOSE)
    statement = {"owner": owner.jwk, "hub_id": hub_id, "proof": _base64url(proof)}
    return json.dumps(statement).encode()


def pair_owner(
    statement: bytes,
    *,
    hub_id: str,
    owner_secret: Secret,
    enrolment: bytes,
    paired: OwnerKey | None,
    pressed_s: float | None,
    now_s: float,
) -> OwnerKey | PairingRefusal:
    """Decide who the owner is. `pressed_s` (last press, None for never) and `now_s` are of one monotonic clock.

    `enrolment` is the pin (32 bytes) of the hub's own key of now.
    Raises BadInputError for anything that is not a statement.
    """
    if len(statement) > STATEMENT_BYTES_MAX:
        raise BadInputError(f"a pairing statement of more than {STATEMENT_BYTES_MAX} bytes")
    try:
        message = msgspec.json.decode(statement, type=PairingStatement)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("not a pairing statement", cure="update the app and scan the owner card again") from error
    owner = _owner(message.owner)
    # 1. There is no owner yet.
    if paired is not None:
        return PairingRefusal.ALREADY_PAIRED
    # 2. Somebody stands in front of the hub.
    if pressed_s is None or not 0 <= now_s - pressed_s <= BUTTON_WINDOW_S:
        return PairingRefusal.NO_BUTTON
    # 3. They hold the owner card, and mean this hub, this key and this enrolment.
    proof = _from_base64url(message.proof)
    if message.hub_id != hub_id or len(proof) != PROOF_BYTES:
        return PairingRefusal.WRONG_CARD
    if not is_authentic(owner_secret, _proven(hub_id, owner, enrolment), proof, purpose=PURPOSE):
        return PairingRefusal.WRONG_CARD
    return owner


def read_owner(jwk: object) -> OwnerKey:
    """Check a public JWK and name it. Raises BadInputError."""
    try:
        return _owner(msgspec.convert(jwk, OwnerJwk))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadInputError("an owner's key is a public JWK of Ed25519 or P-256") from error


def enrolment_text(enrolment: bytes) -> str:
    """Write the name of an enrolment as the hub's state message has it: base64url without padding."""
    return _base64url(enrolment)


def read_enrolment(text: str) -> bytes:
    """Read what `enrolment_text` wrote, as the owner's app does. Raises BadInputError."""
    enrolment = _from_base64url(text)
    if len(enrolment) != ENROLMENT_BYTES:
        raise BadInputError("an enrolment is named by 32 bytes", cure="wait until the hub is on line, then try again")
    return enrolment


def _owner(jwk: OwnerJwk) -> OwnerKey:
    x = _from_base64url(jwk.x)
    try:
        match jwk:
            case OwnerJwk(kty="OKP", crv="Ed25519", y=msgspec.UNSET):
                ed25519.Ed25519PublicKey.from_public_bytes(x)
            case OwnerJwk(kty="EC", crv="P-256", y=str(y)):
                point = b"\4" + x + _from_base64url(y)
                ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            case _:
                raise BadInputError("an owner's key is a JWK of Ed25519 or P-256")
    except ValueError as error:
        raise BadInputError("the owner's key is not a point on its curve") from error
    members: dict[str, str] = msgspec.to_builtins(jwk)
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return OwnerKey(members, _base64url(hashlib.sha256(canonical).digest()))


def _proven(hub_id: str, owner: OwnerKey, enrolment: bytes) -> bytes:
    return hub_id.encode() + _from_base64url(owner.thumbprint) + enrolment


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _from_base64url(text: str) -> bytes:
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInputError("not base64url") from error
    if _base64url(content) != text:
        raise BadInputError("not base64url")
    return content
