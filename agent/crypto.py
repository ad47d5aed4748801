"""The few cryptographic pieces that several stages share: secrets that do not print, digests, and signed statements.

A signed statement is a compact JWS (RFC 7515) whose `typ` says what it is for, signed with Ed25519 (`alg`
`Ed25519`, RFC 9864) or P-256 (`ES256`). The algorithm follows the verifier's key, never the header.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from agent.errors import BadInputError

STATEMENT_BYTES_MAX: Final = 64 * 1024
SigningKey = OKPKey | ECKey
_ALGORITHM_OF_CURVE: Final = {"Ed25519": "Ed25519", "P-256": "ES256"}


class Secret:
    """Bytes that cannot be printed, formatted, compared by `==` or pickled by accident."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes | str) -> None:
        self.__value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes; only the adapter or primitive that needs them calls this."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


def sha256_hex(content: bytes) -> str:
    """Digest of `content` as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def hkdf_sha256(secret: Secret, *, info: bytes, salt: bytes | None = None, length: int = 32) -> Secret:
    """Derive `length` bytes for the purpose `info` (RFC 5869)."""
    return Secret(HKDF(hashes.SHA256(), length, salt, info).derive(secret.reveal()))


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


def statement_kid(token: str) -> str:
    """Read the key name out of a statement's header without believing it; empty if there is none."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError, TypeError):
        return ""
    return kid if isinstance(kid, str) else ""


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write JSON with sorted keys and no blanks: the same value is always the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
