"""Broker bytes become a verified command, or a refusal with its reason; the numbered order is `FORMAT.md`'s.

Rules of this file: nothing is believed because of where it came from; a step only uses what earlier steps proved; no
socket, file or clock; every input ends as a value, never as an exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.command.claims import (
    COMMAND_TYP,
    EVERY_CAMERA,
    ClipUploadParams,
    CommandClaims,
    Envelope,
    PingParams,
)
from agent.command.destination import choose_recipients, choose_target
from agent.command.grants import Scope, Signer, follow_chain
from agent.command.ping import VerifiedPing
from agent.command.refused import RefusedError, refusing
from agent.command.request import Incident, Refusal, RefusalReason, VerifiedCommand
from agent.command.roles import ROLE_ACTIONS
from agent.command.statement import open_strictly, unverified_claims
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.command.words import SKEW_NS, wall_time
from agent.crypto import sha256_hex
from agent.errors import BadInputError

COMMAND_LIFETIME_S_MAX: Final = 24 * 3600
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Audience:
    """Which hub this is, and how often it has been paired: a re-paired hub ignores old orders."""

    hub: str
    epoch: int

    @property
    def claim(self) -> str:
        """What a command for this hub has as `aud`."""
        return f"hub:{self.hub}:{self.epoch}"


def verify(
    raw: bytes, trust: TrustBundle, audience: Audience, now: WallTime, *, is_clock_trusted: bool
) -> VerifiedCommand | VerifiedPing | Refusal:
    """Check one message from the broker, without any I/O and without raising.

    1. At most 64 KiB of strict JSON in the shape of an envelope.
    2. The clock is trusted and the trust bundle in date; otherwise fail closed.
    3. The chain of grants leads from a root to a signer: each link in time, not revoked, narrower than the one before.
    4. The command is signed by the last grant's key, in the algorithm of that key, as a command.
    5. It is for this hub and this pairing, issued and not expired (60 s of skew), and lives at most 24 hours.
    6. The action exists, the role may do it (a table in code), the grant's scope covers it.
    7. Every recipient is known, in date and of one kind; upload and receipts go to one listed host over https.
    8. Approvals: not understood yet, so an envelope that carries one is refused.

    Replay (step 9) is the journal's, since it needs a disk; consent (step 10) is `consent.decide`'s.
    A refusal carries the command's id where one could be read; before step 4 nobody vouches for that id.
    """
    return verify_again(raw, trust, audience, now, now, is_clock_trusted=is_clock_trusted)


def verify_again(
    raw: bytes, trust: TrustBundle, audience: Audience, received: WallTime, now: WallTime, *, is_clock_trusted: bool
) -> VerifiedCommand | VerifiedPing | Refusal:
    """Check a stored message after a restart: it had to be in time when it was `received`, but by the trust of today.

    So a job outlives its command's expiry, but not a revocation. Steps and answers are those of `verify`.
    """
    try:
        envelope = _read_envelope(raw)
    except RefusedError as no:
        return Refusal(no.reason, no.detail)
    try:
        _check_footing(trust, now, is_clock_trusted=is_clock_trusted)
        return _verify(envelope, trust, audience, received)
    except RefusedError as no:
        return Refusal(no.reason, no.detail, _unverified_id(envelope.cmd))


def _verify(
    envelope: Envelope, trust: TrustBundle, audience: Audience, now: WallTime
) -> VerifiedCommand | VerifiedPing:
    signer = follow_chain(envelope.chain, trust, now)  # 3.
    claims = _read_claims(envelope.cmd, signer)
    _check_audience_and_time(claims, audience, trust, now)
    params = _read_params(claims, signer, audience.hub)
    if isinstance(params, PingParams):
        _refuse_approvals(envelope)
        return _ping(envelope, claims, signer, trust)
    return _clip_upload(envelope, claims, params, signer, trust, now)


def _read_envelope(raw: bytes) -> Envelope:
    # 1. Size, strict JSON, shape.
    with refusing(RefusalReason.BAD_ENVELOPE):
        return decode(raw, Envelope, "envelope")


def _check_footing(trust: TrustBundle, now: WallTime, *, is_clock_trusted: bool) -> None:
    # 2. Without a clock or a bundle in date no later answer would mean anything.
    if not is_clock_trusted:
        raise RefusedError(RefusalReason.CLOCK_UNTRUSTED, "the hub's clock is not synchronised yet")
    if not trust.issued - SKEW_NS <= now < trust.expires + SKEW_NS:
        raise RefusedError(RefusalReason.TRUST_EXPIRED, f"trust bundle {trust.version} is not in date")


def _read_claims(token: str, signer: Signer) -> CommandClaims:
    # 4. The algorithm follows the key; a grant, a policy or an answer cannot pass as a command.
    with refusing(RefusalReason.BAD_SIGNATURE):
        signed = open_strictly(token, signer.key, COMMAND_TYP)
    with refusing(RefusalReason.BAD_ENVELOPE):
        claims = decode(signed, CommandClaims, "command")
    if claims.iss != signer.thumbprint or claims.sub != signer.grant.sub:
        raise RefusedError(RefusalReason.BAD_SIGNATURE, "a command in another signer's name")
    return claims


def _check_audience_and_time(claims: CommandClaims, audience: Audience, trust: TrustBundle, now: WallTime) -> None:
    # 5. For this hub, this pairing, this moment.
    if claims.aud != audience.claim:
        raise RefusedError(RefusalReason.WRONG_AUDIENCE, "for another hub or another pairing of this one")
    if claims.iat < trust.min_iat:
        raise RefusedError(RefusalReason.REVOKED, "issued before everything of that time was revoked")
    if now < wall_time(claims.iat) - SKEW_NS:
        raise RefusedError(RefusalReason.NOT_YET_VALID, "issued in the future")
    if not 0 < claims.exp - claims.iat <= COMMAND_LIFETIME_S_MAX:
        raise RefusedError(RefusalReason.EXPIRED, f"must live between 1 and {COMMAND_LIFETIME_S_MAX} seconds")
    if now >= wall_time(claims.exp) + SKEW_NS:
        raise RefusedError(RefusalReason.EXPIRED, "expired")


def _read_params(claims: CommandClaims, signer: Signer, hub: str) -> ClipUploadParams | PingParams:
    # 6. The action exists; the role table in code and the grant's scope both allow it.
    grant = signer.grant
    shapes: dict[str, type[ClipUploadParams | PingParams]] = {"clip.upload": ClipUploadParams, "hub.ping": PingParams}
    shape = shapes.get(claims.action)
    if shape is None:
        raise RefusedError(RefusalReason.UNSUPPORTED, f"this hub does not know {claims.action}")
    if claims.action not in ROLE_ACTIONS[grant.role]:
        raise RefusedError(RefusalReason.ROLE, f"{grant.role} may not {claims.action}")
    if claims.action not in grant.scope.actions or (grant.scope.hubs is not None and hub not in grant.scope.hubs):
        raise RefusedError(
            RefusalReason.GRANT_SCOPE, f"the grant of {grant.sub} does not cover this action on this hub"
        )
    with refusing(RefusalReason.BAD_ENVELOPE):
        params = decode(bytes(claims.params), shape, claims.action)
    if isinstance(params, ClipUploadParams):
        _check_clip_scope(params, grant.scope)
    return params


def _check_clip_scope(params: ClipUploadParams, scope: Scope) -> None:
    with refusing(RefusalReason.BAD_ENVELOPE):
        window = params.window.window()
    if scope.incident_types is not None and params.incident.type not in scope.incident_types:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"the grant does not cover {params.incident.type}")
    if scope.window_s_max is not None and window.end - window.start > scope.window_s_max * SECOND_NS:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"the grant covers windows up to {scope.window_s_max} s")
    if len(set(params.cameras)) != len(params.cameras) or (EVERY_CAMERA in params.cameras and len(params.cameras) > 1):
        raise RefusedError(RefusalReason.BAD_ENVELOPE, "a camera twice, or * beside others")


def _refuse_approvals(envelope: Envelope) -> None:
    # 8. What the hub does not understand it does not pass over.
    if envelope.approvals:
        raise RefusedError(RefusalReason.UNSUPPORTED, "this hub does not know approvals yet")


def _clip_upload(
    envelope: Envelope,
    claims: CommandClaims,
    params: ClipUploadParams,
    signer: Signer,
    trust: TrustBundle,
    now: WallTime,
) -> VerifiedCommand:
    with refusing(RefusalReason.BAD_ENVELOPE):
        incident = Incident(params.incident.id, params.incident.type, parse_rfc3339(params.incident.reported_at))
    # 7. Who may open it, and where it may go.
    recipients = choose_recipients(params.recipients, trust, now)
    target = choose_target(params.upload, trust)
    _refuse_approvals(envelope)
    return VerifiedCommand(
        id=claims.jti,
        sha256=sha256_hex(envelope.cmd.encode()),
        signer=signer.thumbprint,
        subject=claims.sub,
        role=signer.grant.role,
        agency=trust.agency.id,
        root=signer.root,
        action=claims.action,
        issued=wall_time(claims.iat),
        expires=wall_time(claims.exp),
        incident=incident,
        window=params.window.window(),
        cameras=() if EVERY_CAMERA in params.cameras else params.cameras,
        recipients=recipients,
        upload=target,
        basis=params.basis,
        reason=params.reason,
    )


def _ping(envelope: Envelope, claims: CommandClaims, signer: Signer, trust: TrustBundle) -> VerifiedPing:
    return VerifiedPing(
        id=claims.jti,
        sha256=sha256_hex(envelope.cmd.encode()),
        signer=signer.thumbprint,
        subject=claims.sub,
        role=signer.grant.role,
        agency=trust.agency.id,
        root=signer.root,
        issued=wall_time(claims.iat),
        expires=wall_time(claims.exp),
    )


def _unverified_id(token: str) -> str:
    try:
        name = unverified_claims(token).get("jti")
    except BadInputError:
        return ""
    return name if isinstance(name, str) and _IDENTIFIER.fullmatch(name) else ""
