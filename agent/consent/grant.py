"""The three answers of the hub to a verified command: its yes, its no (`command.request.Refusal`), or a question."""

from __future__ import annotations

from dataclasses import dataclass

from agent.acquire.stream import CameraId
from agent.clock import WallTime, Window
from agent.command.request import VerifiedCommand
from agent.consent.mask import CameraMasks


@dataclass(frozen=True, slots=True)
class Granted:
    """The hub's own yes to one command, for exactly these cameras and this window.

    Built by `decide.decide` only; a cut cannot be planned without one.
    """

    command: VerifiedCommand
    cameras: tuple[CameraId, ...]  # at least one
    window: Window
    policy_version: int
    policy_sha256: str
    mode: str  # "opt_in", or "owner_said_yes"
    masks: CameraMasks  # of these cameras, as they stood when it was given; none is ever taken away again
    sound: tuple[CameraId, ...] = ()  # those of the cameras whose sound is granted with their pictures


@dataclass(frozen=True, slots=True)
class Ask:
    """The owner must be asked; without an answer by `deadline` it is a no."""

    command: VerifiedCommand
    cameras: tuple[CameraId, ...]
    window: Window
    deadline: WallTime
    sound: tuple[CameraId, ...] = ()  # those of the cameras whose sound a yes would cover
