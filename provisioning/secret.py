"""The two secrets of a hub, label and owner card: 128 bits each that never print and only ever key a MAC.

Rules of this file: a secret proves knowledge of itself; it is never sent, and each purpose derives a key of its own.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provisioning.errors import BadInputError

SECRET_BYTES: Final = 16
SECRET_CHARACTERS: Final = 26
"""16 bytes in base32 (RFC 4648) without padding."""


class Secret:
    """Bytes that cannot be printed, formatted, compared by `==` or pickled by accident."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        self.__value = bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes; only the primitive or the file that needs them calls this."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")


def authenticate(secret: Secret, message: bytes, *, purpose: bytes) -> bytes:
    """Return HMAC-SHA256 (32 bytes) of `message` by a key derived for `purpose` (HKDF-SHA256, RFC 5869, no salt)."""
    key = HKDF(hashes.SHA256(), 32, None, purpose).derive(secret.reveal())
    return hmac.digest(key, message, "sha256")


def is_authentic(secret: Secret, message: bytes, tag: bytes, *, purpose: bytes) -> bool:
    """Compare a full or truncated tag in constant time; an empty tag is never authentic."""
    expected = authenticate(secret, message, purpose=purpose)
    return len(tag) >= SECRET_BYTES and hmac.compare_digest(expected[: len(tag)], tag)


def secret_text(secret: Secret) -> str:
    """Write a secret as it stands on a label: 26 characters of base32."""
    return base64.b32encode(secret.reveal()).decode().rstrip("=")


def read_secret(text: str) -> Secret:
    """Read the 26 characters of a label or card. Raises BadInputError."""
    try:
        value = base64.b32decode(text + "=" * (-len(text) % 8)) if len(text) == SECRET_CHARACTERS else b""
    except (binascii.Error, ValueError):  # ValueError: letters outside ASCII
        value = b""
    if len(value) != SECRET_BYTES or secret_text(Secret(value)) != text:
        raise BadInputError("not the secret of a label", cure="type the 26 characters as they are printed")
    return Secret(value)
