"""The questions that wait for the owner: who wants which footage and why, and until when a yes counts.

Rules of this file: a question is what the journal holds, since a yes covers exactly that; who asks is read from the
command that was verified when it came. The browser gets what it must sign to the nanosecond, beside the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.clip_job import Job, JobState
from agent.clock import SECOND_NS, WallTime
from agent.command.claims import ClipParams, ClipUploadParams, CommandClaims, Envelope, JobOrderParams
from agent.command.request import Recipient
from agent.command.statement import unverified_claims
from agent.command.trust import TrustBundle
from agent.consent.owner_copy import owner_copy
from agent.consent.policy import Policy
from agent.crypto import canonical_json, sha256_hex
from agent.errors import BadInputError
from agent.owner.accesses import Manner
from agent.owner.words import BASES, OWNERS_COPY, agency_words, camera_words, recipient_words

SHOWN_MAX: Final = 20
NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A camera that the owner may leave out."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question, for a person and for the signature under the answer."""

    id: str
    sha256: str  # of the command: what the answer is bound to
    is_extension: bool
    who: str
    agency: str
    incident: str
    incident_type: str
    reason: str
    basis: str
    recipients: tuple[str, ...]
    cameras: tuple[Choice, ...]
    sound: tuple[Choice, ...]
    span: str
    start_ns: int
    end_ns: int
    seconds: int  # of the window, rounded up
    deadline: str
    deadline_ms: int  # since 1970


def questions(jobs: Iterable[Job], manner: Manner, policy: Policy | None = None) -> list[Question]:
    """Return the open questions among these jobs, the most urgent first; `policy` says who opens a clip too."""
    asked = [job for job in jobs if job.state is JobState.AWAITING_OWNER and not job.answer and not job.stopped_by]
    asked.sort(key=lambda job: job.deadline or 0)
    found = (_question(job, manner, policy) for job in asked[:SHOWN_MAX])
    return [one for one in found if one is not None]


def _question(job: Job, manner: Manner, policy: Policy | None) -> Question | None:
    names, trust, times = manner.names, manner.trust, manner.times
    if job.window is None or job.deadline is None:
        return None
    try:
        token = msgspec.json.decode(job.envelope, type=Envelope).cmd
        claims = msgspec.json.decode(canonical_json(unverified_claims(token)), type=CommandClaims)
        shape: type[ClipParams] = ClipUploadParams if claims.action == "clip.upload" else JobOrderParams
        params = msgspec.json.decode(claims.params, type=shape)
    except (msgspec.MsgspecError, BadInputError):  # a command of another version: its own end is near
        return None
    return Question(
        id=job.id,
        sha256=sha256_hex(token.encode()),
        is_extension=job.action != "clip.upload",
        who=claims.sub,
        agency=agency_words(trust.agency.id, trust),
        incident=params.incident.id,
        incident_type=params.incident.type,
        reason=params.reason,
        basis=BASES[params.basis],
        recipients=_recipients(params.recipients, trust, policy),
        cameras=tuple(Choice(name, camera_words(name, names)) for name in job.cameras),
        sound=tuple(Choice(name, camera_words(name, names)) for name in job.sound),
        span=times.span(job.window.start, job.window.end),
        start_ns=job.window.start,
        end_ns=job.window.end,
        seconds=-(-(job.window.end - job.window.start) // SECOND_NS),
        deadline=times.when(WallTime(job.deadline)),
        deadline_ms=job.deadline // NS_PER_MS,
    )


def _recipients(named: Sequence[str], trust: TrustBundle, policy: Policy | None) -> tuple[str, ...]:
    known = [Recipient(one.id, one.age) for one in trust.recipients if one.id in named]
    words = tuple(recipient_words(one, trust) for one in named)
    return (*words, OWNERS_COPY) if owner_copy(policy, known).recipient else words
