"""Every word about a command: the audit log first, then the journal with the status that tells the server.

Rules of this file: a transition is in the log before it is in the journal, and in the journal with its status or not at
all; what nobody's signature asked for is answered so many times a minute and then only counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobEvent, JobState, MissingSpan, Status, after, progress_of
from agent.clock import SECOND_NS, Clock, WallTime, Window, rfc3339
from agent.command.orders import VerifiedHold, VerifiedJobOrder, VerifiedUpkeep
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.ports import Audit, Journal

REFUSALS_ANSWERED_PER_MINUTE_MAX: Final = 30
"""A hostile broker can make the hub count, but not write and talk without end."""

GAPS_TOLD_MAX: Final = 32
"""In a status; the manifests have all."""


class Teller:
    """Tells owner (audit log) and server (statuses) what becomes of commands."""

    def __init__(self, journal: Journal, audit: Audit, clock: Clock) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        # Apart, so that a flood of one sort does not silence the others.
        self._refusals, self._repetitions, self._pings = _PerMinute(clock), _PerMinute(clock), _PerMinute(clock)
        self.unanswered = 0

    def move(
        self,
        job: Job,
        event: JobEvent,
        reason: RefusalReason | None = None,
        detail: str = "",
        *,
        granted: WallTime | None = None,
        gaps: Sequence[MissingSpan] = (),
    ) -> Job:
        """Write the transition to the audit log and the journal, with the status that tells of it."""
        job = replace(job, state=after(job.action, job.state, event), reason=reason)
        entry: dict[str, str | int] = {"state": job.state.value, "event": event.value}
        entry |= {"reason": reason.value} if reason else {}
        is_yes = event in (JobEvent.GRANTED, JobEvent.OWNER_SAID_YES)
        entry |= {"sound": ",".join(job.sound)} if is_yes and job.sound else {}
        entry |= {"covers": footage_words(job.window, job.cameras)} if is_yes and job.window else {}
        self._audit.append("job", job.id, entry | ({"detail": detail} if detail else {}))
        status = msgspec.structs.replace(self._status(job, detail), gaps=tuple(gaps[:GAPS_TOLD_MAX]))
        self._journal.move(job, status, granted=granted)
        return job

    def end_refused(self, job: Job, refusal: Refusal) -> None:
        """End a job with a no, whatever state it is in."""
        ends = {JobState.RECEIVED: JobEvent.REFUSED, JobState.AWAITING_OWNER: JobEvent.NO_YES_FROM_OWNER}
        event = ends.get(job.state, JobEvent.CONSENT_WITHDRAWN)
        if refusal.reason is RefusalReason.AGENCY_CANCELED:
            event = JobEvent.AGENCY_CANCELED
        self.move(job, event, refusal.reason, refusal.detail)

    def tell(self, job: Job, percent: int = 0, *, notify: bool = False) -> None:
        """Say how a job is; `notify`: and that its question is to be brought to the owner now."""
        self._journal.say(msgspec.structs.replace(self._status(job, percent=percent), notify=notify))

    def tell_again(self, job: Job) -> None:
        """Say it to a broker that brings the command again, unless that happens too often."""
        if self._count(self._repetitions):
            self.tell(job)

    def note_command(self, command: VerifiedCommand | VerifiedHold | VerifiedJobOrder | VerifiedUpkeep) -> None:
        """Write down who asks for what and why."""
        detail: dict[str, str | int] = {"by": command.subject, "agency": command.agency}
        if not isinstance(command, VerifiedUpkeep):
            asked = command if isinstance(command, VerifiedCommand) else command.asked
            detail = {"incident": asked.incident.id, **detail, "basis": asked.basis, "reason": asked.reason}
            detail |= {"asked": footage_words(asked.window, asked.cameras)}
            detail |= {"approved_by": ", ".join(asked.approved_by)} if asked.approved_by else {}
        detail |= {} if isinstance(command, VerifiedCommand) else {"action": command.action}
        if isinstance(command, VerifiedCommand):
            detail |= {"type": command.incident.type, "recipients": ",".join(one.id for one in command.recipients)}
        detail |= {"job": command.job} if isinstance(command, VerifiedJobOrder) else {}
        self._audit.append("command", command.id, detail | {"sha256": command.sha256})

    def answer_ping(self, ping: VerifiedPing) -> None:
        """Say that the hub is there; a ping can be replayed, so only so often."""
        if self._count(self._pings):
            self._journal.say(Status(ping.id, JobState.SUCCEEDED, rfc3339(self._clock.now())))

    def refuse(self, refusal: Refusal, original: JobState | None = None) -> None:
        """Answer and write down a refusal, as long as there are not too many of them."""
        if not self.may_answer():
            return
        detail: dict[str, str | int] = {"reason": refusal.reason.value, "detail": refusal.detail}
        self._audit.append("refused", refusal.command_id, detail)
        at = rfc3339(self._clock.now())
        status = Status(refusal.command_id, JobState.REJECTED, at, refusal.reason, refusal.detail, original)
        self._journal.say(status)

    def may_answer(self) -> bool:
        """Count an answer that nobody's signature asked for."""
        return self._count(self._refusals)

    def _count(self, answers: _PerMinute) -> bool:
        may = answers.take()
        self.unanswered += not may
        return may

    def _status(self, job: Job, detail: str = "", percent: int = 0) -> Status:
        return Status(
            command=job.id,
            status=job.state,
            at=rfc3339(self._clock.now()),
            reason=job.reason,
            detail=detail,
            answer_by=rfc3339(job.deadline) if job.deadline and job.state is JobState.AWAITING_OWNER else "",
            cameras=progress_of(self._journal.parts(job.id)),
            until=rfc3339(job.deadline) if job.deadline and job.state is JobState.HELD else "",
            percent=percent,
        )


def footage_words(window: Window, cameras: Sequence[CameraId]) -> str:
    """Write which footage is meant, for the audit log: `START/END CAMERA,CAMERA`, or `*` for every camera."""
    return f"{rfc3339(window.start)}/{rfc3339(window.end)} {','.join(cameras) or '*'}"


class _PerMinute:
    """So many answers of one sort in each minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._minute, self._taken = clock, -1, 0

    def take(self) -> bool:
        minute = self._clock.instant() // (60 * SECOND_NS)
        self._taken = self._taken if minute == self._minute else 0
        self._minute = minute
        if self._taken >= REFUSALS_ANSWERED_PER_MINUTE_MAX:
            return False
        self._taken += 1
        return True
