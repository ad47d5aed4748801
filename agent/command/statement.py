"""A compact JWS becomes the bytes that its key signed; stricter than JOSE asks, so that a statement has one form.

Rules of this file: exactly the headers `alg`, `typ`, `kid`; `kid` names the verifier's key; canonical base64url in
every segment (otherwise its last character could be changed without breaking the signature, and a replay look new).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, TypeVar

from agent.command.strict_json import decode, decode_object
from agent.errors import BadInputError
from agent.signing import STATEMENT_BYTES_MAX, SigningKey, open_statement, thumbprint

HEADERS: Final = {"alg", "typ", "kid"}
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_SEGMENTS: Final = 3

T = TypeVar("T")


def open_strictly(token: str, key: SigningKey, typ: str) -> bytes:
    """Verify `token` by `key` and its `typ`; return the signed bytes. Raises BadInputError."""
    header, _, _ = _segments(token)
    if _kid(header) != (name := thumbprint(key)):
        raise BadInputError(f"a {typ} by another key than {name[:12]}")
    return open_statement(token, key, typ)


def read_statement(token: str, key: SigningKey, typ: str, shape: type[T]) -> T:
    """Verify `token` and read its claims as `shape`. Raises BadInputError."""
    return decode(open_strictly(token, key, typ), shape, typ)


def unverified_kid(token: str) -> str:
    """Read which key a statement says it is signed by, without believing it. Raises BadInputError."""
    return _kid(_segments(token)[0])


def unverified_claims(token: str) -> dict[str, object]:
    """Read the claims without believing them: for nothing but naming what is refused. Raises BadInputError."""
    return decode_object(_segments(token)[1], "claims")


def base64url(segment: str) -> bytes:
    """Decode unpadded base64url (RFC 7515 section 2) in its one canonical form. Raises BadInputError."""
    if not _SEGMENT.fullmatch(segment):
        raise BadInputError("not base64url")
    try:
        content = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error as error:
        raise BadInputError("not base64url") from error
    if base64.urlsafe_b64encode(content).rstrip(b"=") != segment.encode():
        raise BadInputError("not canonical base64url")
    return content


def _kid(header: bytes) -> str:
    members = decode_object(header, "JWS header")
    kid = members.get("kid")
    if set(members) != HEADERS or not isinstance(kid, str):
        raise BadInputError("a JWS header must have alg, typ and kid, and nothing else")
    return kid


def _segments(token: str) -> tuple[bytes, bytes, bytes]:
    if len(token) > STATEMENT_BYTES_MAX:
        raise BadInputError(f"a signed statement of {len(token)} bytes (limit {STATEMENT_BYTES_MAX})")
    parts = token.split(".", _SEGMENTS)
    if len(parts) != _SEGMENTS:
        raise BadInputError("not a compact JWS")
    header, claims, signature = (base64url(part) for part in parts)
    return header, claims, signature
