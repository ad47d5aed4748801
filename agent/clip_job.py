"""The life of one clip job: every state, every event and every transition stands in this file.

Rules of this file:
- A job has one state; `after` is the only way from one to the next; what is not in the table is a bug of ours.
- The exporter stores the new state before it acts on it. A job found in an open state after a restart goes on there.
- Silence and a no of the owner are the same event at the same time: the server cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from agent.acquire.stream import CameraId
from agent.clock import WallTime, Window, rfc3339
from agent.command.request import RefusalReason
from agent.consent.mask import CameraMasks
from agent.cut.clip import ClipReport


class JobState(StrEnum):
    """The words of the status messages (`command/FORMAT.md`)."""

    RECEIVED = "RECEIVED"
    AWAITING_OWNER = "AWAITING_OWNER"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class JobEvent(StrEnum):
    """What can happen to a job."""

    GRANTED = "granted"  # the owner's policy says yes
    REFUSED = "refused"  # the owner's policy says no
    ASKED = "asked"  # the owner must say it
    OWNER_SAID_YES = "owner_said_yes"
    NO_YES_FROM_OWNER = "no_yes_from_owner"  # a no, or silence until the deadline
    DELIVERED = "delivered"  # every picture of the window is at the store, receipts are here
    DELIVERED_WITH_GAPS = "delivered_with_gaps"  # every picture there is; the manifest lists what is not
    CONSENT_WITHDRAWN = "consent_withdrawn"  # sharing is off, a no after a yes, or a policy that would not grant it now
    GAVE_UP = "gave_up"  # the store did not take it within the time we try


TRANSITIONS: Final = MappingProxyType(
    {
        (JobState.RECEIVED, JobEvent.GRANTED): JobState.IN_PROGRESS,
        (JobState.RECEIVED, JobEvent.REFUSED): JobState.REJECTED,
        (JobState.RECEIVED, JobEvent.ASKED): JobState.AWAITING_OWNER,
        (JobState.AWAITING_OWNER, JobEvent.OWNER_SAID_YES): JobState.IN_PROGRESS,
        (JobState.AWAITING_OWNER, JobEvent.NO_YES_FROM_OWNER): JobState.REJECTED,
        (JobState.IN_PROGRESS, JobEvent.DELIVERED): JobState.SUCCEEDED,
        (JobState.IN_PROGRESS, JobEvent.DELIVERED_WITH_GAPS): JobState.PARTIAL,
        (JobState.IN_PROGRESS, JobEvent.CONSENT_WITHDRAWN): JobState.CANCELED,
        (JobState.IN_PROGRESS, JobEvent.GAVE_UP): JobState.FAILED,
    },
)
OPEN_STATES: Final = frozenset(state for state, _ in TRANSITIONS)


def after(state: JobState, event: JobEvent) -> JobState:
    """Return the state that `event` leads to; KeyError means a bug of ours, not a wish of the server's."""
    return TRANSITIONS[state, event]


class PartState(StrEnum):
    """How far one sealed file has come; each is stored before the next effect starts."""

    SEALED = "SEALED"  # synced in the outbox; its bytes never change again
    CREATED = "CREATED"  # the store has given it a URL
    SENT = "SENT"  # the store has all its bytes
    RECEIPTED = "RECEIPTED"  # the store's signed receipt is here; the file may go


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the journal has it. `envelope` is the message as it came: a restart verifies it again."""

    id: str
    envelope: bytes
    received: WallTime
    state: JobState = JobState.RECEIVED
    reason: RefusalReason | None = None
    deadline: WallTime | None = None  # until when the owner may answer, if asked
    answer: str = ""  # the owner's newest signed answer, if one came
    answered: WallTime | None = None  # when it came
    cameras: tuple[CameraId, ...] = ()  # what the question is about, later what the grant covers
    window: Window | None = None  # likewise
    sound: tuple[CameraId, ...] = ()  # likewise: those of the cameras whose sound goes with their pictures
    masks: CameraMasks = field(default_factory=dict)  # of the grant, as they stood when it was given


@dataclass(frozen=True, slots=True)
class JobPart:
    """A sealed file of a job as the journal has it. The manifest of a camera is its last."""

    job: str
    camera: CameraId
    number: int
    is_manifest: bool
    start: WallTime
    end: WallTime
    state: PartState
    size: int
    sha256: str
    location: str  # upload URL, once created
    receipt: str  # signed statement, once there
    report: ClipReport | None  # None for a manifest

    @property
    def id(self) -> str:
        """Name of the part at the store; also its file's name in the outbox, before the suffix."""
        return f"{self.job}.{self.camera}." + ("manifest" if self.is_manifest else f"{self.number:04d}")


class CameraProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one camera's clip is."""

    camera: CameraId
    parts: int = 0  # at the store, with receipt
    pictures: int = 0
    delivered_until: str = ""  # RFC 3339


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the server is told about a command, on `hub/v1/{hub}/evt/cmd`."""

    command: str  # empty if the message was not understandable
    status: JobState
    at: str  # RFC 3339, hub time
    reason: RefusalReason | None = None
    detail: str = ""
    original: JobState | None = None  # for a replayed command: what became of the first
    answer_by: str = ""  # AWAITING_OWNER: when silence becomes a no
    notify: bool = False  # AWAITING_OWNER: bring the question to the owner's phone now, and not before
    cameras: tuple[CameraProgress, ...] = ()
    v: int = 1


def progress_of(parts: Sequence[JobPart]) -> tuple[CameraProgress, ...]:
    """Sum up what has arrived at the store, by camera."""
    found: dict[CameraId, CameraProgress] = {}
    for part in parts:
        if part.state is PartState.RECEIPTED and part.report is not None:
            known = found.get(part.camera, CameraProgress(part.camera))
            pictures = known.pictures + part.report.pictures
            found[part.camera] = CameraProgress(part.camera, known.parts + 1, pictures, rfc3339(part.end))
    return tuple(found.values())
