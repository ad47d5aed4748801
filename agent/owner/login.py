"""The owner proves who they are, by a signature and without a password: nonces out, login statements in.

A session that follows from it can read. It can decide nothing: answers and policies are statements of their own.

Rules of this file: a nonce is made of numbers that only this hub can make, so that asking for nonces takes no memory;
it lets in once. Specified in FORMAT.md, section 2.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from msgspec import Meta

from agent.clock import SECOND_NS, Instant, WallTime
from agent.command.envelope import Audience
from agent.command.statement import base64url, open_strictly
from agent.command.strict_json import decode
from agent.command.words import SKEW_NS, Claims, NumericDate, Sha256, wall_time
from agent.crypto import Secret, sha256_hex
from agent.errors import BadInputError
from agent.signing import SigningKey

LOGIN_TYP: Final = "transom-login+jwt"
LOGIN_LIFETIME_S_MAX: Final = 300
NONCE_S_MAX: Final = 120
USED_NONCES_MAX: Final = 256
"""Only the owner's signature uses one up."""

NOT_THE_OWNER: Final = "this is not the key of this hub's owner"
NOT_THE_OWNER_CURE: Final = "choose the key file that you paired the hub with"
_TIME_BYTES: Final = 8
_RANDOM_BYTES: Final = 16
_SEAL_BYTES: Final = 32


class LoginClaims(Claims, frozen=True):
    """The claims of a `transom-login+jwt`."""

    audience: Sha256  # of `audience_of`: this hub, this pairing, this nonce
    nonce: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{75}\Z")]
    origin: Annotated[str, Meta(pattern=r"^https://[^\s/]{1,300}\Z")]
    iat: NumericDate
    exp: NumericDate


class Nonces:
    """Makes nonces with a key of its own (32 random bytes) and lets each be used once."""

    def __init__(self, key: Secret) -> None:
        self._key = key
        self._used: dict[str, Instant] = {}

    def make(self, now: Instant, random: bytes) -> str:
        """Make a nonce that is good for `NONCE_S_MAX`; `random` is 16 bytes that nobody can guess."""
        content = now.to_bytes(_TIME_BYTES) + random[:_RANDOM_BYTES]
        return _base64url(content + self._seal(content).finalize())

    def check(self, nonce: str, now: Instant) -> None:
        """Raise BadInputError unless it is one of ours, fresh and unused."""
        content = base64url(nonce)
        seal = self._seal(content[:-_SEAL_BYTES])
        try:
            seal.verify(content[-_SEAL_BYTES:])
        except InvalidSignature:
            raise BadInputError("a login with a nonce that is not this hub's", cure="load the page again") from None
        age = now - int.from_bytes(content[:_TIME_BYTES])
        if not 0 <= age <= NONCE_S_MAX * SECOND_NS:
            raise BadInputError("a login that took too long", cure="try again")
        if nonce in self._used:
            raise BadInputError("a login that was used before", cure="try again")

    def use_up(self, nonce: str, now: Instant) -> None:
        """Let nobody in by it again."""
        oldest = now - NONCE_S_MAX * SECOND_NS
        self._used = {one: at for one, at in self._used.items() if at >= oldest}
        if len(self._used) >= USED_NONCES_MAX:
            raise BadInputError("more logins than a person makes", cure="wait two minutes, then try again")
        self._used[nonce] = now

    def _seal(self, content: bytes) -> hmac.HMAC:
        seal = hmac.HMAC(self._key.reveal(), hashes.SHA256())
        seal.update(content)
        return seal


def audience_of(audience: Audience, nonce: str) -> str:
    """Name hub and pairing for one login, without telling whoever asks which hub this is."""
    return sha256_hex(f"hub:{audience.hub}:{audience.epoch}\n{nonce}".encode())


def open_login(  # noqa: PLR0913 - everything that a login is bound to, each by name
    token: str,
    owner: SigningKey | None,
    *,
    audience: Audience,
    origin: str,
    nonces: Nonces,
    now: WallTime,
    instant: Instant,
    is_clock_trusted: bool,
) -> LoginClaims:
    """Check a login statement in the numbered order of FORMAT.md; its nonce is used up. Raises BadInputError."""
    # 1. There is an owner, and this is their signature. Who is not the owner is told nothing about who is.
    if owner is None:
        raise BadInputError(NOT_THE_OWNER, cure=NOT_THE_OWNER_CURE)
    try:
        claims = open_strictly(token, owner, LOGIN_TYP)
    except BadInputError as error:
        raise BadInputError(NOT_THE_OWNER, cure=NOT_THE_OWNER_CURE) from error
    login = decode(claims, LoginClaims, LOGIN_TYP)
    # 2. For this hub, this pairing and this nonce.
    if login.audience != audience_of(audience, login.nonce):
        raise BadInputError("a login for another hub, or for an earlier pairing", cure="load the page again")
    # 3. From the page at this address.
    if login.origin != origin:
        raise BadInputError("a login that was signed on another page", cure="open this hub's own page")
    # 4. In time, if this hub knows the time; the nonce is fresh in any case.
    if not 0 < login.exp - login.iat <= LOGIN_LIFETIME_S_MAX:
        raise BadInputError(f"a login must live between 1 and {LOGIN_LIFETIME_S_MAX} seconds")
    if is_clock_trusted and not wall_time(login.iat) - SKEW_NS <= now < wall_time(login.exp) + SKEW_NS:
        raise BadInputError("a login that is not in time", cure="set the clock of your phone or computer")
    # 5. By a nonce of this hub, not older than two minutes, once.
    nonces.check(login.nonce, instant)
    nonces.use_up(login.nonce, instant)
    return login


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
