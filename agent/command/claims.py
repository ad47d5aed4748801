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
    Subject,
    Thumbprint,
    Token,
    WindowClaim,
)

COMMAND_TYP: Final = "transom-command+jwt"
CHAIN_GRANTS_MAX: Final = 4
RECIPIENTS_MAX: Final = 8
EVERY_CAMERA: Final = "*"

CameraOrEvery = Annotated[CameraId, Meta(pattern=r"^([a-z0-9-]{1,32}|\*)\Z")]


class Envelope(Claims, frozen=True):
    """The MQTT payload: the command and the grants that carry it from a root to its signer."""

    v: Literal[1]
    cmd: Token
    chain: Annotated[tuple[Token, ...], Meta(min_length=1, max_length=CHAIN_GRANTS_MAX)]
    approvals: Annotated[tuple[Token, ...], Meta(max_length=4)] = ()  # step 8: not understood yet, so refused


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


class IncidentClaim(Claims, frozen=True):
    """What happened, in the agency's words."""

    id: Identifier
    type: IncidentType
    reported_at: Moment


class UploadClaim(Claims, frozen=True):
    """Where the parts go; `token` is a bearer token (RFC 6750 section 2.1), so it cannot carry a second header."""

    method: Literal["tus"]
    url: Annotated[str, Meta(max_length=2048)]
    receipts_url: Annotated[str, Meta(max_length=2048)]
    token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~+/-]{1,4096}={0,2}\Z")]

    def __repr__(self) -> str:
        return f"UploadClaim(url={self.url!r}, token=***)"


class ClipUploadParams(Claims, frozen=True):
    """What `clip.upload` asks for. Cameras are names, or the one word `*` for every camera the owner shares."""

    incident: IncidentClaim
    window: WindowClaim
    cameras: Annotated[tuple[CameraOrEvery, ...], Meta(min_length=1, max_length=CAMERAS_MAX)]
    recipients: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=RECIPIENTS_MAX)]
    upload: UploadClaim
    basis: Literal["consent", "warrant", "exigent"]
    reason: Sentence


class PingParams(Claims, frozen=True):
    """`hub.ping` takes nothing."""
