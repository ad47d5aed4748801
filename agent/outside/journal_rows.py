"""Rows of the journal become the values they were stored from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent.acquire.camera import CameraStream
from agent.acquire.encoding import decode_encoding
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clip_job import Job, JobPart, JobState, PartState
from agent.clock import WallTime, Window
from agent.command.request import RefusalReason
from agent.consent.mask import Masks
from agent.cut.clip import ClipReport
from agent.errors import BadInputError

JOB_COLUMNS: Final = (
    "id, envelope, received, state, reason, deadline, answer, answered, cameras, window_start, window_end, sound,"
    " masks, action, stopped_by, extended_by, due, withdrawn, policy_version, policy_sha256, trust"
)
PART_COLUMNS: Final = "job, camera, number, is_manifest, start, end, state, size, sha256, location, receipt, report"


def read_camera(row: Sequence[Any]) -> CameraStream:
    """Read a camera; its login is elsewhere."""
    camera, name, url, low, high, pin, told = row
    clock = None if low is None else ClockOffset(low, high)
    try:
        encoding = decode_encoding(told)
    except BadInputError:
        encoding = None  # written by another version; the camera is asked again
    return CameraStream(CameraId(camera), name, url, None, clock, pin=pin, encoding=encoding)


def read_job(row: Sequence[Any]) -> Job:
    """Read a job from a row of `JOB_COLUMNS`."""
    job, envelope, received, state, reason, deadline, answer, answered, cameras, start, end, sound, masks = row[:13]
    action, stopped_by, extended_by, due, withdrawn, policy_version, policy_sha256, trust = row[13:]
    return Job(
        id=job,
        envelope=envelope,
        received=WallTime(received),
        state=JobState(state),
        reason=RefusalReason(reason) if reason else None,
        deadline=deadline,
        answer=answer,
        answered=answered,
        cameras=tuple(CameraId(name) for name in cameras.split(",") if name),
        window=None if start is None else Window(start, end),
        sound=tuple(CameraId(name) for name in sound.split(",") if name),
        masks=msgspec.json.decode(masks, type=dict[CameraId, Masks]),
        action=action,
        due=due,
        withdrawn=RefusalReason(withdrawn) if withdrawn else None,
        policy=(policy_version, policy_sha256),
        trust=trust,
        stopped_by=stopped_by,
        extended_by=tuple(extended_by.split()),
    )


def read_part(row: Sequence[Any]) -> JobPart:
    """Read a part from a row of `PART_COLUMNS`."""
    job, camera, number, is_manifest, start, end, state, size, sha256, location, receipt, report = row
    return JobPart(
        job=job,
        camera=CameraId(camera),
        number=number,
        is_manifest=bool(is_manifest),
        start=WallTime(start),
        end=WallTime(end),
        state=PartState(state),
        size=size,
        sha256=sha256,
        location=location,
        receipt=receipt,
        report=msgspec.json.decode(report, type=ClipReport) if report else None,
    )
