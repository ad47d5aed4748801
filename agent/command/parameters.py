"""What a command's action asks for: read in the shape of that action, and measured against role and grant (step 6)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from agent.clock import SECOND_NS
from agent.command.claims import (
    EVERY_CAMERA,
    ClipHoldParams,
    ClipParams,
    ClipUploadParams,
    CommandClaims,
    ConfigSetParams,
    FirmwareInstallParams,
    JobOrderParams,
    PingParams,
    TrustUpdateParams,
)
from agent.command.grants import Scope, Signer
from agent.command.refused import RefusedError, refusing
from agent.command.request import RefusalReason
from agent.command.roles import ROLE_ACTIONS
from agent.command.strict_json import decode

Params = (
    ClipUploadParams
    | ClipHoldParams
    | JobOrderParams
    | PingParams
    | TrustUpdateParams
    | ConfigSetParams
    | FirmwareInstallParams
)

SHAPES: Final = MappingProxyType[str, type[Params]](
    {
        "clip.upload": ClipUploadParams,
        "clip.hold": ClipHoldParams,
        "clip.release": JobOrderParams,
        "clip.cancel": JobOrderParams,
        "clip.extend": JobOrderParams,
        "hub.ping": PingParams,
        "trust.update": TrustUpdateParams,
        "config.set": ConfigSetParams,
        "firmware.install": FirmwareInstallParams,
    },
)
"""Every action there is. None looks at a camera now, orders for later, or lists what is recorded."""


def read_params(claims: CommandClaims, signer: Signer, hub: str) -> Params:
    """Return the parameters of a command that its signer may give to this hub. Raises RefusedError."""
    grant, shape = signer.grant, SHAPES.get(claims.action)
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
    if isinstance(params, ClipParams):
        _check_clip_scope(params, grant.scope)
    return params


def least_scope(claims: CommandClaims, params: ClipParams, hub: str) -> Scope:
    """Return the narrowest scope that covers a command: what whoever approves it must have at least."""
    window = params.window.window()
    seconds = -(-(window.end - window.start) // SECOND_NS)
    return Scope(
        actions=(claims.action,),
        hubs=(hub,),
        incident_types=(params.incident.type,),
        window_s_max=seconds,
        second_officer=True,
    )


def _check_clip_scope(params: ClipParams, scope: Scope) -> None:
    with refusing(RefusalReason.BAD_ENVELOPE):
        window = params.window.window()
    if scope.incident_types is not None and params.incident.type not in scope.incident_types:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"the grant does not cover {params.incident.type}")
    if scope.window_s_max is not None and window.end - window.start > scope.window_s_max * SECOND_NS:
        raise RefusedError(RefusalReason.GRANT_SCOPE, f"the grant covers windows up to {scope.window_s_max} s")
    if len(set(params.cameras)) != len(params.cameras) or (EVERY_CAMERA in params.cameras and len(params.cameras) > 1):
        raise RefusedError(RefusalReason.BAD_ENVELOPE, "a camera twice, or * beside others")
