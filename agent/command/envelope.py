"""Broker bytes become a verified command, or a refusal with its reason; the numbered order is `FORMAT.md`'s.

Rules of this file: nothing is believed because of where it came from; a step only uses what earlier steps proved; no
socket, file or clock; every input ends as a value, never as an exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.command.approval import check_approvals
from agent.command.claims import (
    COMMAND_TYP,
    EVERY_CAMERA,
    ClipHoldParams,
    ClipParams,
    ClipUploadParams,
    CommandClaims,
    Envelope,
    FirmwareInstallParams,
    JobOrderParams,
    PingParams,
)
from agent.command.destination import check_source, choose_recipients, choose_target
from agent.command.grants import Signer, follow_chain
from agent.command.orders import NOWHERE, UpkeepParams, VerifiedHold, VerifiedJobOrder, VerifiedUpkeep
from agent.command.parameters import least_scope, read_params
from agent.command.ping import VerifiedPing
from agent.command.refused import RefusedError, refusing
from agent.command.request import Incident, Refusal, RefusalReason, VerifiedCommand
from agent.command.statement import open_strictly, unverified_claims
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.command.words import SKEW_NS, wall_time
from agent.crypto import sha256_hex
from agent.errors import BadInputError

Verified = VerifiedCommand | VerifiedHold | VerifiedJobOrder | VerifiedUpkeep | VerifiedPing
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
) -> Verified | Refusal:
    """Check one message from the broker, without any I/O and without raising.

    1. At most 64 KiB of strict JSON in the shape of an envelope.
    2. The clock is trusted and the trust bundle in date; otherwise fail closed.
    3. The chain of grants leads from a root to a signer: each link in time, not revoked, narrower than the one before.
    4. The command is signed by the last grant's key, in the algorithm of that key, as a command.
    5. It is for this hub and this pairing, issued and not expired (60 s of skew), and lives at most 24 hours.
    6. The action exists, the role may do it (a table in code), the grant's scope covers it.
    7. About clips: every recipient is known, in date and of one kind; upload and receipts go to one listed host.
    8. A second officer has approved exactly this command, if the trust bundle or the grant wants that.

    Replay (step 9) is the journal's, since it needs a disk; consent (step 10) is `consent.decide`'s.
    A refusal carries the command's id where one could be read; before step 4 nobody vouches for that id.
    """
    return verify_again(raw, trust, audience, now, now, is_clock_trusted=is_clock_trusted)


def verify_again(
    raw: bytes, trust: TrustBundle, audience: Audience, received: WallTime, now: WallTime, *, is_clock_trusted: bool
) -> Verified | Refusal:
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


def _verify(envelope: Envelope, trust: TrustBundle, audience: Audience, now: WallTime) -> Verified:
    signer = follow_chain(envelope.chain, trust, now)  # 3.
    claims = _read_claims(envelope.cmd, signer)
    _check_audience_and_time(claims, audience, trust, now)
    params = read_params(claims, signer, audience.hub)  # 6.
    if isinstance(params, ClipParams):
        return _clip(envelope, claims, params, signer, audience.hub, trust, now)
    return _of_the_hub(envelope, claims, params, signer, trust)


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


def _clip(
    envelope: Envelope,
    claims: CommandClaims,
    params: ClipParams,
    signer: Signer,
    hub: str,
    trust: TrustBundle,
    now: WallTime,
) -> Verified:
    """Make what a command about clips has become, once its recipients, target and approvals hold."""
    with refusing(RefusalReason.BAD_ENVELOPE):
        incident = Incident(params.incident.id, params.incident.type, parse_rfc3339(params.incident.reported_at))
    # 7. Who may open it, and where it may go.
    recipients = choose_recipients(params.recipients, trust, now)
    target = choose_target(params.upload, trust) if isinstance(params, ClipUploadParams) else NOWHERE
    # 8. Another officer, where the bundle or the grant wants one.
    digest = sha256_hex(envelope.cmd.encode())
    needs = trust, least_scope(claims, params, hub)
    approved_by = check_approvals(envelope.approvals, (claims, digest), signer, needs, now)
    vouched = _vouched(envelope, claims, signer, trust)
    asked = VerifiedCommand(
        **{**vouched, "action": "clip.upload"},
        incident=incident,
        window=params.window.window(),
        cameras=() if EVERY_CAMERA in params.cameras else params.cameras,
        recipients=recipients,
        upload=target,
        basis=params.basis,
        reason=params.reason,
        approved_by=approved_by,
    )
    if isinstance(params, ClipHoldParams):
        return VerifiedHold(**vouched, asked=asked, until=WallTime(asked.issued + params.hold_s * SECOND_NS))
    if isinstance(params, JobOrderParams):
        return VerifiedJobOrder(**vouched, asked=asked, job=params.job)
    return asked


def _of_the_hub(
    envelope: Envelope, claims: CommandClaims, params: PingParams | UpkeepParams, signer: Signer, trust: TrustBundle
) -> Verified:
    if envelope.approvals:  # what the hub has no use for it does not pass over
        raise RefusedError(RefusalReason.UNSUPPORTED, f"{claims.action} takes no approval")
    if isinstance(params, FirmwareInstallParams):  # 7. Firmware too comes from listed hosts only.
        check_source(params.url, trust)
    vouched = _vouched(envelope, claims, signer, trust)
    return VerifiedPing(**vouched) if isinstance(params, PingParams) else VerifiedUpkeep(**vouched, params=params)


def _vouched(envelope: Envelope, claims: CommandClaims, signer: Signer, trust: TrustBundle) -> dict[str, Any]:
    """Return the members of `Vouched`."""
    return {
        "id": claims.jti,
        "sha256": sha256_hex(envelope.cmd.encode()),
        "signer": signer.thumbprint,
        "subject": claims.sub,
        "role": signer.grant.role,
        "agency": trust.agency.id,
        "root": signer.root,
        "action": claims.action,
        "issued": wall_time(claims.iat),
        "expires": wall_time(claims.exp),
    }


def _unverified_id(token: str) -> str:
    try:
        name = unverified_claims(token).get("jti")
    except BadInputError:
        return ""
    return name if isinstance(name, str) and _IDENTIFIER.fullmatch(name) else ""
