"""Signed notes: lines of text with Ed25519 signatures below, and the one-line keys for them (c2sp.org/signed-note).

Rules of this file: a name is shown to people, so it is plain ASCII; of several signatures only the given key's counts.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.errors import BadInputError

NOTE_CHARS_MAX: Final = 16 * 1024
SIGNATURES_MAX: Final = 16
NAME_CHARS_MAX: Final = 128
_ED25519: Final = b"\x01"  # signature type, c2sp.org/signed-note
KEY_ID_BYTES: Final = 4
_NAME: Final = re.compile(rf"[A-Za-z0-9._:/-]{{1,{NAME_CHARS_MAX}}}")
_VKEY: Final = re.compile(rf"({_NAME.pattern})\+([0-9a-f]{{8}})\+([A-Za-z0-9+/=]{{44}})")


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named public key; its text form `name+hash+key` is what people exchange."""

    name: str
    public: bytes  # 32 bytes, Ed25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        return key_id(self.name, _ED25519, self.public)

    def __str__(self) -> str:
        return write_vkey(self.name, _ED25519, self.public)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` is this key's over `message`."""
        return has_signed(self.public, message, signature)


def verifier_of(name: str, key: Ed25519PrivateKey) -> Verifier:
    """Return the public half of a key under a name of letters, digits and `._:/-`."""
    if not _NAME.fullmatch(name):
        raise BadInputError(f"not a name for a key: {name[:40]!r}")
    return Verifier(name, key.public_key().public_bytes_raw())


def parse_verifier(text: str) -> Verifier:
    """Read `name+hash+key`. Raises BadInputError; the hash finds mistyped and mixed-up lines."""
    return Verifier(*parse_vkey(text, _ED25519))


def parse_vkey(text: str, kind: bytes) -> tuple[str, bytes]:
    """Read the name and the 32 bytes of the key of a line whose signature type is `kind`. Raises BadInputError."""
    match = _VKEY.fullmatch(text)
    raw = _unbase64(match[3]) if match else b""
    if match is None or len(raw) != 1 + 32 or raw[:1] != kind:
        raise BadInputError("not a verifier key: it looks like `name+0123abcd+base64`")
    name, public = match[1], raw[1:]
    if write_vkey(name, kind, public) != text:
        raise BadInputError(f"the verifier key of {name} is mistyped: name, hash and key do not fit together")
    return name, public


def write_vkey(name: str, kind: bytes, public: bytes) -> str:
    """Write a key as `name+hash+key`."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(kind + public).decode()}"


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """Return the four bytes that name a key of a signature type."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:KEY_ID_BYTES]


def has_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether `signature` is that of the Ed25519 key over `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Sign a text that ends with a line break and has no blank line at its end."""
    if not text.endswith("\n") or text.endswith("\n\n"):
        raise BadInputError("a note's text must end with exactly one line break")
    return f"{text}\n" + write_line(name, verifier_of(name, key).key_id, key.sign(text.encode()))


def open_note(note: str, verifier: Verifier) -> str:
    """Return a note's text if `verifier` has signed it. Raises BadInputError."""
    text, _ = open_signed(note, verifier)
    return text


def open_signed(note: str, verifier: Verifier) -> tuple[str, SignatureLine]:
    """Return a note's text and the line by which `verifier` has signed it. Raises BadInputError."""
    text, lines = split_note(note)
    message = text.encode(errors="surrogatepass")
    for line in lines:
        if line.is_by(verifier.name, verifier.key_id) and verifier.has_signed(message, line.raw):
            return text, line
    raise BadInputError(f"the note is not signed by {verifier.name}")


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line below a note's text; nothing about it is proven."""

    name: str
    key_id: bytes
    raw: bytes  # the signature, as its type has it

    def is_by(self, name: str, identity: bytes) -> bool:
        """Say whether it claims to be by a key."""
        return (self.name, self.key_id) == (name, identity)

    def __str__(self) -> str:
        return write_line(self.name, self.key_id, self.raw)


def split_note(note: str) -> tuple[str, list[SignatureLine]]:
    """Take a note apart: the text with its last line break, and 1 to 16 signature lines. Raises BadInputError."""
    text, divider, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if len(note) > NOTE_CHARS_MAX or not divider or lines.pop() or not 1 <= len(lines) <= SIGNATURES_MAX:
        raise BadInputError("not a signed note")
    return text + "\n", [_read_line(line) for line in lines]


def write_line(name: str, identity: bytes, signature: bytes) -> str:
    """Write a signature line, with its line break."""
    return f"\N{EM DASH} {name} {base64.b64encode(identity + signature).decode()}\n"


def _read_line(line: str) -> SignatureLine:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = _unbase64(encoded)
    if dash != "\N{EM DASH}" or len(signature) <= KEY_ID_BYTES:
        raise BadInputError("not a signed note: a malformed signature line")
    return SignatureLine(name, signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:])


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
