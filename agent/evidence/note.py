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
_KEY_ID_BYTES: Final = 4
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
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def verifier_of(name: str, key: Ed25519PrivateKey) -> Verifier:
    """Return the public half of a key under a name of letters, digits and `._:/-`."""
    if not _NAME.fullmatch(name):
        raise BadInputError(f"not a name for a key: {name[:40]!r}")
    return Verifier(name, key.public_key().public_bytes_raw())


def parse_verifier(text: str) -> Verifier:
    """Read `name+hash+key`. Raises BadInputError; the hash finds mistyped and mixed-up lines."""
    match = _VKEY.fullmatch(text)
    raw = _unbase64(match[3]) if match else b""
    if match is None or len(raw) != 1 + 32 or raw[:1] != _ED25519:
        raise BadInputError("not a verifier key: it looks like `name+0123abcd+base64`")
    verifier = Verifier(match[1], raw[1:])
    if str(verifier) != text:
        raise BadInputError(f"the verifier key of {verifier.name} is mistyped: name, hash and key do not fit together")
    return verifier


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """Sign a text that ends with a line break and has no blank line at its end."""
    if not text.endswith("\n") or text.endswith("\n\n"):
        raise BadInputError("a note's text must end with exactly one line break")
    signature = verifier_of(name, key).key_id + key.sign(text.encode())
    return f"{text}\n\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """Return a note's text if `verifier` has signed it. Raises BadInputError."""
    text, divider, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if len(note) > NOTE_CHARS_MAX or not divider or lines.pop() or not 1 <= len(lines) <= SIGNATURES_MAX:
        raise BadInputError("not a signed note")
    message = (text + "\n").encode(errors="surrogatepass")
    is_signed = False
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        signature = _unbase64(encoded)
        if dash != "\N{EM DASH}" or len(signature) <= _KEY_ID_BYTES:
            raise BadInputError("not a signed note: a malformed signature line")
        is_ours = name == verifier.name and signature[:_KEY_ID_BYTES] == verifier.key_id
        is_signed |= is_ours and verifier.has_signed(message, signature[_KEY_ID_BYTES:])
    if not is_signed:
        raise BadInputError(f"the note is not signed by {verifier.name}")
    return text + "\n"


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
