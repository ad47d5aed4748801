"""Verified commands that send nothing by themselves: holds, orders about a job, and the upkeep of the hub.

Rules of this file: none of these types is a `VerifiedCommand`, so none can become a grant, a cut or an upload. What a
hold or an extension would want of the owner stands in it as the upload it prepares, without anywhere to send it to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.clock import WallTime
from agent.command.claims import ConfigSetParams, FirmwareInstallParams, TrustUpdateParams
from agent.command.request import UploadTarget, VerifiedCommand, Vouched
from agent.crypto import Secret

NOWHERE: Final = UploadTarget("", "", Secret(""))


@dataclass(frozen=True, slots=True)
class VerifiedHold(Vouched):
    """A `clip.hold`: keep this footage until then, in case `asked` comes as an upload."""

    asked: VerifiedCommand  # to NOWHERE: consent is asked about it, nothing can be sent by it
    until: WallTime


@dataclass(frozen=True, slots=True)
class VerifiedJobOrder(Vouched):
    """A `clip.release`, `clip.cancel` or `clip.extend`: what shall become of a job."""

    job: str  # the id of the command that made it
    asked: VerifiedCommand  # to NOWHERE: incident, window, cameras and recipients as this order states them


UpkeepParams = TrustUpdateParams | ConfigSetParams | FirmwareInstallParams


@dataclass(frozen=True, slots=True)
class VerifiedUpkeep(Vouched):
    """A `trust.update`, `config.set` or `firmware.install`: from the operator, about the hub, never about footage."""

    params: UpkeepParams
