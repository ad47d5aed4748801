"""The chain of grants from a pinned root to whoever signed the command: each link in time, not revoked, never wider."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

from agent.clock import WallTime
from agent.command.refused import RefusedError, refusing
from agent.command.request import RefusalReason
from agent.command.roles import DELEGATING_ROLE, Role
from agent.command.statement import open_strictly, unverified_kid
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.command.words import (
    SKEW_NS,
    Claims,
    Identifier,
    IncidentType,
    Jwk,
    NumericDate,
    Subject,
    Thumbprint,
    wall_time,
)
from agent.signing import SigningKey

GRANT_TYP: Final = "transom-grant+jwt"
GRANTS_KEPT: Final = 64
"""Grants whose signature holds are kept in memory: they come with every command, and with every copy of one."""

Actions = Annotated[tuple[Annotated[str, Meta(pattern=r"^[a-z]{1,20}\.[a-z]{1,20}\Z")], ...], Meta(max_length=32)]
Hubs = Annotated[tuple[Identifier, ...], Meta(max_length=256)]
IncidentTypes = Annotated[tuple[IncidentType, ...], Meta(max_length=64)]


class Scope(Claims, frozen=True):
    """What a grant reaches: listed actions only; a limit that is absent (null) is not a limit of this grant."""

    actions: Actions
    hubs: Hubs | None = None
    incident_types: IncidentTypes | None = None
    window_s_max: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    second_officer: bool = False  # every command under this grant needs another officer's approval

    def is_within(self, parent: Scope) -> bool:
        """Say whether this scope reaches nothing that `parent` does not."""
        return (
            set(self.actions) <= set(parent.actions)
            and _is_subset(self.hubs, parent.hubs)
            and _is_subset(self.incident_types, parent.incident_types)
            and (
                parent.window_s_max is None
                or (self.window_s_max is not None and self.window_s_max <= parent.window_s_max)
            )
            and self.second_officer >= parent.second_officer
        )


class Confirmation(Claims, frozen=True):
    """The key that the grant is for (RFC 7800 section 3.2)."""

    jwk: Jwk


class Grant(Claims, frozen=True):
    """The claims of a `transom-grant+jwt`: `iss` lets the holder of `cnf` act as `role` within `scope`."""

    iss: Thumbprint
    sub: Subject
    jti: Identifier
    iat: NumericDate
    nbf: NumericDate
    exp: NumericDate
    cnf: Confirmation
    role: Role
    scope: Scope


@dataclass(frozen=True, slots=True)
class Signer:
    """The end of a chain that holds: who may sign the command, and under which grant."""

    key: SigningKey
    thumbprint: str
    grant: Grant
    root: str


def follow_chain(chain: tuple[str, ...], trust: TrustBundle, now: WallTime) -> Signer:
    """Walk from a root of the bundle to the last grant's key (step 3). Raises RefusedError."""
    # 3a. The first link must be signed by a root that the bundle lists.
    with refusing(RefusalReason.BAD_SIGNATURE):
        root = unverified_kid(chain[0])
    key = trust.root_keys().get(root)
    if key is None:
        raise RefusedError(RefusalReason.UNKNOWN_ROOT, "the chain does not start at a root of the trust bundle")
    name, parent = root, None
    for token in chain:
        if name in trust.revoked_keys:
            raise RefusedError(RefusalReason.REVOKED, f"key {name[:12]} is revoked")
        grant = _read(token, _Issuer(name, key))
        _check_times(grant, trust, now)
        if parent is not None:
            _check_narrower(grant, parent)
        with refusing(RefusalReason.BAD_ENVELOPE):
            key, name = grant.cnf.jwk.key(), grant.cnf.jwk.thumbprint
        parent = grant
    if name in trust.revoked_keys:
        raise RefusedError(RefusalReason.REVOKED, f"key {name[:12]} is revoked")
    return Signer(key, name, grant, root)


@dataclass(frozen=True, slots=True)
class _Issuer:
    """Who must have signed a grant; the name is the key's thumbprint, so two of the same name are the same."""

    name: str
    key: SigningKey = field(compare=False)


@lru_cache(maxsize=GRANTS_KEPT)
def _read(token: str, issuer: _Issuer) -> Grant:
    # 3b. Signed by the parent's key, as a grant and nothing else. That holds for good, so it is checked once; a refusal
    # raises and is not kept, and what depends on the moment or on the trust bundle is asked anew every time.
    with refusing(RefusalReason.BAD_SIGNATURE):
        signed = open_strictly(token, issuer.key, GRANT_TYP)
    with refusing(RefusalReason.BAD_ENVELOPE):
        grant = decode(signed, Grant, "grant")
    if grant.iss != issuer.name:
        raise RefusedError(RefusalReason.BAD_SIGNATURE, "a grant in another issuer's name")
    return grant


def _check_times(grant: Grant, trust: TrustBundle, now: WallTime) -> None:
    # 3c. In time, and not taken back.
    if not wall_time(grant.nbf) - SKEW_NS <= now < wall_time(grant.exp) + SKEW_NS:
        raise RefusedError(RefusalReason.GRANT_EXPIRED, f"the grant of {grant.sub} is not in time")
    if grant.jti in trust.revoked_grants or grant.iat < trust.min_iat:
        raise RefusedError(RefusalReason.REVOKED, f"the grant of {grant.sub} is revoked")


def _check_narrower(grant: Grant, parent: Grant) -> None:
    # 3d. Only an issuer delegates, and never more or longer than it has.
    if parent.role != DELEGATING_ROLE:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"a {parent.role} may not grant anything")
    if not grant.scope.is_within(parent.scope) or grant.exp > parent.exp:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"the grant of {grant.sub} is wider than its parent")


def _is_subset(child: tuple[str, ...] | None, parent: tuple[str, ...] | None) -> bool:
    return parent is None or (child is not None and set(child) <= set(parent))
