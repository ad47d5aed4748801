"""The store's signed word that it holds a part, believed only for exactly the part that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from agent.clock import parse_rfc3339, rfc3339
from agent.crypto import canonical_json
from agent.deliver.part import Receipt, SealedPart
from agent.errors import BadInputError
from agent.signing import SigningKey, open_statement, sign_statement

RECEIPT_TYPE: Final = "transom-receipt+jwt"
RECEIPT_BYTES_MAX: Final = 4096


class OtherBytesError(BadInputError):
    """The store has signed for other bytes than were sent: they were damaged there, and must be sent anew."""


class ReceiptClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claims of a `transom-receipt+jwt`."""

    v: int
    hub: str
    part: str
    size: int
    sha256: str
    stored_at: str


def sign_receipt(receipt: Receipt, hub: str, key: SigningKey) -> str:
    """Write the store's statement about a part of `hub`: what a store does; `receipt.token` is not looked at."""
    claims = ReceiptClaims(1, hub, receipt.part, receipt.size, receipt.sha256, rfc3339(receipt.stored_at))
    return sign_statement(canonical_json(msgspec.to_builtins(claims)), key, RECEIPT_TYPE)


def verify_receipt(token: str, store_keys: Sequence[SigningKey], part: SealedPart, hub: str) -> Receipt:
    """Check a receipt in this order: size, signature by one of the store's keys, type, claims, and what they are about.

    Raises BadInputError, of which OtherBytesError says that the part must be sent anew.
    """
    # 1. size
    if len(token) > RECEIPT_BYTES_MAX:
        raise BadInputError(f"a receipt of {len(token)} characters (limit {RECEIPT_BYTES_MAX})")
    # 2. signature and type
    claims_json = _open(token, store_keys)
    # 3. claims
    try:
        claims = msgspec.json.decode(claims_json, type=ReceiptClaims)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise BadInputError("a receipt with other claims than a receipt has") from None
    if claims.v != 1:
        raise BadInputError(f"a receipt of version {claims.v}", cure="update this hub")
    # 4. this hub, this part, these bytes
    if (claims.hub, claims.part) != (hub, part.id):
        raise BadInputError(f"the store's receipt is not for part {part.id} of this hub")
    if (claims.size, claims.sha256) != (part.size, part.sha256):
        raise OtherBytesError(f"the store holds other bytes than were sent as part {part.id}")
    return Receipt(part.id, part.size, part.sha256, parse_rfc3339(claims.stored_at), token)


def _open(token: str, store_keys: Sequence[SigningKey]) -> bytes:
    for key in store_keys:
        try:
            return open_statement(token, key, RECEIPT_TYPE)
        except BadInputError:
            continue
    raise BadInputError("a receipt that no known key of the store has signed", cure="update the trust bundle")
