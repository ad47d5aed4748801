"""Who may open a sealed file: age v1 recipients, identities and the header that wraps the file key (c2sp.org/age).

Rules of this file: X25519 today. Another kind of key is one `_wrap_...` and one `_unwrap_...` function and one line
in each of the two tables; kinds are never mixed in one file, so that the weakest of them does not decide for all.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.crypto import Secret, hkdf_sha256
from agent.deliver import bech32
from agent.errors import BadInputError, ConfigurationError

VERSION_LINE: Final = b"age-encryption.org/v1\n"
FILE_KEY_BYTES: Final = 16
PAYLOAD_NONCE_BYTES: Final = 16
PIECE_BYTES: Final = 64 * 1024  # of plaintext; the last one may be shorter
TAG_BYTES: Final = 16
RECIPIENTS_MAX: Final = 20
HEADER_BYTES_MAX: Final = 64 * 1024

_KEY_BYTES: Final = 32
_BODY_COLUMNS: Final = 64
_X25519_LABEL: Final = b"age-encryption.org/v1/X25519"
_RECIPIENT_KINDS: Final = ("age", "age1pq")
_IDENTITY_PREFIX: Final = "AGE-SECRET-KEY-"


@dataclass(frozen=True, slots=True)
class Stanza:
    """One recipient's lines in the header: arguments, the first says the kind, and the wrapped file key."""

    arguments: tuple[str, ...]
    body: bytes

    def __bytes__(self) -> bytes:
        text = _base64(self.body)
        rows = [text[start : start + _BODY_COLUMNS] for start in range(0, len(text) + 1, _BODY_COLUMNS)]
        return ("-> " + " ".join(self.arguments) + "\n" + "\n".join(rows) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Header:
    """A header as read: its stanzas, the bytes its MAC covers, and the MAC."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes


# --- keys


def generate_identity() -> tuple[Secret, str]:
    """Make a new X25519 pair: the identity `AGE-SECRET-KEY-1...` and its recipient `age1...`."""
    identity = Secret(bech32.encode(_IDENTITY_PREFIX, X25519PrivateKey.generate().private_bytes_raw()))
    return identity, recipient_of(identity)


def recipient_of(identity: Secret) -> str:
    """Return the recipient `age1...` that an identity opens files for. Raises ConfigurationError if it is not one."""
    return bech32.encode("age", _x25519_identity(identity).public_key().public_bytes_raw())


def check_recipients(recipients: Sequence[str]) -> None:
    """Refuse a list of recipients that no file may be sealed to. Raises BadInputError."""
    _parse_recipients(recipients)


def _parse_recipients(recipients: Sequence[str]) -> list[tuple[str, bytes]]:
    if not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise BadInputError(f"{len(recipients)} recipients (1 to {RECIPIENTS_MAX} are possible)")
    parsed = [bech32.decode(recipient) for recipient in recipients]
    kinds = {kind for kind, _ in parsed}
    if not kinds <= set(_RECIPIENT_KINDS):
        raise BadInputError("a recipient that is not an age v1 public key", cure="it must begin with `age1`")
    if len(kinds) > 1:
        raise BadInputError("post-quantum and classical recipients in one file", cure="use one kind for all of them")
    if not kinds <= _WRAPPERS.keys():
        raise BadInputError("this version seals to X25519 recipients (`age1...`) only", cure="ask for an X25519 key")
    return parsed


def _x25519_identity(identity: Secret) -> X25519PrivateKey:
    cure = "it is a line that begins with AGE-SECRET-KEY-1; plugin and passphrase identities cannot be used here"
    try:
        prefix, key = bech32.decode(identity.reveal().decode("ascii").strip())
    except (BadInputError, UnicodeDecodeError):
        raise ConfigurationError("not an age identity", cure=cure) from None
    if prefix != _IDENTITY_PREFIX.lower() or len(key) != _KEY_BYTES:
        raise ConfigurationError("an age identity of a kind that is not supported", cure=cure)
    return X25519PrivateKey.from_private_bytes(key)


# --- the file key, wrapped for each recipient


def encode_header(recipients: Sequence[str], file_key: Secret) -> bytes:
    """Write the header that lets each recipient find the file key. Raises BadInputError if a recipient is no good."""
    stanzas = [_WRAPPERS[kind](key, file_key) for kind, key in _parse_recipients(recipients)]
    covered = VERSION_LINE + b"".join(map(bytes, stanzas)) + b"---"
    return covered + b" " + _base64(_mac(file_key, covered)).encode() + b"\n"


def find_file_key(header: Header, identities: Sequence[Secret]) -> Secret:
    """Unwrap the file key with the first identity that can, and check the header's MAC. Raises BadInputError."""
    for identity in identities:
        for stanza in header.stanzas:
            unwrap = _UNWRAPPERS.get(stanza.arguments[0])
            file_key = unwrap(stanza, _x25519_identity(identity)) if unwrap else None
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


def _wrap_x25519(key: bytes, file_key: Secret) -> Stanza:
    try:
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = Secret(ephemeral.exchange(X25519PublicKey.from_public_bytes(key)))
    except ValueError:  # not 32 bytes, or a point of low order
        raise BadInputError("a recipient that is not a usable X25519 key") from None
    wrapping = hkdf_sha256(shared, salt=share + key, info=_X25519_LABEL)
    # one key per stanza, so the nonce of zeros is used once (c2sp.org/age, X25519 recipient stanza)
    body = ChaCha20Poly1305(wrapping.reveal()).encrypt(bytes(12), file_key.reveal(), None)
    return Stanza(("X25519", _base64(share)), body)


def _unwrap_x25519(stanza: Stanza, identity: X25519PrivateKey) -> Secret | None:
    """Return the file key, or None if the stanza is another recipient's. Raises BadInputError if it is malformed."""
    if len(stanza.arguments) != 2 or len(stanza.body) != FILE_KEY_BYTES + TAG_BYTES:  # noqa: PLR2004 - kind and share
        raise BadInputError("a malformed X25519 stanza")
    share = _unbase64(stanza.arguments[1])
    if len(share) != _KEY_BYTES:
        raise BadInputError("a malformed X25519 share")
    try:
        shared = Secret(identity.exchange(X25519PublicKey.from_public_bytes(share)))
    except ValueError:
        raise BadInputError("an X25519 share of low order") from None
    salt = share + identity.public_key().public_bytes_raw()
    wrapping = hkdf_sha256(shared, salt=salt, info=_X25519_LABEL)
    try:
        return Secret(ChaCha20Poly1305(wrapping.reveal()).decrypt(bytes(12), stanza.body, None))
    except InvalidTag:
        return None


_WRAPPERS: Final[dict[str, Callable[[bytes, Secret], Stanza]]] = {"age": _wrap_x25519}
_UNWRAPPERS: Final[dict[str, Callable[[Stanza, X25519PrivateKey], Secret | None]]] = {"X25519": _unwrap_x25519}


# --- the header's text


def read_header(stream: BinaryIO) -> Header:
    """Read a header of at most `HEADER_BYTES_MAX` bytes and leave `stream` at the payload. Raises BadInputError."""
    lines = _Lines(stream)
    if lines.take() != VERSION_LINE:
        raise BadInputError("not an age v1 file")
    stanzas: list[Stanza] = []
    while not (line := lines.take()).startswith(b"--- "):
        if not line.startswith(b"-> "):
            raise BadInputError("a malformed age header")
        arguments = tuple(_visible(argument) for argument in line[3:-1].split(b" "))
        stanzas.append(Stanza(arguments, _unbase64(lines.take_body())))
    if not stanzas:
        raise BadInputError("an age header without recipients")
    return Header(tuple(stanzas), lines.taken[: -len(line)] + b"---", _unbase64(_visible(line[4:-1])))


class _Lines:
    """The header's lines, counted against its limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.taken = b""

    def take(self) -> bytes:
        line = self._stream.readline(HEADER_BYTES_MAX - len(self.taken))
        self.taken += line
        if not line.endswith(b"\n"):
            raise BadInputError("not an age v1 file, or its header is cut off")
        return line

    def take_body(self) -> str:
        """Join a stanza's body: rows of exactly 64 characters, then one shorter row, which may be empty."""
        body = ""
        while True:
            row = self.take()[:-1]
            if len(row) > _BODY_COLUMNS:
                raise BadInputError("a malformed age header: a row is too long")
            body += _visible(row) if row else ""
            if len(row) < _BODY_COLUMNS:
                return body


def _visible(text: bytes) -> str:
    if not text or any(not 33 <= byte <= 126 for byte in text):  # noqa: PLR2004 - VCHAR of RFC 5234
        raise BadInputError("a malformed age header: a character that may not be there")
    return text.decode("ascii")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    """Read base64 without padding, in its one canonical form only."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise BadInputError("a malformed age header: not base64") from None
    if _base64(content) != text:
        raise BadInputError("a malformed age header: base64 that is not canonical")
    return content
