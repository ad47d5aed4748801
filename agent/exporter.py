"""Story two, for each command: verify, decide, cut, seal, upload, receipt, audit.

Rules of this file:
- The decision is in the journal and in the audit log before it takes effect; the message is acknowledged after that.
- A job that was open when the power went is found by `resume` and goes on where it was: sealed parts are sent as they
  are, the rest is cut from the ring. What it covers was stored when it was asked or granted, and never grows.
- Trust and consent are asked again before every part is cut and before every effect on the store; a no is for good.
  So are the owner's masks: a grant's own stay, those of now and of then are added.
- Everything but a yes of the owner ends a question at its deadline, and in the same words.
- A disk that fails stops a job for a while, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import OPEN_STATES, Job, JobEvent, JobState
from agent.clip_maker import ClipMaker, Errand
from agent.clock import SECOND_NS, Clock, WallTime, Window
from agent.command.envelope import verify, verify_again
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.words import SKEW_NS
from agent.consent.decide import answered, decide, masks_now, notice_due, renewed, still_allowed
from agent.consent.grant import Ask, Granted
from agent.consent.mask import Masks
from agent.consent.policy import Answer, open_answer
from agent.consent.standing import Standing
from agent.courier import StoreRefusedError
from agent.errors import BadInputError, UnavailableError
from agent.evidence.room import LogFullError
from agent.ports import Audit, Journal, Opening
from agent.teller import Teller

DAY_NS: Final = 24 * 3600 * SECOND_NS
REPLAY_MARGIN_NS: Final = 2 * SKEW_NS
CLOCK_CHECK_S: Final = 2.0
JOB_RETRY_S: Final = 10.0
"""A job that met a failing disk goes on after this."""

log: Final = logging.getLogger("transom.exporter")


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
        self._answers: dict[str, asyncio.Event] = {}
        self._taken_back: set[str] = set()  # running jobs to which the owner has said no since
        self._teller = Teller(journal, audit, clock)

    @property
    def refused_unanswered(self) -> int:
        """Refusals beyond what is answered."""
        return self._teller.unanswered

    # ------------------------------------------------------------ what comes in
    def take(self, envelope: bytes) -> None:
        """Take a message from the broker; when this returns, it may be acknowledged."""
        now, standing = self._clock.now(), self._standing()
        command = verify(envelope, standing.trust, standing.audience, now, is_clock_trusted=self._clock.is_trusted())
        if isinstance(command, Refusal):
            self._teller.refuse(command)
            return
        if isinstance(command, VerifiedPing):
            self._teller.answer_ping(command)
            return
        if self._journal.job(command.id) is None:
            try:
                self._teller.note_command(command)
            except LogFullError:  # nothing is stored of it yet, so it may come again when there is room
                self._teller.refuse(Refusal(RefusalReason.NO_ROOM, "the hub's audit log is full", command.id))
                return
        new = Job(command.id, envelope, now)
        opening, job = self._journal.open_job(new, command.sha256, command.expires)
        match opening:
            case Opening.NEW:
                self._start(job)
                self._teller.tell(job)
            case Opening.STILL_OPEN:
                self._start(job)  # if the disk failed when it first came
                self._teller.tell_again(job)
            case Opening.ENDED:
                self._teller.refuse(
                    Refusal(RefusalReason.REPLAYED, "this command has been dealt with", job.id), job.state
                )
            case Opening.OTHER_BYTES:
                self._teller.refuse(Refusal(RefusalReason.DUPLICATE_ID, "another command has this id", job.id))

    def answer(self, token: str) -> None:
        """Take the owner's signed answer to an open job; when this returns, it is stored and may be acknowledged.

        The first answer counts, but a no may follow a yes, and then stops what it allowed. Anything else is dropped
        with an audit entry.
        """
        standing, now = self._standing(), self._clock.now()
        if standing.owner is None:
            return
        try:
            answer = open_answer(token, standing.owner, standing.audience.hub, now)
            job = self._job_for(answer)
        except BadInputError as error:
            if self._teller.may_answer():
                self._audit.append("answer_refused", "", {"why": str(error)})
            return
        if job.answer == token:
            return
        self._audit.append("owner_answered", job.id, {"says": answer.decision})
        self._journal.put_answer(job.id, token, now)
        if answer.decision == "no":
            self._taken_back.add(job.id)
        if job.id in self._answers:
            self._answers[job.id].set()

    def _job_for(self, answer: Answer) -> Job:
        job = self._journal.job_of(answer.command_sha256)
        if job is None or (answer.decision == "yes" and (job.answer or job.state is JobState.IN_PROGRESS)):
            raise BadInputError("an answer to a question that is not open")
        return job

    def resume(self) -> None:
        """Go on with every job that was open when the hub stopped."""
        open_jobs = self._journal.open_jobs()
        self._clips.tidy({job.id for job in open_jobs})
        for job in open_jobs:
            with contextlib.suppress(UnavailableError):  # a full disk: the job itself waits for it
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
        if job.id in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(self._run_to_end(job.id), name=f"job {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run_to_end(self, job_id: str) -> None:
        """Carry a job to its end, beginning again from the journal whenever the disk fails on the way."""
        while True:
            try:
                job = self._journal.job(job_id)
                if job is not None and job.state in OPEN_STATES:
                    await self._run(job)
                self._clips.discard(job_id)
            except (UnavailableError, ExceptionGroup) as error:
                if isinstance(error, ExceptionGroup) and error.split(UnavailableError)[1] is not None:
                    log.exception("job %s met a bug and waits for a restart", job_id)
                    return
                log.warning("job %s waits: %s", job_id, error)
                await asyncio.sleep(JOB_RETRY_S)
            else:
                self._taken_back.discard(job_id)
                if self._clock.is_trusted():
                    self._journal.forget_before(self._clock.now(), REPLAY_MARGIN_NS)
                return

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
            self._teller.end_refused(
                job, command if isinstance(command, Refusal) else Refusal(RefusalReason.UNSUPPORTED)
            )
            return
        job, grant = await self._grant(job, command, standing)
        if grant is None:
            return
        keys, consent = standing.trust.store_signers(), _Consent(lambda: self._is_allowed(job, grant))

        def masks(camera: CameraId) -> Masks:
            return masks_now(grant, camera, self._standing().word, self._clock.now())

        try:
            outcome = await self._clips.deliver(Errand(job, grant, keys, consent, self._teller.tell, masks))
        except StoreRefusedError as error:
            self._teller.move(job, JobEvent.GAVE_UP, detail=str(error))
            return
        if not consent():
            is_no = job.id in self._taken_back
            self._teller.move(
                job, JobEvent.CONSENT_WITHDRAWN, RefusalReason.OWNER_DECLINED if is_no else RefusalReason.SHARING_OFF
            )
        elif outcome.is_complete:
            self._teller.move(job, JobEvent.DELIVERED)
        else:
            self._teller.move(job, JobEvent.DELIVERED_WITH_GAPS, detail=outcome.gaps)

    async def _grant(self, job: Job, command: VerifiedCommand, standing: Standing) -> tuple[Job, Granted | None]:
        """Decide, ask the owner if the policy says so, and store what came of it; None if the answer is no."""
        verdict: Granted | Refusal | Ask
        if job.window is not None:  # asked or granted before a restart: exactly that, whatever the policy is by now
            verdict = self._again(job, command, job.window)
        else:
            asked = sum(one.state is JobState.AWAITING_OWNER for one in self._journal.open_jobs())
            used = self._journal.grants_since(WallTime(job.received - DAY_NS)) + asked
            verdict = decide(command, standing.word, self._cameras(), job.received, used)
        if isinstance(verdict, Ask):
            job, verdict = await self._ask(job, verdict)
        if isinstance(verdict, Granted) and (said := self._said(job.id)) and said.decision == "no":
            verdict = Refusal(RefusalReason.OWNER_DECLINED, "", job.id)
        if isinstance(verdict, Refusal):
            self._teller.end_refused(job, verdict)
            return job, None
        if job.state is not JobState.IN_PROGRESS:
            yes = JobEvent.GRANTED if job.state is JobState.RECEIVED else JobEvent.OWNER_SAID_YES
            job = replace(job, cameras=verdict.cameras, window=verdict.window, sound=verdict.sound, masks=verdict.masks)
            job = self._teller.move(job, yes, granted=self._clock.now())
        return job, verdict

    def _again(self, job: Job, command: VerifiedCommand, window: Window) -> Granted | Refusal | Ask:
        """Take up the question or the grant that the journal holds."""
        if job.state is not JobState.IN_PROGRESS:
            return Ask(command, job.cameras, window, job.deadline or job.received, job.sound)
        covered, has_said_yes = (job.cameras, window, job.sound), bool(job.answer)
        word, now = self._standing().word, self._clock.now()
        return renewed(command, covered, word, now, has_owner_said_yes=has_said_yes, masks=job.masks)

    async def _ask(self, job: Job, ask: Ask) -> tuple[Job, Granted | Refusal]:
        """Wait for the owner's answer until the deadline that was set first; silence is a no."""
        if job.state is JobState.RECEIVED:
            job = replace(job, deadline=ask.deadline, cameras=ask.cameras, window=ask.window, sound=ask.sound)
            job = self._teller.move(job, JobEvent.ASKED)
        verdict = await self._wait_for_yes(job, ask)
        if self._said(job.id) is None:
            self._audit.append("owner_answered", job.id, {"says": "nothing"})
        return self._journal.job(job.id) or job, verdict

    def _answered(self, ask: Ask) -> Granted | Refusal:
        """Say what the answer of now comes to, as of when it came."""
        job = self._journal.job(ask.command.id)
        at = job.answered if job and job.answered else self._clock.now()
        return answered(ask, self._said(ask.command.id), self._standing().word, at)

    def _said(self, job_id: str) -> Answer | None:
        """Read the stored answer, as of when it came; None if there is none by today's owner."""
        job, standing = self._journal.job(job_id), self._standing()
        if job is None or not job.answer or job.answered is None or standing.owner is None:
            return None
        try:
            return open_answer(job.answer, standing.owner, standing.audience.hub, job.answered)
        except BadInputError:
            return None

    async def _wait_for_yes(self, job: Job, ask: Ask) -> Granted | Refusal:
        """Return a yes as soon as it comes, and everything else at the deadline: as silence, not before it."""
        waiting = self._answers[ask.command.id] = asyncio.Event()
        began, now = _loop_time(), self._clock.now()
        deadline, due = began + max(0, ask.deadline - now) / SECOND_NS, notice_due(ask, self._standing().policy, now)
        notice = None if due is None else began + (due - now) / SECOND_NS
        try:
            while not isinstance(verdict := self._answered(ask), Granted) and (time := _loop_time()) < deadline:
                if notice is not None and time >= notice:
                    self._teller.tell(job, notify=True)
                    notice = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline if notice is None else notice):
                        await waiting.wait()
                waiting.clear()
        finally:
            del self._answers[ask.command.id]
        return verdict

    def _is_allowed(self, job: Job, grant: Granted) -> bool:
        """Say whether trust, owner and policy of now still give this grant."""
        standing, now = self._standing(), self._clock.now()
        if job.id in self._taken_back:
            return False
        trusted = verify_again(
            job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True
        )
        if not isinstance(trusted, VerifiedCommand) or trusted.recipients != grant.command.recipients:
            return False
        return still_allowed(grant, standing.word, now, is_clock_trusted=self._clock.is_trusted())


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class _Consent:
    """The question before every effect. After the first no it is not asked again: what was stopped does not go on."""

    def __init__(self, is_allowed: Callable[[], bool]) -> None:
        self._is_allowed = is_allowed
        self._has_ended = False

    def __call__(self) -> bool:
        self._has_ended = self._has_ended or not self._is_allowed()
        return not self._has_ended
