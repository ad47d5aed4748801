"""A verified upload becomes a grant: decided, asked for where the policy says so, and stored before it takes effect.

Rules of this file:
- What was asked or granted before a restart is taken up exactly as the journal has it, whatever the policy is by now.
- The command's own receipt is the time of its decision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

import msgspec

from agent.acquire.stream import CameraId
from agent.buffer.hold import HoldRefusedError
from agent.clip_job import Job, JobEvent, JobState
from agent.clips.agreement import Words, distrust
from agent.clips.asking import Asking
from agent.clips.holding import HoldKeeper
from agent.clips.teller import Teller
from agent.clock import SECOND_NS, Clock, WallTime, Window
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.consent.decide import decide, remembered
from agent.consent.grant import Ask, Granted
from agent.consent.standing import Standing
from agent.ports import Audit, Journal

DAY_NS: Final = 24 * 3600 * SECOND_NS


class Granting:
    """Says yes or no to uploads, in the owner's name."""

    def __init__(  # noqa: PLR0913 - what a decision needs, each by name
        self,
        *,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        teller: Teller,
        asking: Asking,
        holding: HoldKeeper,
        words: Words,
    ) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        self._standing, self._cameras, self._teller = standing, cameras, teller
        self._asking, self._holding, self._words = asking, holding, words

    async def grant(self, job: Job, command: VerifiedCommand) -> tuple[Job, Granted | None]:
        """Decide, ask the owner if the policy says so, and store what came of it; None if the answer is no."""
        verdict: Granted | Refusal | Ask
        standing = self._standing()
        if job.window is not None:  # asked or granted before a restart: exactly that, whatever the policy is by now
            verdict = self._again(job, command, job.window)
        elif job.id in self._words.stopped:
            verdict = Refusal(RefusalReason.AGENCY_CANCELED, "", job.id)
        else:
            waiting = [one for one in self._journal.open_jobs() if one.action == command.action]
            asked = sum(one.state is JobState.AWAITING_OWNER for one in waiting)
            used = self._journal.grants_since(WallTime(job.received - DAY_NS)) + asked
            verdict = decide(command, standing.word, self._cameras(), job.received, used)
        if isinstance(verdict, Ask):
            if job.state is JobState.RECEIVED:
                job = self._asking.put(job, verdict)
            await self.pin(job)
            job, verdict = await self._asking.ask(
                job, verdict, lambda: distrust(job, self._standing(), self._clock.now())
            )
        is_new = job.state is not JobState.IN_PROGRESS  # what has begun is ended by its `Agreement`, and says what went
        if is_new and isinstance(verdict, Granted) and (said := self._asking.said(job.id)) and said.decision == "no":
            verdict = Refusal(RefusalReason.OWNER_DECLINED, "", job.id)
        if isinstance(verdict, Refusal):
            self._teller.end_refused(job, verdict)
            return job, None
        if is_new:
            yes = JobEvent.GRANTED if job.state is JobState.RECEIVED else JobEvent.OWNER_SAID_YES
            job = replace(
                job,
                cameras=verdict.cameras,
                window=verdict.window,
                sound=verdict.sound,
                masks=verdict.masks,
                policy=(verdict.policy_version, verdict.policy_sha256),
                trust=msgspec.json.encode(self._standing().trust),
            )
            job = self._teller.move(job, yes, granted=self._clock.now())
        return job, verdict

    async def pin(self, job: Job) -> None:
        """Keep what the question is about while the ring goes on; it is asked also where there is no room for that."""
        try:
            await self._holding.pin(job)
        except HoldRefusedError as error:
            self._audit.append("not_held", job.id, {"why": str(error)})

    def _again(self, job: Job, command: VerifiedCommand, window: Window) -> Granted | Ask:
        """Take up the question or the grant that the journal holds."""
        if job.state is not JobState.IN_PROGRESS:
            return Ask(command, job.cameras, window, job.deadline or job.received, job.sound)
        said = self._asking.said(job.id)
        if said is not None and said.decision == "no":
            self._asking.taken_back.add(job.id)
        covered, has_said_yes = (job.cameras, window, job.sound), said is not None and said.decision == "yes"
        return remembered(command, covered, job.policy, has_owner_said_yes=has_said_yes, masks=job.masks)
