"""What a command says, as its signer wrote it: shapes only, nothing here is believed yet."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agent.acquire.stream import CameraId
from agent.command.words import (
    CAMERAS_MAX,
    Claims,
    Identifier,
    IncidentType,
    Moment,
    NumericDate,
    Sentence,
    Sha256,
    Subject,
    Thumbprint,
    Token,
    WindowClaim,
)

COMMAND_TYP: Final = "transom-command+jwt"
APPROVAL_TYP: Final = "transom-approval+jwt"
CHAIN_GRANTS_MAX: Final = 4
RECIPIENTS_MAX: Final = 8
APPROVALS_MAX: Final = 2
HOLD_S_MIN: Final = 60
HOLD_S_MAX: Final = 7 * 24 * 3600
BUNDLE_CHARACTERS_MAX: Final = 32 * 1024  # base64 in base64 in 64 KiB
FIRMWARE_BYTES_MAX: Final = 2 * 1024**3
EVERY_CAMERA: Final = "*"

Chain = Annotated[tuple[Token, ...], Meta(min_length=1, max_length=CHAIN_GRANTS_MAX)]

CameraOrEvery = Annotated[CameraId, Meta(pattern=r"^([a-z0-9-]{1,32}|\*)\Z")]


class Approval(Claims, frozen=True):
    """A second officer's word on one command, and the grants that carry it from a root to them."""

    approval: Token
    chain: Chain


class Envelope(Claims, frozen=True):
    """The MQTT payload: the command and the grants that carry it from a root to its signer."""

    v: Literal[1]
    cmd: Token
    chain: Chain
    approvals: Annotated[tuple[Approval, ...], Meta(max_length=APPROVALS_MAX)] = ()


class CommandClaims(Claims, frozen=True):
    """The claims of a `transom-command+jwt`; `params` is read once the action is known."""

    iss: Thumbprint
    sub: Subject
    aud: Annotated[str, Meta(max_length=100)]
    jti: Identifier
    iat: NumericDate
    exp: NumericDate
    action: Annotated[str, Meta(pattern=r"^[a-z]{1,20}\.[a-z]{1,20}\Z")]
    params: msgspec.Raw


class ApprovalClaims(Claims, frozen=True):
    """The claims of a `transom-approval+jwt`: another officer agrees to exactly this command."""

    iss: Thumbprint
    sub: Subject
    aud: Annotated[str, Meta(max_length=100)]
    iat: NumericDate
    exp: NumericDate
    command_sha256: Sha256


class IncidentClaim(Claims, frozen=True):
    """What happened, in the agency's words."""

    id: Identifier
    type: IncidentType
    reported_at: Moment


class UploadClaim(Claims, frozen=True):
    """Where the parts go; `token` is a bearer token (RFC 6750 section 2.1), so it cannot carry a second header."""

    method: Literal["tus", "put"]
    url: Annotated[str, Meta(max_length=2048)]
    receipts_url: Annotated[str, Meta(max_length=2048)]
    token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~+/-]{1,4096}={0,2}\Z")]

    def __repr__(self) -> str:
        return f"UploadClaim(url={self.url!r}, token=***)"


class ClipParams(Claims, frozen=True):
    """What every command about clips states. Cameras are names, or the one word `*` for all that the owner shares."""

    incident: IncidentClaim
    window: WindowClaim
    cameras: Annotated[tuple[CameraOrEvery, ...], Meta(min_length=1, max_length=CAMERAS_MAX)]
    recipients: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=RECIPIENTS_MAX)]
    basis: Literal["consent", "warrant", "exigent"]
    reason: Sentence


class ClipUploadParams(ClipParams, frozen=True):
    """What `clip.upload` asks for."""

    upload: UploadClaim


class ClipHoldParams(ClipParams, frozen=True):
    """What `clip.hold` asks for: to keep the footage for so long."""

    hold_s: Annotated[int, Meta(ge=HOLD_S_MIN, le=HOLD_S_MAX)]


class JobOrderParams(ClipParams, frozen=True):
    """What `clip.release`, `clip.cancel` and `clip.extend` are about: a job, as the command that made it described it.

    Only the window's end may differ: `clip.extend` says the later one.
    """

    job: Identifier


class PingParams(Claims, frozen=True):
    """`hub.ping` takes nothing."""


class TrustUpdateParams(Claims, frozen=True):
    """`trust.update` brings the bundle that the trust topic would bring; the roots' signatures in it decide."""

    bundle: Annotated[str, Meta(min_length=2, max_length=BUNDLE_CHARACTERS_MAX)]


class ConfigSetParams(Claims, frozen=True, omit_defaults=True):
    """`config.set` sets what is named, of this list only; what is absent stays as it is.

    Nothing here reaches a camera, a host, a key, the ring's size or the owner's consent.
    """

    log_level: Literal["debug", "info", "warning"] | None = None
    part_s: Annotated[float, Meta(ge=1, le=60)] | None = None  # aimed length of a part while an incident runs
    give_up_h: Annotated[float, Meta(ge=1, le=168)] | None = None  # how long the store is tried


class FirmwareInstallParams(Claims, frozen=True):
    """`firmware.install` names a bundle: where it is fetched, what it must hash to; RAUC checks who signed it."""

    url: Annotated[str, Meta(max_length=2048)]
    sha256: Sha256
    size: Annotated[int, Meta(ge=1, le=FIRMWARE_BYTES_MAX)]
