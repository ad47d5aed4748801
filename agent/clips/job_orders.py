"""Orders about a job of the same agency: end it, end a hold, or move the end of its window later.

Rules of this file:
- An order names the job and repeats incident, start, cameras and recipients of the command that made it; what does not
  match is unknown. So an order never widens anything but the end of a window.
- What an order does to its job is one row in the journal with the order's id in it: after a crash it is seen there that
  it was done, and it is not done again.
- An order and its job are judged by no time before either's receipt, whatever a clock that was set says.
- A later end needs the owner's policy as it is now, and their yes wherever an upload of the longer window would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import OPEN_STATES, Job, JobEvent, JobState, time_for
from agent.clips.agreement import distrust
from agent.clips.asking import Asking
from agent.clips.errand import Errand
from agent.clips.teller import Teller
from agent.clock import Clock, WallTime, Window, rfc3339
from agent.command.envelope import verify_again
from agent.command.orders import VerifiedHold, VerifiedJobOrder
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.consent.decide import OWNER_SAID_YES, decide, renewed
from agent.consent.grant import Ask, Granted
from agent.consent.standing import Standing
from agent.ports import Audit, Journal

BEGIN_LOOK_S: Final = 0.1
"""How often an extension looks whether its job has begun to send."""


class JobOrders:
    """Follows `clip.cancel`, `clip.release` and `clip.extend`."""

    def __init__(  # noqa: PLR0913 - what deciding about another job needs, each by name
        self,
        *,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        teller: Teller,
        asking: Asking,
        errands: Mapping[str, Errand],
        stop: Callable[[str], None],
    ) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        self._standing, self._cameras, self._teller = standing, cameras, teller
        self._asking, self._errands, self._stop = asking, errands, stop

    async def run(self, job: Job, order: VerifiedJobOrder) -> None:
        """Follow one order to its end, also if a crash came between its effect and its status."""
        target = self._journal.job(order.job)
        if target is not None and job.id in {target.stopped_by, *target.extended_by}:
            self._teller.move(job, JobEvent.DONE)
        elif target is None or (made := self._made(job, target, order)) is None:
            self._refuse(job, RefusalReason.UNKNOWN_JOB, "no job of this kind, incident, cameras and recipients")
        elif target.state not in OPEN_STATES:
            self._refuse(job, RefusalReason.JOB_ENDED, target.state.value)
        elif order.action == "clip.extend":
            await self._extend(job, order, made)
        else:
            self._audit.append("stopped", target.id, {"by": job.id, "order": order.action})
            self._journal.stop_job(target.id, job.id)
            self._stop(target.id)
            self._teller.move(job, JobEvent.DONE)

    def _made(self, job: Job, target: Job, order: VerifiedJobOrder) -> VerifiedCommand | None:
        """Return the command that made the job, if this order may be about it: by the trust of today."""
        standing = self._standing()
        made = verify_again(
            target.envelope,
            standing.trust,
            standing.audience,
            target.received,
            time_for(self._clock.now(), job, target),
            is_clock_trusted=self._clock.is_trusted(),
        )
        is_right = isinstance(made, VerifiedHold if order.action == "clip.release" else VerifiedCommand)
        first = made.asked if isinstance(made, VerifiedHold) else made
        if not is_right or not isinstance(first, VerifiedCommand):
            return None
        return first if _described(first) == _described(order.asked) else None

    def _refuse(self, job: Job, reason: RefusalReason, detail: str) -> None:
        self._teller.end_refused(job, Refusal(reason, detail, job.id))

    # ------------------------------------------------------------ a later end
    async def _extend(self, job: Job, order: VerifiedJobOrder, made: VerifiedCommand) -> None:
        errand = await self._begun(order.job)
        if errand is None:
            self._refuse(job, RefusalReason.JOB_ENDED, "it does not run, or the owner has not answered yet")
            return
        end = order.asked.window.end
        if job.state is JobState.RECEIVED and end <= errand.grant.window.end:
            self._refuse(job, RefusalReason.NOT_LATER, "its window ends then or later already")
            return
        verdict = await self._asked(job, order, errand)
        job = self._journal.job(job.id) or job
        if isinstance(verdict, Refusal):
            self._teller.end_refused(job, verdict)
            return
        self._apply(job, order, made, verdict)

    async def _asked(self, job: Job, order: VerifiedJobOrder, errand: Errand) -> WallTime | Refusal:
        """Return the end that the owner's policy, or the owner, allows for exactly what the job covers."""
        grant = errand.grant
        longer = Window(grant.window.start, order.asked.window.end)
        verdict: Granted | Refusal | Ask
        if job.state is JobState.RECEIVED:
            now = time_for(self._clock.now(), job, errand.job)
            verdict = decide(order.asked, self._standing().word, self._cameras(), now, 0)
        else:
            verdict = Ask(order.asked, job.cameras, job.window or longer, job.deadline or job.received, job.sound)
        if isinstance(verdict, Granted | Ask) and not set(grant.cameras) <= set(verdict.cameras):
            return Refusal(RefusalReason.CAMERA_NOT_SHARED, "", job.id)
        if isinstance(verdict, Ask):
            question = replace(verdict, cameras=grant.cameras, window=longer, sound=grant.sound)
            _, verdict = await self._asking.ask(
                job, question, lambda: distrust(job, self._standing(), self._clock.now())
            )
            is_less = isinstance(verdict, Granted) and (
                (verdict.cameras, verdict.sound) != (grant.cameras, grant.sound)
                or verdict.window.start > grant.window.start
                or verdict.window.end <= grant.window.end
            )
            if is_less:  # one job has one window for all it covers: less than that is not an extension of it
                await self._asking.wait_out(self._journal.job(job.id) or job)  # as silence would end
                return Refusal(RefusalReason.OWNER_DECLINED, "", job.id)
        return verdict if isinstance(verdict, Refusal) else min(verdict.window.end, longer.end)

    def _apply(self, job: Job, order: VerifiedJobOrder, made: VerifiedCommand, end: WallTime) -> None:
        """Move the window's end, unless the last part of the old one has gone to the manifest meanwhile."""
        errand, target = self._errands.get(order.job), self._journal.job(order.job)
        if errand is None or target is None or errand.is_closing or not errand.is_allowed():
            self._refuse(job, RefusalReason.TOO_LATE, "the job has come to its end: send a new command")
            return
        grant = errand.grant
        longer = renewed(
            made,
            (grant.cameras, Window(grant.window.start, max(end, grant.window.end)), grant.sound),
            self._standing().word,
            time_for(self._clock.now(), job, target),
            has_owner_said_yes=grant.mode == OWNER_SAID_YES,
            masks=grant.masks,
        )
        if isinstance(longer, Refusal):
            self._teller.end_refused(job, longer)
            return
        self._audit.append("extended", target.id, {"by": job.id, "until": rfc3339(end)})
        self._journal.extend_job(target.id, end, job.id, (longer.policy_version, longer.policy_sha256))
        errand.grant = longer
        self._teller.move(job, JobEvent.DONE)

    async def _begun(self, job_id: str) -> Errand | None:
        """Return the errand of a job once it has begun; None if it waits for the owner, or has ended."""
        while True:
            errand, job = self._errands.get(job_id), self._journal.job(job_id)
            if errand is not None or job is None or job.state not in {JobState.RECEIVED, JobState.IN_PROGRESS}:
                return errand
            await asyncio.sleep(BEGIN_LOOK_S)


def _described(asked: VerifiedCommand) -> tuple[object, ...]:
    recipients = sorted(one.id for one in asked.recipients)
    incident = asked.incident.id, asked.incident.type
    return asked.agency, incident, asked.window.start, sorted(asked.cameras), recipients
