"""Story two, for each command: verify, decide, cut, seal, upload, receipt, audit.

Rules of this file:
- The decision is in the journal and in the audit log before it takes effect; the message is acknowledged after that.
- A job that was open when the power went is found by `resume` and goes on where it was: sealed parts are sent as they
  are, the rest is cut from the ring. What it covers was stored when it was asked or granted; `clip.extend` alone moves
  the end of its window.
- Trust and consent are asked again before every part is cut and before every effect on the store; a no is for good.
  So are the owner's masks: a grant's own stay, those of now and of then are added.
- Everything but a yes of the owner ends a question at its deadline, and in the same words.
- A job is judged by no time before its receipt, whatever a clock that was set says.
- A disk that fails stops a job for a while, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final

from agent.acquire.stream import CameraId
from agent.asking import Asking
from agent.buffer.hold import HoldRefusedError, Holds
from agent.clip_job import OPEN_STATES, Job, JobEvent, JobState
from agent.clip_maker import ClipMaker
from agent.clock import SECOND_NS, Clock, TimeSource, WallTime, Window
from agent.command.envelope import verify, verify_again
from agent.command.orders import VerifiedHold, VerifiedJobOrder, VerifiedUpkeep
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.words import SKEW_NS
from agent.consent.decide import decide, masks_now, remembered, still_allowed
from agent.consent.grant import Ask, Granted
from agent.consent.mask import Masks
from agent.consent.owner_copy import owner_copy
from agent.consent.standing import Standing
from agent.courier import StoreRefusedError, StoreTimedOutError
from agent.deliver.turns import Urgency, is_among
from agent.errand import Errand, Outcome
from agent.errors import UnavailableError
from agent.evidence.room import LogFullError
from agent.holding import HoldKeeper
from agent.job_orders import JobOrders
from agent.ports import Audit, Journal, Opening
from agent.teller import Teller
from agent.upkeep import Upkeep

DAY_NS: Final = 24 * 3600 * SECOND_NS
REPLAY_MARGIN_NS: Final = 2 * SKEW_NS
CLOCK_CHECK_S: Final = 2.0
JOB_RETRY_S: Final = 10.0
"""A job that met a failing disk goes on after this."""

log: Final = logging.getLogger("transom.exporter")


class Exporter:
    """Takes commands, runs their jobs, and tells how they go."""

    def __init__(  # noqa: PLR0913 - what the story needs of the world, each by name
        self,
        *,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        clips: ClipMaker,
        holds: Holds,
        upkeep: Upkeep,
        urgent_types: Collection[str] = (),
    ) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        self._standing, self._cameras, self._clips = standing, cameras, clips
        self._urgent_types = tuple(urgent_types)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._errands: dict[str, Errand] = {}  # of the jobs that send now
        self._stopped: set[str] = set()  # running jobs that an order has ended
        self._teller = teller = Teller(journal, audit, clock)
        self._asking = Asking(journal, audit, clock, standing, teller)
        self._holding = HoldKeeper(
            holds=holds, journal=journal, clock=clock, standing=standing, cameras=cameras, teller=teller
        )
        self._orders = JobOrders(
            journal=journal,
            audit=audit,
            clock=clock,
            standing=standing,
            cameras=cameras,
            teller=teller,
            asking=self._asking,
            errands=self._errands,
            stop=self._stop_job,
        )
        self._upkeep = upkeep

    @property
    def refused_unanswered(self) -> int:
        """Refusals beyond what is answered."""
        return self._teller.unanswered

    @property
    def is_busy(self) -> bool:
        """Whether any job runs, or is being tidied up after."""
        return bool(self._tasks)

    def is_closing(self, job_id: str) -> bool:
        """Whether a job has come to the end of its window, so that it cannot be extended any more."""
        return job_id in self._errands and self._errands[job_id].is_closing

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
        new = Job(command.id, envelope, now, action=command.action)
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
        """Take the owner's signed answer to an open job; when this returns, it is stored and may be acknowledged."""
        self._asking.take(token)

    def resume(self) -> None:
        """Go on with every job that was open when the hub stopped."""
        open_jobs = self._journal.open_jobs()
        with contextlib.suppress(UnavailableError):  # what could not be removed is tried at the next start
            self._clips.tidy({job.id for job in open_jobs})
        with contextlib.suppress(UnavailableError):  # likewise
            self._holding.tidy({job.id for job in open_jobs})
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
        await self._holding.stop()

    def _stop_job(self, job_id: str) -> None:
        """Let a job see that an order has ended it; the journal has that already."""
        self._stopped.add(job_id)
        self._asking.wake(job_id)

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
                await self._holding.release(job_id)
            except (UnavailableError, ExceptionGroup) as error:
                if isinstance(error, ExceptionGroup) and error.split(UnavailableError)[1] is not None:
                    log.exception("job %s met a bug and waits for a restart", job_id)
                    return
                log.warning("job %s waits: %s", job_id, error)
                await asyncio.sleep(JOB_RETRY_S)
            else:
                self._asking.taken_back.discard(job_id)
                self._stopped.discard(job_id)
                # by signed time only up to what is known on the disk: `server_time.py`
                if self._clock.standing().source in {TimeSource.NETWORK, TimeSource.ASSUMED}:
                    self._journal.forget_before(self._clock.now(), REPLAY_MARGIN_NS)
                return

    async def _run(self, job: Job) -> None:
        """Carry a job from the state it is in to its end."""
        # After a power cut nothing goes out before the time is known again.
        while not self._clock.is_trusted():  # noqa: ASYNC110 - the kernel sends no event for it
            await asyncio.sleep(CLOCK_CHECK_S)
        standing, now = self._standing(), self._time_for(job)
        command = verify_again(
            job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True
        )
        match command:
            case VerifiedCommand():
                await self._upload(job, command, standing)
            case VerifiedHold():
                await self._holding.run(job, command)
            case VerifiedJobOrder():
                await self._orders.run(job, command)
            case VerifiedUpkeep():
                await self._upkeep.run(job, command, self._teller)
            case Refusal():  # it was good when it came: the trust in it has ended since
                self._teller.end_refused(job, command)
            case _:
                self._teller.end_refused(job, Refusal(RefusalReason.UNSUPPORTED))

    async def _upload(self, job: Job, command: VerifiedCommand, standing: Standing) -> None:
        """Carry a `clip.upload` from the state it is in to its end."""
        if job.stopped_by:
            self._stopped.add(job.id)
        job, grant = await self._grant(job, command, standing)
        if grant is None:
            return
        keys = standing.trust.store_signers()

        def masks(camera: CameraId) -> Masks:
            return masks_now(errand.grant, camera, self._standing().word, self._time_for(job))

        consent = _Consent(lambda: self._is_allowed(job, errand.grant))

        def urgency() -> Urgency:
            kind = command.incident.type
            return Urgency(job.received, errand.grant.window.end, is_urgent=is_among(kind, self._urgent_types))

        errand = Errand(job, grant, keys, consent, self._teller.tell, masks, urgency, partial(self._pin, job))
        errand.owner_copy = lambda: owner_copy(self._standing().policy, command.recipients)
        self._errands[job.id] = errand
        try:
            outcome = await self._clips.deliver(errand)
        except StoreRefusedError as error:
            event = JobEvent.TIME_OVER if isinstance(error, StoreTimedOutError) else JobEvent.GAVE_UP
            self._teller.move(self._journal.job(job.id) or job, event, detail=str(error))
            return
        finally:
            del self._errands[job.id]
        self._end(self._journal.job(job.id) or job, outcome, is_allowed=consent())

    def _end(self, job: Job, outcome: Outcome, *, is_allowed: bool) -> None:
        if not is_allowed and job.id in self._stopped:
            self._teller.move(job, JobEvent.AGENCY_CANCELED, RefusalReason.AGENCY_CANCELED)
        elif not is_allowed:
            is_no = job.id in self._asking.taken_back
            reason = RefusalReason.OWNER_DECLINED if is_no else RefusalReason.SHARING_OFF
            self._teller.move(job, JobEvent.CONSENT_WITHDRAWN, reason)
        elif outcome.is_complete:
            self._teller.move(job, JobEvent.DELIVERED)
        else:
            self._teller.move(job, JobEvent.DELIVERED_WITH_GAPS, detail=outcome.gaps, gaps=outcome.missing)

    async def _grant(self, job: Job, command: VerifiedCommand, standing: Standing) -> tuple[Job, Granted | None]:
        """Decide, ask the owner if the policy says so, and store what came of it; None if the answer is no."""
        verdict: Granted | Refusal | Ask
        if job.window is not None:  # asked or granted before a restart: exactly that, whatever the policy is by now
            verdict = self._again(job, command, job.window)
        elif job.id in self._stopped:
            verdict = Refusal(RefusalReason.AGENCY_CANCELED, "", job.id)
        else:
            waiting = [one for one in self._journal.open_jobs() if one.action == command.action]
            asked = sum(one.state is JobState.AWAITING_OWNER for one in waiting)
            used = self._journal.grants_since(WallTime(job.received - DAY_NS)) + asked
            verdict = decide(command, standing.word, self._cameras(), job.received, used)
        if isinstance(verdict, Ask):
            if job.state is JobState.RECEIVED:
                job = self._asking.put(job, verdict)
            await self._pin(job)
            job, verdict = await self._asking.ask(job, verdict)
        is_new = job.state is not JobState.IN_PROGRESS  # what has begun is ended by `_is_allowed`, and says what went
        if is_new and isinstance(verdict, Granted) and (said := self._asking.said(job.id)) and said.decision == "no":
            verdict = Refusal(RefusalReason.OWNER_DECLINED, "", job.id)
        if isinstance(verdict, Refusal):
            self._teller.end_refused(job, verdict)
            return job, None
        if is_new:
            yes = JobEvent.GRANTED if job.state is JobState.RECEIVED else JobEvent.OWNER_SAID_YES
            job = replace(job, cameras=verdict.cameras, window=verdict.window, sound=verdict.sound, masks=verdict.masks)
            job = self._teller.move(job, yes, granted=self._clock.now())
        return job, verdict

    async def _pin(self, job: Job) -> None:
        """Keep what the question is about while the ring goes on; it is asked also where there is no room for that."""
        try:
            await self._holding.pin(job)
        except HoldRefusedError as error:
            self._audit.append("not_held", job.id, {"why": str(error)})

    def _again(self, job: Job, command: VerifiedCommand, window: Window) -> Granted | Refusal | Ask:
        """Take up the question or the grant that the journal holds."""
        if job.state is not JobState.IN_PROGRESS:
            return Ask(command, job.cameras, window, job.deadline or job.received, job.sound)
        covered, has_said_yes = (job.cameras, window, job.sound), bool(job.answer)
        if (said := self._asking.said(job.id)) and said.decision == "no":
            self._asking.taken_back.add(job.id)
        return remembered(command, covered, self._standing().word, has_owner_said_yes=has_said_yes, masks=job.masks)

    def _time_for(self, job: Job) -> WallTime:
        """Return the time by which a job is judged: a clock that was set back behind its receipt ends no consent."""
        return WallTime(max(self._clock.now(), job.received))

    def _is_allowed(self, job: Job, grant: Granted) -> bool:
        """Say whether trust, owner and policy of now still give this grant, and nobody has ended the job."""
        standing, now = self._standing(), self._time_for(job)
        if job.id in self._asking.taken_back or job.id in self._stopped:
            return False
        trusted = verify_again(
            job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True
        )
        if not isinstance(trusted, VerifiedCommand) or trusted.recipients != grant.command.recipients:
            return False
        return still_allowed(grant, standing.word, now, is_clock_trusted=self._clock.is_trusted())


class _Consent:
    """The question before every effect. After the first no it is not asked again: what was stopped does not go on."""

    def __init__(self, is_allowed: Callable[[], bool]) -> None:
        self._is_allowed = is_allowed
        self._has_ended = False

    def __call__(self) -> bool:
        self._has_ended = self._has_ended or not self._is_allowed()
        return not self._has_ended
