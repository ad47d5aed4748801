"""Who may open a sealed file: age v1 recipients, identities and the header that wraps the file key (c2sp.org/age).

Rules of this file: the recipients of one file are all of one kind, so that the weakest of them does not decide for all.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.crypto import Secret, hkdf_sha256
from agent.deliver import bech32
from agent.deliver.age_kinds import FILE_KEY_BYTES, IDENTITY_BYTES, KINDS, Kind, new_identity
from agent.deliver.age_text import VERSION_LINE, Header, encode_base64
from agent.errors import BadInputError, ConfigurationError

PAYLOAD_NONCE_BYTES: Final = 16
PIECE_BYTES: Final = 64 * 1024  # of plaintext; the last one may be shorter
RECIPIENTS_MAX: Final = 20

_BY_RECIPIENT: Final = {kind.recipient_prefix: kind for kind in KINDS}
_BY_IDENTITY: Final = {kind.identity_prefix.lower(): kind for kind in KINDS}
_CLASSICAL, _POST_QUANTUM = KINDS


# --- keys


def generate_identity(*, is_post_quantum: bool = False) -> tuple[Secret, str]:
    """Make a new pair: the identity `AGE-SECRET-KEY-...` and its recipient, `age1...` or `age1pq1...`."""
    kind = _POST_QUANTUM if is_post_quantum else _CLASSICAL
    key = new_identity()
    identity = Secret(bech32.encode(kind.identity_prefix, key.reveal()))
    return identity, bech32.encode(kind.recipient_prefix, kind.recipient_of(key))


def recipient_of(identity: Secret) -> str:
    """Return the recipient that an identity opens files for. Raises ConfigurationError if it is not one."""
    kind, key = _parse_identity(identity)
    return bech32.encode(kind.recipient_prefix, kind.recipient_of(key))


def check_recipients(recipients: Sequence[str]) -> None:
    """Refuse a list of recipients that no file may be sealed to. Raises BadInputError."""
    _parse_recipients(recipients)


def check_usable(recipient: str) -> None:
    """Refuse a key that nothing can be sealed to. Raises BadInputError."""
    encode_header([recipient], Secret(bytes(FILE_KEY_BYTES)))


def _parse_recipients(recipients: Sequence[str]) -> tuple[Kind, list[bytes]]:
    if not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise BadInputError(f"{len(recipients)} recipients (1 to {RECIPIENTS_MAX} are possible)")
    parsed = [bech32.decode(recipient) for recipient in recipients]
    prefixes = {prefix for prefix, _ in parsed}
    if not prefixes <= _BY_RECIPIENT.keys():
        raise BadInputError("a recipient that is not an age v1 public key", cure="it must begin with `age1`")
    if len(prefixes) > 1:
        raise BadInputError("post-quantum and classical recipients in one file", cure="use one kind for all of them")
    return _BY_RECIPIENT[prefixes.pop()], [key for _, key in parsed]


def _parse_identity(identity: Secret) -> tuple[Kind, Secret]:
    cure = "it is a line that begins with AGE-SECRET-KEY-; plugin and passphrase identities cannot be used here"
    try:
        prefix, key = bech32.decode(identity.reveal().decode("ascii").strip())
    except (BadInputError, UnicodeDecodeError):
        raise ConfigurationError("not an age identity", cure=cure) from None
    if prefix not in _BY_IDENTITY or len(key) != IDENTITY_BYTES:
        raise ConfigurationError("an age identity of a kind that is not supported", cure=cure)
    return _BY_IDENTITY[prefix], Secret(key)


# --- the file key, wrapped for each recipient


def encode_header(recipients: Sequence[str], file_key: Secret) -> bytes:
    """Write the header that lets each recipient find the file key. Raises BadInputError if a recipient is no good."""
    kind, keys = _parse_recipients(recipients)
    covered = VERSION_LINE + b"".join(bytes(kind.wrap(key, file_key)) for key in keys) + b"---"
    return covered + b" " + encode_base64(_mac(file_key, covered)).encode() + b"\n"


def find_file_key(header: Header, identities: Sequence[Secret]) -> Secret:
    """Unwrap the file key with the first identity that can, and check the header's MAC. Raises BadInputError."""
    for kind, identity in map(_parse_identity, identities):
        for stanza in header.stanzas:
            file_key = kind.unwrap(stanza, identity) if stanza.arguments[0] == kind.stanza else None
            if file_key is not None:
                if not hmac.compare_digest(_mac(file_key, header.covered), header.mac):
                    raise BadInputError("the header of the sealed file was changed")
                return file_key
    raise BadInputError("the file is not sealed to this identity", cure="use the key of a recipient in the manifest")


def payload_cipher(file_key: Secret, nonce: bytes) -> ChaCha20Poly1305:
    """Return the cipher of all pieces of one file."""
    return ChaCha20Poly1305(hkdf_sha256(file_key, salt=nonce, info=b"payload").reveal())


def piece_nonce(index: int, *, is_last: bool) -> bytes:
    """Return the nonce of piece `index`: 11 bytes of counter and one that marks the last piece (STREAM)."""
    return index.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _mac(file_key: Secret, covered: bytes) -> bytes:
    return hmac.digest(hkdf_sha256(file_key, info=b"header").reveal(), covered, "sha256")
