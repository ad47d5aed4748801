r"""The words that every signed message is spelled with: names, times and keys, each with its pattern and limit.

Rules of this file: patterns end in `\Z` (`$` would let a trailing newline through); what may become a file name or a
topic has no dot, slash or wildcard; what a person will read has no control or text-direction characters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.signing import SigningKey, key_from_jwk, thumbprint

CAMERAS_MAX: Final = 64
SKEW_S: Final = 60
KEYS_KEPT: Final = 128
"""Public keys that have been read are kept in memory: the same few come with every command."""

Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
"""A hub, command, grant, incident, agency or recipient: 1-64 characters, safe as a file name and in a topic."""

Subject = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,95}\Z")]
"""A person or console as the issuer names them."""

CameraName = Annotated[CameraId, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]

IncidentType = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9._-]{0,47}\Z")]
"""Such as `alarm.burglary`; the agency's list, an owner's policy names the ones that count."""

_UNSEEN: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
Label = Annotated[str, Meta(pattern=rf"^[^{_UNSEEN}]{{0,100}}\Z")]
"""A name for people, up to 100 characters, without control or text-direction characters."""

Sentence = Annotated[str, Meta(pattern=rf"^(?=.*\S)[^{_UNSEEN}]{{1,500}}\Z")]
"""A few words for people, up to 500 characters, not blank."""

Thumbprint = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]
"""RFC 7638 thumbprint with SHA-256: the name of a key."""

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

NumericDate = Annotated[int, Meta(ge=0, le=4_102_444_800)]
"""Whole seconds since 1970-01-01 UTC (RFC 7519 section 2), up to the year 2100."""

Moment = Annotated[str, Meta(pattern=r"^20[0-9]{2}-[0-9T:.-]{6,26}Z\Z")]
"""An RFC 3339 time in UTC; used where the question is about pictures, to the nanosecond."""

Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Token = Annotated[str, Meta(min_length=1, max_length=64 * 1024)]
"""A compact JWS."""


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every signed message is made from: nothing may be added that its reader does not understand."""


class Jwk(Claims, frozen=True):
    """A public key, Ed25519 or P-256, with its required members only (RFC 7517); a private one is refused."""

    kty: str
    crv: str
    x: Annotated[str, Meta(max_length=64)]
    y: Annotated[str, Meta(max_length=64)] | None = None

    def key(self) -> SigningKey:
        """Return the key; raises BadInputError if it is not a point on its curve."""
        return _named_key(self)[0]

    @property
    def thumbprint(self) -> str:
        """The key's name; raises BadInputError like `key`."""
        return _named_key(self)[1]


@lru_cache(maxsize=KEYS_KEPT)
def _named_key(jwk: Jwk) -> tuple[SigningKey, str]:
    members = {"kty": jwk.kty, "crv": jwk.crv, "x": jwk.x}
    key = key_from_jwk(members if jwk.y is None else {**members, "y": jwk.y})
    return key, thumbprint(key)


class WindowClaim(Claims, frozen=True):
    """A half-open interval `[start, end)` of UTC as two RFC 3339 times."""

    start: Moment
    end: Moment

    def window(self) -> Window:
        """Return it as a Window; raises BadInputError if it is empty or not made of times."""
        return Window(parse_rfc3339(self.start), parse_rfc3339(self.end))


def wall_time(seconds: int) -> WallTime:
    """Turn a NumericDate into the hub's time."""
    return WallTime(seconds * SECOND_NS)


SKEW_NS: Final = SKEW_S * SECOND_NS
"""How far two honest clocks may differ; every time in a signed message is read with it."""
