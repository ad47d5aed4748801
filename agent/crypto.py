"""What all stages share: secrets that do not print, digests, derived keys, one form of JSON.

Rules of this file: one OpenSSL in the process, that of `cryptography`; `hashlib` would load the system's beside it.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


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
    return _hex(hashes.SHA256(), content)


def md5_hex(content: bytes) -> str:
    """Digest of `content` as 32 lower-case hex digits: for HTTP Digest logins (RFC 7616), guards nothing else."""
    return _hex(hashes.MD5(), content)  # noqa: S303 - most cameras know no other


def _hex(algorithm: hashes.HashAlgorithm, content: bytes) -> str:
    context = hashes.Hash(algorithm)
    context.update(content)
    return context.finalize().hex()


def hkdf_sha256(secret: Secret, *, info: bytes, salt: bytes | None = None, length: int = 32) -> Secret:
    """Derive `length` bytes for the purpose `info` (RFC 5869)."""
    return Secret(HKDF(hashes.SHA256(), length, salt, info).derive(secret.reveal()))


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write JSON with sorted keys and no blanks: the same value is always the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
