"""Signed statements: compact JWS (RFC 7515) whose `typ` says what it is for.

Signed with Ed25519 (`alg` `Ed25519`, RFC 9864) or P-256 (`ES256`). The algorithm follows the verifier's key, never the
header. Apart from `crypto`, so that what only records never loads it.
"""

from __future__ import annotations

from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from agent.errors import BadInputError

STATEMENT_BYTES_MAX: Final = 64 * 1024
SigningKey = OKPKey | ECKey
_ALGORITHM_OF_CURVE: Final = {"Ed25519": "Ed25519", "P-256": "ES256"}


def key_from_jwk(jwk: dict[str, Any]) -> SigningKey:
    """Read a public or private Ed25519 or P-256 JWK; raises BadInputError for anything else."""
    try:
        match jwk:
            case {"kty": "OKP", "crv": "Ed25519"}:
                return OKPKey.import_key(jwk)
            case {"kty": "EC", "crv": "P-256"}:
                return ECKey.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadInputError("not a usable JWK") from error
    raise BadInputError("a key must be a JWK of Ed25519 or P-256")


def public_jwk(key: SigningKey) -> dict[str, str]:
    """Return the public half as a JWK with its required members only."""
    members = key.as_dict(private=False)
    return {name: str(members[name]) for name in ("kty", "crv", "x", "y") if name in members}


def thumbprint(key: SigningKey) -> str:
    """RFC 7638 thumbprint: the key's name everywhere in Transom."""
    return str(key.thumbprint())


def generate_signing_key(curve: str = "Ed25519") -> SigningKey:
    """Make a new key pair on `Ed25519` or `P-256`."""
    return OKPKey.generate_key("Ed25519") if curve == "Ed25519" else ECKey.generate_key("P-256")


def _algorithm(key: SigningKey) -> str:
    return _ALGORITHM_OF_CURVE[str(key.as_dict(private=False)["crv"])]


def sign_statement(claims: bytes, key: SigningKey, typ: str) -> str:
    """Sign JSON `claims` as a compact JWS of type `typ`, naming the key by its thumbprint."""
    algorithm = _algorithm(key)
    header = {"alg": algorithm, "typ": typ, "kid": thumbprint(key)}
    return jws.serialize_compact(header, claims, key, algorithms=[algorithm])


def open_statement(token: str, key: SigningKey, typ: str) -> bytes:
    """Verify a compact JWS by `key` and its `typ` exactly; return the claims' bytes. Raises BadInputError."""
    if len(token) > STATEMENT_BYTES_MAX:
        raise BadInputError(f"a signed statement of {len(token)} bytes (limit {STATEMENT_BYTES_MAX})")
    try:
        opened = jws.deserialize_compact(token, key, algorithms=[_algorithm(key)])
    except (JoseError, ValueError, TypeError) as error:
        raise BadInputError(f"the signature does not verify by key {thumbprint(key)[:12]}") from error
    if opened.headers().get("typ") != typ:
        raise BadInputError(f"a statement of another type than {typ}")
    payload = opened.payload
    if payload is None:
        raise BadInputError("a statement without claims")
    return bytes(payload)
