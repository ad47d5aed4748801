"""One command and what became of it, from the audit log and, while it is remembered, the journal.

Rules of this file: the log is what counts; the journal adds what is newest and what was delivered. What neither says is
left out, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, JobState, progress_of
from agent.clock import WallTime, Window, parse_rfc3339
from agent.command.trust import TrustBundle
from agent.errors import BadInputError
from agent.evidence.audit import Entry
from agent.evidence.kinds import Kind
from agent.owner.words import (
    ACTIONS,
    BASES,
    OWNERS_COPY,
    Times,
    Tone,
    agency_words,
    because,
    camera_words,
    recipient_words,
    state_words,
)
from agent.page_ports import PlacedEntry

EVERY_CAMERA: Final = "every camera you share"
DIGEST_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A command's job and parts, as the journal has them."""

    job: Job
    parts: tuple[JobPart, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How names and times are written for this owner."""

    names: Mapping[CameraId, str]
    trust: TrustBundle
    times: Times


@dataclass(frozen=True, slots=True)
class Footage:
    """A span of time of some cameras, in words."""

    span: str
    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """Who asked for what and why, what you gave, what left."""

    id: str
    place: int  # of its entry in the log
    at: str
    what: str
    who: str
    agency: str
    approved_by: str
    incident: str
    incident_type: str
    reason: str
    basis: str
    recipients: tuple[str, ...]
    asked: Footage | None
    granted: Footage | None
    sound: tuple[str, ...]
    delivered: tuple[str, ...]
    status: str
    tone: Tone
    why: str
    about: str  # the command that this one changes
    sha256: str
    can_stop: bool  # a no of now ends it within one part


def accesses(
    placed: Sequence[PlacedEntry],
    newer: Sequence[PlacedEntry],
    known: Mapping[str, Known],
    manner: Manner,
) -> list[Access]:
    """Make what a page lists of the commands in `placed`, newest first; `newer` are entries that came after these."""
    told: dict[str, list[Entry]] = {}
    for _, one in sorted({one.place: one for one in (*placed, *newer)}.items()):
        told.setdefault(one.entry.ref, []).append(one.entry)
    commands = (one for one in placed if one.entry.kind == Kind.COMMAND)
    return [access(one, told[one.entry.ref], known.get(one.entry.ref), manner) for one in commands]


def access(command: PlacedEntry, told: Sequence[Entry], known: Known | None, manner: Manner) -> Access:
    """Make one; `told` is what the log says about this command, oldest first."""
    entry, job, names, times = command.entry, known.job if known else None, manner.names, manner.times
    action = _text(entry, "action") or "clip.upload"
    covers = _last(told, "covers")
    state, why = _state(told, job)
    status, tone = ("Not in this part of the log", Tone.PLAIN) if state is None else state_words(action, state)
    granted = _footage(covers, names, times)
    if granted and job and job.window:  # an extension moves the end
        granted = Footage(times.span(job.window.start, job.window.end), granted.cameras)
    sound = job.sound if granted and job else tuple(filter(None, _last(told, "sound").split(",")))
    return Access(
        id=entry.ref,
        place=command.place,
        at=times.when_text(entry.at),
        what=ACTIONS.get(action, action),
        who=_text(entry, "by"),
        agency=agency_words(_text(entry, "agency"), manner.trust),
        approved_by=_text(entry, "approved_by"),
        incident=_text(entry, "incident"),
        incident_type=_text(entry, "type"),
        reason=_text(entry, "reason"),
        basis=BASES.get(_text(entry, "basis"), _text(entry, "basis")),
        recipients=_recipients(entry, told, manner.trust),
        asked=_footage(_text(entry, "asked"), names, times),
        granted=granted,
        sound=tuple(camera_words(name, names) for name in sound) if granted else (),
        delivered=_delivered(told, known, names, times),
        status=status,
        tone=tone,
        why=because(why),
        about=_text(entry, "job"),
        sha256=_text(entry, "sha256"),
        can_stop=job is not None and job.action == "clip.upload" and job.state is JobState.IN_PROGRESS,
    )


def _recipients(command: Entry, told: Sequence[Entry], trust: TrustBundle) -> tuple[str, ...]:
    named = [recipient_words(one, trust) for one in _text(command, "recipients").split(",") if one]
    has_copy = any(len(_text(one, "owner_copy")) == DIGEST_CHARACTERS for one in told if one.kind == Kind.SEALED)
    return (*named, OWNERS_COPY) if has_copy else tuple(named)


def _state(told: Sequence[Entry], job: Job | None) -> tuple[JobState | None, str]:
    if job is not None:
        return job.state, job.reason or ""
    for entry in reversed(told):
        if entry.kind == Kind.JOB:
            try:
                return JobState(_text(entry, "state")), _text(entry, "reason")
            except ValueError:  # a word of another version
                return None, _text(entry, "reason")
    return None, ""


def _delivered(
    told: Sequence[Entry], known: Known | None, names: Mapping[CameraId, str], times: Times
) -> tuple[str, ...]:
    if known is not None and (progress := progress_of(known.parts)):
        return tuple(
            f"{camera_words(one.camera, names)}: {one.pictures} pictures"
            + (
                f", up to {times.when_text(one.delivered_until)}" if one.delivered_until else ""
            )  # the last may be first
            for one in progress
        )
    receipts = sum(entry.kind == Kind.RECEIPT for entry in told)
    return (f"{receipts} sealed files, manifests among them",) if receipts else ()


def _footage(text: str, names: Mapping[CameraId, str], times: Times) -> Footage | None:
    """Read what `teller.footage_words` wrote; None for anything else."""
    span, _, listed = text.partition(" ")
    start, _, end = span.partition("/")
    try:
        window = Window(WallTime(parse_rfc3339(start)), WallTime(parse_rfc3339(end)))
    except BadInputError:
        return None
    cameras = tuple(camera_words(name, names) for name in listed.split(",") if name)
    return Footage(times.span(window.start, window.end), (EVERY_CAMERA,) if listed == "*" else cameras)


def _last(told: Sequence[Entry], name: str) -> str:
    found = (text for entry in reversed(told) if entry.kind == Kind.JOB and (text := _text(entry, name)))
    return next(found, "")


def _text(entry: Entry, name: str) -> str:
    return str(entry.detail.get(name, ""))
