"""Story two, for each command: verify, decide, cut, seal, upload, receipt, audit.

Rules of this file:
- The decision is in the journal and in the audit log before it takes effect; the message is acknowledged after that.
- A job that was open when the power went is found by `resume` and goes on where it was: sealed parts are sent as they
  are, the rest is cut from the ring.
- Consent is asked again before every part is cut and before every effect on the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import replace

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobEvent, JobState, Status, after, progress_of
from agent.clip_maker import ClipMaker, Errand
from agent.clock import SECOND_NS, Clock, WallTime, rfc3339
from agent.command.envelope import verify, verify_again
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.consent.decide import answered, decide, still_allowed
from agent.consent.grant import Ask, Granted
from agent.consent.policy import open_answer
from agent.consent.standing import Standing
from agent.courier import StoreRefusedError
from agent.errors import BadInputError
from agent.ports import Audit, Journal, Opening

DAY_NS = 24 * 3600 * SECOND_NS
CLOCK_CHECK_S = 2.0
REFUSALS_ANSWERED_PER_MINUTE_MAX = 30
"""A hostile broker can make the hub count, but not write and talk without end."""


class Exporter:
    """Takes commands, runs their jobs, and tells how they go."""

    def __init__(
        self,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        clips: ClipMaker,
    ) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        self._standing, self._cameras, self._clips = standing, cameras, clips
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._refusals: list[int] = []
        self.refused_unanswered = 0

    # ------------------------------------------------------------ what comes in
    def take(self, envelope: bytes) -> None:
        """Take a message from the broker; when this returns, it may be acknowledged."""
        now, standing = self._clock.now(), self._standing()
        command = verify(envelope, standing.trust, standing.audience, now, is_clock_trusted=self._clock.is_trusted())
        if isinstance(command, Refusal):
            self._refuse(command)
            return
        if isinstance(command, VerifiedPing):
            self._journal.say(Status(command.id, JobState.SUCCEEDED, rfc3339(now)))
            return
        new = Job(command.id, envelope, now)
        opening, job = self._journal.open_job(new, command.sha256, command.expires)
        match opening:
            case Opening.NEW:
                detail: dict[str, str | int] = {"incident": command.incident.id, "by": command.subject}
                detail |= {"agency": command.agency, "basis": command.basis, "reason": command.reason}
                self._audit.append("command", command.id, detail | {"sha256": command.sha256})
                self._journal.say(self._status(job))
                self._start(job)
            case Opening.STILL_OPEN:
                self._journal.say(self._status(job))
            case Opening.ENDED:
                self._refuse(Refusal(RefusalReason.REPLAYED, "this command has been dealt with", job.id), job.state)
            case Opening.OTHER_BYTES:
                self._refuse(Refusal(RefusalReason.DUPLICATE_ID, "another command has this id", job.id))

    def answer(self, token: str) -> None:
        """Take the owner's signed answer to a question that is open; anything else is dropped with an audit entry."""
        standing = self._standing()
        if standing.owner is None:
            return
        try:
            answer = open_answer(token, standing.owner, standing.audience.hub, self._clock.now())
        except BadInputError as error:
            self._audit.append("answer_refused", "", {"why": str(error)})
            return
        waiting = self._answers.get(answer.command_sha256)
        if waiting is not None and not waiting.done():
            waiting.set_result(token)

    def resume(self) -> None:
        """Go on with every job that was open when the hub stopped."""
        for job in self._journal.open_jobs():
            self._audit.append("resumed", job.id, {"state": job.state.value})
            self._start(job)

    async def stop(self) -> None:
        """Leave every job as it is in the journal."""
        for task in self._tasks.values():
            task.cancel()
        for task in list(self._tasks.values()):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # ---------------------------------------------------------------- one job
    def _start(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._run(job), name=f"job {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run(self, job: Job) -> None:
        """Carry a job from the state it is in to its end."""
        # After a power cut nothing goes out before the time is known again.
        while not self._clock.is_trusted():  # noqa: ASYNC110 - the kernel sends no event for it
            await asyncio.sleep(CLOCK_CHECK_S)
        standing, now = self._standing(), self._clock.now()
        command = verify_again(
            job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True
        )
        if not isinstance(command, VerifiedCommand):  # it was good when it came: the trust in it has ended since
            self._end_refused(job, command if isinstance(command, Refusal) else Refusal(RefusalReason.UNSUPPORTED))
            return
        job, grant = await self._grant(job, command, standing)
        if grant is None:
            return
        keys = standing.trust.store_signers()
        errand = Errand(job, grant, keys, lambda: self._is_allowed(grant), self._tell)
        try:
            outcome = await self._clips.deliver(errand)
        except StoreRefusedError as error:
            self._move(job, JobEvent.GAVE_UP, detail=str(error))
            return
        if not self._is_allowed(grant):
            self._move(job, JobEvent.CONSENT_WITHDRAWN, RefusalReason.PAUSED)
        elif outcome.is_complete:
            self._move(job, JobEvent.DELIVERED)
        else:
            self._move(job, JobEvent.DELIVERED_WITH_GAPS, detail=outcome.gaps)

    async def _grant(self, job: Job, command: VerifiedCommand, standing: Standing) -> tuple[Job, Granted | None]:
        """Decide, ask the owner if the policy says so, and store what came of it; None if the answer is no."""
        is_new = job.state is JobState.RECEIVED
        used = self._journal.grants_since(WallTime(job.received - DAY_NS)) if is_new else 0
        verdict = decide(command, standing.policy, self._cameras(), job.received, used, standing.policy_sha256)
        if isinstance(verdict, Ask):
            job, verdict = await self._ask(job, verdict)
        if isinstance(verdict, Refusal):
            self._end_refused(job, verdict)
            return job, None
        if job.state is not JobState.IN_PROGRESS:
            yes = JobEvent.GRANTED if job.state is JobState.RECEIVED else JobEvent.OWNER_SAID_YES
            job = self._move(job, yes, granted=self._clock.now())
        return job, verdict

    async def _ask(self, job: Job, ask: Ask) -> tuple[Job, Granted | Refusal]:
        """Wait for the owner's answer until the deadline that was set first; silence is a no."""
        if job.state is JobState.RECEIVED:
            job = self._move(replace(job, deadline=ask.deadline), JobEvent.ASKED)
        ask = replace(ask, deadline=job.deadline or ask.deadline)
        if not job.answer:
            token = await self._wait_for_answer(ask)
            job = replace(job, answer=token, answered=self._clock.now())
        standing, answer = self._standing(), None
        if job.answer and job.answered and standing.owner:
            answer = open_answer(job.answer, standing.owner, standing.audience.hub, job.answered)
        self._audit.append("owner_answered", job.id, {"says": answer.decision if answer else "nothing"})
        moment = job.answered or self._clock.now()
        return job, answered(ask, answer, standing.policy, moment, standing.policy_sha256)

    async def _wait_for_answer(self, ask: Ask) -> str:
        """Return the owner's signed answer, or an empty text at the deadline."""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[ask.command.sha256] = waiting
        try:
            async with asyncio.timeout(max(0.0, (ask.deadline - self._clock.now()) / SECOND_NS)):
                return await waiting
        except TimeoutError:
            return ""
        finally:
            del self._answers[ask.command.sha256]

    def _is_allowed(self, grant: Granted) -> bool:
        standing = self._standing()
        if grant.command.signer in standing.trust.revoked_keys:
            return False
        return still_allowed(grant, standing.policy, self._clock.now())

    # ------------------------------------------------------------ what goes out
    def _move(
        self,
        job: Job,
        event: JobEvent,
        reason: RefusalReason | None = None,
        detail: str = "",
        *,
        granted: WallTime | None = None,
    ) -> Job:
        """Write the transition to the audit log and the journal, with the status that tells of it."""
        job = replace(job, state=after(job.state, event), reason=reason)
        entry: dict[str, str | int] = {"state": job.state.value, "event": event.value}
        entry |= {"reason": reason.value} if reason else {}
        self._audit.append("job", job.id, entry | ({"detail": detail} if detail else {}))
        self._journal.move(job, self._status(job, detail), granted=granted)
        return job

    def _end_refused(self, job: Job, refusal: Refusal) -> None:
        ends = {JobState.RECEIVED: JobEvent.REFUSED, JobState.AWAITING_OWNER: JobEvent.NO_YES_FROM_OWNER}
        self._move(job, ends.get(job.state, JobEvent.CONSENT_WITHDRAWN), refusal.reason, refusal.detail)

    def _refuse(self, refusal: Refusal, original: JobState | None = None) -> None:
        """Answer and write down a refusal, as long as there are not too many of them."""
        minute = self._clock.instant() // (60 * SECOND_NS)
        self._refusals = [*(at for at in self._refusals if at == minute), minute]
        if len(self._refusals) > REFUSALS_ANSWERED_PER_MINUTE_MAX:
            self.refused_unanswered += 1
            return
        detail: dict[str, str | int] = {"reason": refusal.reason.value, "detail": refusal.detail}
        self._audit.append("refused", refusal.command_id, detail)
        at = rfc3339(self._clock.now())
        status = Status(refusal.command_id, JobState.REJECTED, at, refusal.reason, refusal.detail, original)
        self._journal.say(status)

    def _tell(self, job: Job) -> None:
        self._journal.say(self._status(job))

    def _status(self, job: Job, detail: str = "") -> Status:
        return Status(
            command=job.id,
            status=job.state,
            at=rfc3339(self._clock.now()),
            reason=job.reason,
            detail=detail,
            answer_by=rfc3339(job.deadline) if job.deadline and job.state is JobState.AWAITING_OWNER else "",
            cameras=progress_of(self._journal.parts(job.id)),
        )
