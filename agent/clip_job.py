"""The life of one job: every state, every event and every transition stands in this file.

Rules of this file:
- Every command but a ping makes a job: an upload, a hold, or an order, each with its own table.
- A job has one state; `after` is the only way from one to the next; what is not in its table is a bug of ours.
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
    HELD = "HELD"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TIMED_OUT = "TIMED_OUT"


class JobEvent(StrEnum):
    """What can happen to a job."""

    GRANTED = "granted"  # the owner's policy says yes
    REFUSED = "refused"  # the owner's policy says no, or the order cannot be followed
    ASKED = "asked"  # the owner must say it
    OWNER_SAID_YES = "owner_said_yes"
    NO_YES_FROM_OWNER = "no_yes_from_owner"  # a no, or silence until the deadline
    HELD = "held"  # what there is of the footage is in the held log
    RELEASED = "released"  # by the agency
    EXPIRED = "expired"  # the time it was held for is over
    BEGUN = "begun"  # something that takes long is under way
    DONE = "done"  # an order has been followed
    DELIVERED = "delivered"  # every picture of the window is at the store, receipts are here
    DELIVERED_WITH_GAPS = "delivered_with_gaps"  # every picture there is; the manifest lists what is not
    CONSENT_WITHDRAWN = "consent_withdrawn"  # sharing is off, a no after a yes, or a policy that would not grant it now
    AGENCY_CANCELED = "agency_canceled"  # the agency needs it no longer
    GAVE_UP = "gave_up"  # nobody would take it, or it could not be done
    TIME_OVER = "time_over"  # the store did not take it within the time we try


_State, _Event = JobState, JobEvent

_UPLOAD: Final = {
    (_State.RECEIVED, _Event.GRANTED): _State.IN_PROGRESS,
    (_State.RECEIVED, _Event.REFUSED): _State.REJECTED,
    (_State.RECEIVED, _Event.ASKED): _State.AWAITING_OWNER,
    (_State.RECEIVED, _Event.AGENCY_CANCELED): _State.CANCELED,
    (_State.AWAITING_OWNER, _Event.OWNER_SAID_YES): _State.IN_PROGRESS,
    (_State.AWAITING_OWNER, _Event.NO_YES_FROM_OWNER): _State.REJECTED,
    (_State.AWAITING_OWNER, _Event.AGENCY_CANCELED): _State.CANCELED,
    (_State.IN_PROGRESS, _Event.DELIVERED): _State.SUCCEEDED,
    (_State.IN_PROGRESS, _Event.DELIVERED_WITH_GAPS): _State.PARTIAL,
    (_State.IN_PROGRESS, _Event.CONSENT_WITHDRAWN): _State.CANCELED,
    (_State.IN_PROGRESS, _Event.AGENCY_CANCELED): _State.CANCELED,
    (_State.IN_PROGRESS, _Event.GAVE_UP): _State.FAILED,
    (_State.IN_PROGRESS, _Event.TIME_OVER): _State.TIMED_OUT,
}
_HOLD: Final = {
    (_State.RECEIVED, _Event.HELD): _State.HELD,
    (_State.RECEIVED, _Event.REFUSED): _State.REJECTED,
    (_State.HELD, _Event.RELEASED): _State.SUCCEEDED,
    (_State.HELD, _Event.EXPIRED): _State.TIMED_OUT,
    (_State.HELD, _Event.CONSENT_WITHDRAWN): _State.CANCELED,
}
_ORDER: Final = {
    (_State.RECEIVED, _Event.DONE): _State.SUCCEEDED,
    (_State.RECEIVED, _Event.REFUSED): _State.REJECTED,
    (_State.RECEIVED, _Event.ASKED): _State.AWAITING_OWNER,
    (_State.RECEIVED, _Event.BEGUN): _State.IN_PROGRESS,
    (_State.AWAITING_OWNER, _Event.DONE): _State.SUCCEEDED,
    (_State.AWAITING_OWNER, _Event.NO_YES_FROM_OWNER): _State.REJECTED,
    (_State.IN_PROGRESS, _Event.DONE): _State.SUCCEEDED,
    (_State.IN_PROGRESS, _Event.GAVE_UP): _State.FAILED,
    (_State.IN_PROGRESS, _Event.CONSENT_WITHDRAWN): _State.CANCELED,
}
TRANSITIONS: Final = MappingProxyType({"clip.upload": _UPLOAD, "clip.hold": _HOLD})
"""By action; every other action's job is an order, with `ORDER_TRANSITIONS`."""
ORDER_TRANSITIONS: Final = MappingProxyType(_ORDER)

OPEN_STATES: Final = frozenset(state for table in (_UPLOAD, _HOLD, _ORDER) for state, _ in table)


def after(action: str, state: JobState, event: JobEvent) -> JobState:
    """Return the state that `event` leads to; KeyError means a bug of ours, not a wish of the server's."""
    return TRANSITIONS.get(action, _ORDER)[state, event]


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
    deadline: WallTime | None = None  # until when the owner may answer, if asked; until when it is held
    answer: str = ""  # the owner's newest signed answer, if one came
    answered: WallTime | None = None  # when it came
    cameras: tuple[CameraId, ...] = ()  # what the question is about, later what the grant covers
    window: Window | None = None  # likewise
    sound: tuple[CameraId, ...] = ()  # likewise: those of the cameras whose sound goes with their pictures
    masks: CameraMasks = field(default_factory=dict)  # of the grant, as they stood when it was given
    action: str = "clip.upload"
    due: int | None = None  # `deadline` by the time that has passed for certain (`trust/passed_time.py`)
    withdrawn: RefusalReason | None = None  # why what was granted may not go on: the first no, and for good
    policy: tuple[int, str] = (0, "")  # version and digest of the one that granted it
    trust: bytes = b""  # the bundle by which it was granted: it says whom the parts that went are for, and no more
    stopped_by: str = ""  # the id of the order that canceled or released it
    extended_by: tuple[str, ...] = ()  # the ids of the orders that moved its window's end


def time_for(now: WallTime, *jobs: Job) -> WallTime:
    """Return the time by which jobs are judged: a clock that was set back behind a receipt takes nothing back."""
    return WallTime(max(now, *(job.received for job in jobs)))


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
    delivered_until: str = ""  # RFC 3339; all before is there, or is a gap; more may be


class MissingSpan(msgspec.Struct, frozen=True):
    """An interval of a camera's window that the store does not have, and why."""

    camera: CameraId
    start: str  # RFC 3339
    end: str
    why: str


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
    until: str = ""  # HELD: when it ends by itself
    percent: int = 0  # IN_PROGRESS of an installation
    gaps: tuple[MissingSpan, ...] = ()  # PARTIAL: the first of them; the manifests have all
    v: int = 1


def progress_of(parts: Sequence[JobPart]) -> tuple[CameraProgress, ...]:
    """Sum up what has arrived at the store, by camera; the parts are in order, and may have arrived out of it."""
    found: dict[CameraId, CameraProgress] = {}
    gapped: set[CameraId] = set()
    for part in parts:
        if part.is_manifest or part.report is None:
            continue
        if part.state is not PartState.RECEIPTED:
            gapped.add(part.camera)
            continue
        if part.camera not in found and not part.report.pictures:
            continue
        known = found.get(part.camera, CameraProgress(part.camera))
        until = known.delivered_until if part.camera in gapped else rfc3339(part.end)
        pictures = known.pictures + part.report.pictures
        count = known.parts + bool(part.report.pictures)
        found[part.camera] = CameraProgress(part.camera, count, pictures, until)
    return tuple(found.values())
