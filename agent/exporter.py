"""Story two, for each command: verify, decide, cut, seal, upload, receipt, audit.

Rules of this file:
- The decision is in the journal and in the audit log before it takes effect; the message is acknowledged after that.
- A job that was open when the power went is found by `resume` and goes on where it was: sealed parts are sent as they
  are, the rest is cut from the ring. What it covers was stored when it was asked or granted; `clip.extend` alone moves
  the end of its window.
- Trust and consent are asked again before every part is cut and before every effect on the store; a no is for good
  (`clips/agreement.py`). So are the owner's masks: a grant's own stay, those of now and of then are added.
- A job that has begun ends in one way, whoever ends it and whenever that is found: what is on its way is taken back,
  what went is told by a manifest.
- A job is judged by no time before its receipt, whatever a clock that was set says.
- A disk that fails stops a job for a while, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.clock_eras import ClockWord
from agent.buffer.hold import Holds
from agent.clip_job import OPEN_STATES, Job, JobEvent, JobState, time_for
from agent.clips.agreement import Agreement, Words, as_granted
from agent.clips.asking import Asking
from agent.clips.courier import StoreRefusedError, StoreTimedOutError
from agent.clips.errand import Errand, Outcome
from agent.clips.granting import Granting
from agent.clips.holding import HoldKeeper
from agent.clips.job_orders import JobOrders
from agent.clips.maker import ClipMaker
from agent.clips.teller import Teller
from agent.clock import BootClock, TimeSource, WallTime
from agent.command.envelope import verify, verify_again
from agent.command.orders import VerifiedHold, VerifiedJobOrder, VerifiedUpkeep
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.words import SKEW_NS
from agent.consent.decide import masks_now
from agent.consent.mask import Masks
from agent.consent.owner_copy import owner_copy
from agent.consent.standing import Standing
from agent.deliver.turns import Urgency, is_among
from agent.errors import UnavailableError
from agent.evidence.room import LogFullError
from agent.ports import Audit, Journal, Opening
from agent.trust.passed_time import PassedTime
from agent.upkeep import Upkeep

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
        clock: BootClock,
        passed: PassedTime,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        clips: ClipMaker,
        holds: Holds,
        upkeep: Upkeep,
        urgent_types: Collection[str] = (),
        clock_word: Callable[[WallTime], ClockWord] = lambda _: ClockWord.GOOD,
    ) -> None:
        self._journal, self._audit, self._clock = journal, audit, clock
        self._standing, self._cameras, self._clips = standing, cameras, clips
        self._urgent_types, self._clock_word = tuple(urgent_types), clock_word
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._errands: dict[str, Errand] = {}  # of the jobs that send now
        self._teller = teller = Teller(journal, audit, clock)
        self._asking = asking = Asking(
            journal=journal, audit=audit, clock=clock, passed=passed, standing=standing, teller=teller
        )
        self._words = Words(set(), asking.taken_back, {})
        self._holding = HoldKeeper(
            holds=holds,
            journal=journal,
            clock=clock,
            passed=passed,
            standing=standing,
            cameras=cameras,
            teller=teller,
        )
        self._granting = Granting(
            journal=journal,
            audit=audit,
            clock=clock,
            standing=standing,
            cameras=cameras,
            teller=teller,
            asking=asking,
            holding=self._holding,
            words=self._words,
        )
        self._orders = JobOrders(
            journal=journal,
            audit=audit,
            clock=clock,
            standing=standing,
            cameras=cameras,
            teller=teller,
            asking=asking,
            errands=self._errands,
            stop=self._stop_job,
        )
        self._upkeep = upkeep

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
        self._words.stopped.add(job_id)
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
                self._words.forget(job_id)
                self._forget_old()
                return

    def _forget_old(self) -> None:
        """Drop what nobody can replay any more: by no clock that was set just now, which would let it come again."""
        now = self._clock.now()
        # by signed time only up to what is known on the disk: `trust/server_time.py`
        is_known = self._clock.standing().source in {TimeSource.NETWORK, TimeSource.ASSUMED}
        if is_known and self._clock_word(now) is not ClockWord.DOUBTED:
            self._journal.forget_before(now, REPLAY_MARGIN_NS)

    async def _run(self, job: Job) -> None:
        """Carry a job from the state it is in to its end."""
        # After a power cut nothing goes out before the time is known again.
        while not self._clock.is_trusted():  # noqa: ASYNC110 - the kernel sends no event for it
            await asyncio.sleep(CLOCK_CHECK_S)
        standing, now = self._standing(), time_for(self._clock.now(), job)
        command = verify_again(
            job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True
        )
        begun = as_granted(job, standing.audience) if job.state is JobState.IN_PROGRESS else None
        match command:
            case VerifiedCommand():
                await self._upload(job, command)
            case VerifiedHold():
                await self._holding.run(job, command)
            case VerifiedJobOrder():
                await self._orders.run(job, command)
            case VerifiedUpkeep():
                await self._upkeep.run(job, command, self._teller)
            case Refusal() if begun is not None:  # the trust in it has ended since it began: what went is told
                await self._upload(job, begun)
            case Refusal():  # it was good when it came
                self._teller.end_refused(job, command)
            case _:
                self._teller.end_refused(job, Refusal(RefusalReason.UNSUPPORTED))

    async def _upload(self, job: Job, command: VerifiedCommand) -> None:
        """Carry a `clip.upload` from the state it is in to its end."""
        if job.stopped_by:
            self._words.stopped.add(job.id)
        job, grant = await self._granting.grant(job, command)
        if grant is None:
            return
        keys = self._standing().trust.store_signers()
        clock_word = partial(self._clock_word, job.received)
        agreement = Agreement(
            job, lambda: errand.grant, self._words, self._journal, self._clock, self._standing, clock_word
        )

        def masks(camera: CameraId) -> Masks:
            return masks_now(errand.grant, camera, self._standing().word, time_for(self._clock.now(), job))

        def urgency() -> Urgency:
            kind = command.incident.type
            return Urgency(job.received, errand.grant.window.end, is_urgent=is_among(kind, self._urgent_types))

        hold = partial(self._granting.pin, job)
        errand = Errand(job, grant, keys, agreement, self._teller.tell, masks, urgency, hold)
        errand.owner_copy = lambda: owner_copy(self._standing().policy, command.recipients)
        # behind a manifest of before the restart no part goes any more: an extension may come before `deliver` looks
        errand.is_closing = any(part.is_manifest for part in self._journal.parts(job.id))
        errand.clock_word = clock_word
        self._errands[job.id] = errand
        outcome: Outcome | StoreRefusedError
        try:
            outcome = await self._clips.deliver(errand)
        except StoreRefusedError as error:
            outcome = error
        finally:
            del self._errands[job.id]
        agreement()
        self._end(self._journal.job(job.id) or job, outcome, agreement.ended)

    def _end(self, job: Job, outcome: Outcome | StoreRefusedError, withdrawn: RefusalReason | None) -> None:
        """Tell how a job has ended. A withdrawn one is that, also if the store did not take its manifest."""
        detail = str(outcome) if isinstance(outcome, StoreRefusedError) else outcome.gaps
        if withdrawn is not None:
            is_agencys = withdrawn is RefusalReason.AGENCY_CANCELED
            event = JobEvent.AGENCY_CANCELED if is_agencys else JobEvent.CONSENT_WITHDRAWN
            self._teller.move(job, event, withdrawn, detail if isinstance(outcome, StoreRefusedError) else "")
        elif isinstance(outcome, StoreRefusedError):
            event = JobEvent.TIME_OVER if isinstance(outcome, StoreTimedOutError) else JobEvent.GAVE_UP
            self._teller.move(job, event, detail=detail)
        elif outcome.is_complete:
            self._teller.move(job, JobEvent.DELIVERED)
        else:
            self._teller.move(job, JobEvent.DELIVERED_WITH_GAPS, detail=detail, gaps=outcome.missing)
