"""The kinds of age keys, and how each wraps the key of one file for one recipient (c2sp.org/age).

Rules of this file: a kind is one class and one line in `KINDS`; a key here is its bytes, without its text form. Both
kinds come from `cryptography`: nothing of the arithmetic is ours.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from agent.crypto import Secret, hkdf_sha256
from agent.deliver.age_text import Stanza, decode_base64, encode_base64
from agent.errors import BadInputError

FILE_KEY_BYTES: Final = 16
TAG_BYTES: Final = 16
IDENTITY_BYTES: Final = 32  # of every kind: a scalar, or the seed that both halves of a hybrid key grow from

_WRAPPED_BYTES: Final = FILE_KEY_BYTES + TAG_BYTES
_X25519_BYTES: Final = 32
_X25519_LABEL: Final = b"age-encryption.org/v1/X25519"
_MLKEM_PUBLIC_BYTES: Final = 1184
_MLKEM_SEED_BYTES: Final = 64
_HYBRID_PUBLIC_BYTES: Final = _MLKEM_PUBLIC_BYTES + _X25519_BYTES
_HYBRID_SHARE_BYTES: Final = 1088 + _X25519_BYTES  # ML-KEM-768's ciphertext and X25519's share
_HYBRID_LABEL: Final = b"age-encryption.org/mlkem768x25519"
_HYBRID: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class Kind(Protocol):
    """One kind of recipients and identities."""

    recipient_prefix: str  # of the text form, before its `1`
    identity_prefix: str
    stanza: str  # the first argument of its stanzas

    def recipient_of(self, identity: Secret) -> bytes:
        """Return the public key that belongs to an identity of `IDENTITY_BYTES`."""

    def wrap(self, recipient: bytes, file_key: Secret) -> Stanza:
        """Seal the file key to a recipient. Raises BadInputError if it is not a usable key."""

    def unwrap(self, stanza: Stanza, identity: Secret) -> Secret | None:
        """Return the file key, or None if the stanza is another's. Raises BadInputError if it is malformed."""


class X25519:
    """Keys that every age tool knows: `age1...`."""

    recipient_prefix = "age"
    identity_prefix = "AGE-SECRET-KEY-"
    stanza = "X25519"

    def recipient_of(self, identity: Secret) -> bytes:
        """Return the public key that belongs to an identity."""
        return X25519PrivateKey.from_private_bytes(identity.reveal()).public_key().public_bytes_raw()

    def wrap(self, recipient: bytes, file_key: Secret) -> Stanza:
        """Seal the file key to a recipient. Raises BadInputError."""
        try:
            ephemeral = X25519PrivateKey.generate()
            share = ephemeral.public_key().public_bytes_raw()
            shared = Secret(ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient)))
        except ValueError:  # not 32 bytes, or a point of low order
            raise BadInputError("a recipient that is not a usable X25519 key") from None
        wrapping = hkdf_sha256(shared, salt=share + recipient, info=_X25519_LABEL)
        # one key per stanza, so the nonce of zeros is used once (c2sp.org/age, X25519 recipient stanza)
        body = ChaCha20Poly1305(wrapping.reveal()).encrypt(bytes(12), file_key.reveal(), None)
        return Stanza((self.stanza, encode_base64(share)), body)

    def unwrap(self, stanza: Stanza, identity: Secret) -> Secret | None:
        """Return the file key, or None. Raises BadInputError."""
        share = _share_of(stanza, _X25519_BYTES)
        try:
            private = X25519PrivateKey.from_private_bytes(identity.reveal())
            shared = Secret(private.exchange(X25519PublicKey.from_public_bytes(share)))
        except ValueError:
            raise BadInputError("an X25519 share of low order") from None
        wrapping = hkdf_sha256(shared, salt=share + self.recipient_of(identity), info=_X25519_LABEL)
        try:
            return Secret(ChaCha20Poly1305(wrapping.reveal()).decrypt(bytes(12), stanza.body, None))
        except InvalidTag:
            return None


class Hybrid:
    """Keys that a quantum computer does not open either: ML-KEM-768 and X25519 together, `age1pq1...`.

    HPKE (RFC 9180) in its base mode, with the KEM MLKEM768-X25519 (draft-ietf-hpke-pq, 0x647a), HKDF-SHA256 and
    ChaCha20-Poly1305.
    """

    recipient_prefix = "age1pq"
    identity_prefix = "AGE-SECRET-KEY-PQ-"
    stanza = "mlkem768x25519"

    def recipient_of(self, identity: Secret) -> bytes:
        """Return the public key that belongs to an identity: ML-KEM's, then X25519's."""
        mlkem, x25519 = self._halves(identity)
        return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    def wrap(self, recipient: bytes, file_key: Secret) -> Stanza:
        """Seal the file key to a recipient. Raises BadInputError."""
        if len(recipient) != _HYBRID_PUBLIC_BYTES:
            raise BadInputError("a recipient that is not a usable post-quantum key")
        try:
            public = MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(recipient[:_MLKEM_PUBLIC_BYTES]),
                X25519PublicKey.from_public_bytes(recipient[_MLKEM_PUBLIC_BYTES:]),
            )
            sealed = _HYBRID.encrypt(file_key.reveal(), public, info=_HYBRID_LABEL)
        except ValueError:  # ML-KEM's numbers out of range (FIPS 203, 7.2), or a point of low order
            raise BadInputError("a recipient that is not a usable post-quantum key") from None
        share, body = sealed[:_HYBRID_SHARE_BYTES], sealed[_HYBRID_SHARE_BYTES:]
        return Stanza((self.stanza, encode_base64(share)), body)

    def unwrap(self, stanza: Stanza, identity: Secret) -> Secret | None:
        """Return the file key, or None. Raises BadInputError."""
        share = _share_of(stanza, _HYBRID_SHARE_BYTES)
        private = MLKEM768X25519PrivateKey(*self._halves(identity))
        try:
            return Secret(_HYBRID.decrypt(share + stanza.body, private, info=_HYBRID_LABEL))
        except InvalidTag:
            return None
        except ValueError:
            raise BadInputError("a share of a post-quantum stanza that no writer makes") from None

    @staticmethod
    def _halves(identity: Secret) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        seeds = hashlib.shake_256(identity.reveal()).digest(_MLKEM_SEED_BYTES + _X25519_BYTES)
        return (
            MLKEM768PrivateKey.from_seed_bytes(seeds[:_MLKEM_SEED_BYTES]),
            X25519PrivateKey.from_private_bytes(seeds[_MLKEM_SEED_BYTES:]),
        )


KINDS: Final[tuple[Kind, ...]] = (X25519(), Hybrid())


def new_identity() -> Secret:
    """Make the bytes of an identity: any 32 of them are one, of either kind."""
    return Secret(os.urandom(IDENTITY_BYTES))


def _share_of(stanza: Stanza, size: int) -> bytes:
    if len(stanza.arguments) != 2 or len(stanza.body) != _WRAPPED_BYTES:  # noqa: PLR2004 - kind and share
        raise BadInputError(f"a malformed {stanza.arguments[0]} stanza")
    share = decode_base64(stanza.arguments[1])
    if len(share) != size:
        raise BadInputError(f"a malformed share in a {stanza.arguments[0]} stanza")
    return share
