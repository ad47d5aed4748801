"""A question to the owner: told, waited for until its deadline, and turned into the hub's yes or no.

Rules of this file:
- The question and its deadline are in the journal before anybody is asked, the answer before its message is
  acknowledged; a restart asks nothing anew and moves no deadline.
- The first answer counts, but a no may follow a yes, and then stops what it allowed. Silence is a no.
- Everything but a yes of the owner ends a question at its deadline, and in the same words. Only what the agency itself
  does (it cancels, or the trust in its signer ends) ends it sooner.
- The deadline is reached when either the hub's UTC or the time that has passed (`trust/passed_time.py`) says so. No
  suspension, no restart and no clock that is set back makes it later; a yes that comes after it counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent.clip_job import Job, JobEvent, JobState, time_for
from agent.clips.teller import Teller
from agent.clock import SECOND_NS, Clock
from agent.command.request import Refusal, RefusalReason
from agent.consent.decide import answered, notice_due
from agent.consent.grant import Ask, Granted
from agent.consent.policy import Answer, open_answer
from agent.consent.standing import Standing
from agent.errors import BadInputError
from agent.ports import Audit, Journal
from agent.trust.passed_time import PassedTime

LOOK_S: Final = 1.0  # so often the clocks are asked whether the deadline is reached


class Asking:
    """Asks the owner, one question for each job, and takes what they say."""

    def __init__(
        self,
        *,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        passed: PassedTime,
        standing: Callable[[], Standing],
        teller: Teller,
    ) -> None:
        self._journal, self._audit, self._clock, self._passed = journal, audit, clock, passed
        self._standing, self._teller = standing, teller
        self._waiting: dict[str, asyncio.Event] = {}
        self.taken_back: set[str] = set()  # jobs to which the owner has said no since they began

    async def ask(self, job: Job, ask: Ask, distrust: Callable[[], Refusal | None]) -> tuple[Job, Granted | Refusal]:
        """Wait for the owner's answer until the deadline that was set first; silence is a no.

        `distrust` says why whoever asks may not ask any more.
        """
        if job.state is JobState.RECEIVED:
            job = self.put(job, ask)
        verdict = await self._wait_for_yes(job, ask, distrust)
        job = self._journal.job(job.id) or job
        if job.stopped_by:
            return job, Refusal(RefusalReason.AGENCY_CANCELED, "", job.id)
        if self.said(job.id) is None:
            self._audit.append("owner_answered", job.id, {"says": "nothing"})
        return job, verdict

    def put(self, job: Job, ask: Ask) -> Job:
        """Store the question and tell of it."""
        due = self._passed.now() + max(0, ask.deadline - time_for(self._clock.now(), job))
        job = replace(job, deadline=ask.deadline, due=due, cameras=ask.cameras, window=ask.window, sound=ask.sound)
        return self._teller.move(job, JobEvent.ASKED)

    async def wait_out(self, job: Job) -> None:
        """Wait for a question's deadline, where nobody may see that it was answered before."""
        while (left_s := self._left_s(job)) > 0:  # noqa: ASYNC110 - no clock sends an event when it is set
            await asyncio.sleep(min(left_s, LOOK_S))

    def take(self, token: str) -> None:
        """Take the owner's signed answer to an open job; when this returns, it is stored and may be acknowledged.

        Anything that is not the answer to an open question is dropped with an audit entry.
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
            self.taken_back.add(job.id)
        self.wake(job.id)

    def wake(self, job_id: str) -> None:
        """Let whoever waits for this job's answer look again."""
        if job_id in self._waiting:
            self._waiting[job_id].set()

    def said(self, job_id: str) -> Answer | None:
        """Read the stored answer, as of when it came; None if there is none by today's owner."""
        job, standing = self._journal.job(job_id), self._standing()
        if job is None or not job.answer or job.answered is None or standing.owner is None:
            return None
        try:
            return open_answer(job.answer, standing.owner, standing.audience.hub, job.answered)
        except BadInputError:
            return None

    def _job_for(self, answer: Answer) -> Job:
        job = self._journal.job_of(answer.command_sha256)
        if job is None or (answer.decision == "yes" and not self._is_open(job)):
            raise BadInputError("an answer to a question that is not open")
        return job

    def _is_open(self, job: Job) -> bool:
        """Say whether a yes would be the answer to this job's question, which may be asked in a moment."""
        if job.answer or job.state is JobState.IN_PROGRESS:
            return False
        return job.state is not JobState.AWAITING_OWNER or self._left_s(job) > 0

    def _left_s(self, job: Job) -> float:
        """Return how long a question is open yet: by the clock that says less."""
        left_ns = (job.deadline or 0) - self._clock.now()
        if job.due is not None:
            left_ns = min(left_ns, job.due - self._passed.now())
        return max(0, left_ns) / SECOND_NS

    def _answered(self, ask: Ask) -> Granted | Refusal:
        """Say what the answer of now comes to, as of when it came."""
        job = self._journal.job(ask.command.id)
        at = job.answered if job and job.answered else self._clock.now()
        return answered(ask, self.said(ask.command.id), self._standing().word, at)

    async def _wait_for_yes(self, job: Job, ask: Ask, distrust: Callable[[], Refusal | None]) -> Granted | Refusal:
        """Return a yes as soon as it comes, and everything else at the deadline: as silence, not before it."""
        waiting = self._waiting[job.id] = asyncio.Event()
        is_told = False
        try:
            while True:
                if (refusal := distrust()) is not None:
                    return refusal
                verdict, left_s = self._answered(ask), self._left_s(job)
                known = self._journal.job(job.id)
                if isinstance(verdict, Granted) or left_s <= 0 or (known is not None and known.stopped_by):
                    return verdict
                if not is_told and notice_due(ask, self._standing().policy, now := self._clock.now()) == now:
                    self._teller.tell(job, notify=True)
                    is_told = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, LOOK_S)):
                        await waiting.wait()
                waiting.clear()
        finally:
            del self._waiting[job.id]
