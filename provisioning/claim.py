"""The code a phone shows to a camera: which server to enrol with, once, and proof that the label has been read.

Rules of this file: nothing in a claim is believed before its MAC is checked, and the label's secret is never in it.
The bytes are specified in FORMAT.md, section 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from provisioning import base45
from provisioning.errors import BadInputError
from provisioning.secret import Secret, authenticate, is_authentic

PREFIX: Final = "H1:"
PURPOSE: Final = b"transom/claim/v1"
CLAIM_CHARACTERS_MAX: Final = 154
"""What a QR code of version 5-L holds: at 45 modules with its margin, a phone 25 cm from a 1080p camera is readable."""
CODE_BYTES: Final = 16
PIN_BYTES: Final = 32
MAC_BYTES: Final = 16
CLAIM_LIFETIME_S: Final = 15 * 60
EXPIRY_S_MAX: Final = 0xFFFF_FFFF

_FIXED_BYTES: Final = CODE_BYTES + PIN_BYTES + 4 + MAC_BYTES
_FIXED_CHARACTERS: Final = _FIXED_BYTES // 2 * 3
SERVER_CHARACTERS_MAX: Final = CLAIM_CHARACTERS_MAX - len(PREFIX) - _FIXED_CHARACTERS
_SERVER: Final = re.compile(r"([A-Z0-9](?:[A-Z0-9.-]*[A-Z0-9])?):([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a hub needs to enrol once."""

    host: str
    """Lower case; a name or an IPv4 address."""
    port: int
    code: bytes = field(repr=False)
    """16 bytes, good for one enrolment of one hub; the server made it for a logged-in installer."""
    server_pin: bytes
    """SHA-256 of the server key's SubjectPublicKeyInfo."""
    expires_s: int
    """Unix time of the last second in which the claim is good."""


def make_claim(claim: Claim, label_secret: Secret) -> str:
    """Write the claim's text, as the installer's app does after scanning the label. Raises BadInputError."""
    server = f"{claim.host}:{claim.port}".upper()
    _read_server(server)
    if len(claim.code) != CODE_BYTES or len(claim.server_pin) != PIN_BYTES:
        raise BadInputError(f"a claim needs a code of {CODE_BYTES} bytes and a pin of {PIN_BYTES}")
    if not 0 <= claim.expires_s <= EXPIRY_S_MAX:
        raise BadInputError("a claim's expiry must be a Unix time of 32 bits")
    fixed = claim.code + claim.server_pin + claim.expires_s.to_bytes(4)
    mac = authenticate(label_secret, _authenticated(fixed, server), purpose=PURPOSE)[:MAC_BYTES]
    return PREFIX + base45.encode(fixed + mac) + server


def open_claim(text: str, label_secret: Secret, now_s: int) -> Claim:
    """Read a claim that was made from this hub's label and is still good at Unix time `now_s`.

    Raises BadInputError for any other text: most codes a camera ever sees are somebody's Wi-Fi or a parcel.
    """
    # 1. It looks like a claim of this version and size.
    start = len(PREFIX) + _FIXED_CHARACTERS
    if not text.startswith(PREFIX) or not start < len(text) <= CLAIM_CHARACTERS_MAX:
        raise BadInputError("not a claim code", cure="show the hub the code from the installer's app")
    content, server = base45.decode(text[len(PREFIX) : start]), text[start:]
    if len(content) != _FIXED_BYTES:
        raise BadInputError("not a claim code")
    # 2. Whoever made it has read this hub's label.
    fixed, mac = content[:-MAC_BYTES], content[-MAC_BYTES:]
    if not is_authentic(label_secret, _authenticated(fixed, server), mac, purpose=PURPOSE):
        raise BadInputError(
            "the claim code was not made from this hub's label",
            cure="scan the label on this hub, then show the new code",
        )
    # 3. It is still good.
    host, port = _read_server(server)
    expires_s = int.from_bytes(fixed[-4:])
    if now_s > expires_s:
        raise BadInputError("the claim code has expired", cure="make a new one in the installer's app")
    return Claim(host, port, fixed[:CODE_BYTES], fixed[CODE_BYTES:-4], expires_s)


def _authenticated(fixed: bytes, server: str) -> bytes:
    return PREFIX.encode() + fixed + server.encode("utf-8", "surrogatepass")


def _read_server(server: str) -> tuple[str, int]:
    match = _SERVER.fullmatch(server)
    if match is None or len(server) > SERVER_CHARACTERS_MAX or int(match[2]) > 0xFFFF:  # noqa: PLR2004 - the largest port
        raise BadInputError(
            f"not a server for a claim: {server[:80]!r}",
            cure=f"HOST:PORT of at most {SERVER_CHARACTERS_MAX} characters; a name or IPv4 address",
        )
    return match[1].lower(), int(match[2])
