"""Footage that must outlive the ring while somebody decides: for a question to the owner, or by a `clip.hold`.

Rules of this file:
- A hold reveals nothing and allows nothing: it is made only of what an upload could be asked for now, its status tells
  of no footage, and whatever is sent later needs a grant of its own, by the limits of that day.
- It ends as soon as the owner's policy or the trust in its signer would not allow it any more: sharing off, a camera
  taken out, a revoked key. The copy and its key are destroyed then.
- Footage of a job is let go when the job has ended, which is after its last receipt is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.hold import Hold, HoldRefusedError, Holds
from agent.clip_job import Job, JobEvent, JobState, time_for
from agent.clips.teller import Teller
from agent.clock import SECOND_NS, Clock, WallTime
from agent.command.envelope import verify_again
from agent.command.orders import VerifiedHold
from agent.command.request import Refusal, RefusalReason
from agent.consent.decide import decide
from agent.consent.grant import Ask, Granted
from agent.consent.standing import Standing
from agent.crypto import sha256_hex
from agent.errors import UnavailableError
from agent.ports import Journal
from agent.trust.passed_time import PassedTime

LOOK_S: Final = 2.0  # so soon is a hold gone after the owner's no, and new footage of its window copied
SETTLED_NS: Final = 15 * SECOND_NS  # behind a window's end no chunk of it comes any more
KEPT_NS: Final = 7 * 24 * 3600 * SECOND_NS  # footage of a job that does not end


class HoldKeeper:
    """Holds the footage of jobs, a hold for each, and runs the jobs that are nothing else."""

    def __init__(  # noqa: PLR0913 - what holding needs, each by name
        self,
        *,
        holds: Holds,
        journal: Journal,
        clock: Clock,
        passed: PassedTime,
        standing: Callable[[], Standing],
        cameras: Callable[[], Collection[CameraId]],
        teller: Teller,
        look_s: float = LOOK_S,
    ) -> None:
        self._holds, self._journal, self._clock, self._passed = holds, journal, clock, passed
        self._standing, self._cameras, self._teller = standing, cameras, teller
        self._look_s = look_s
        self._tending: dict[str, asyncio.Task[None]] = {}

    # --------------------------------------------------------- footage of any job
    async def pin(self, job: Job, until: WallTime | None = None) -> None:
        """Hold what the job covers, and go on copying while its window runs. Raises HoldRefusedError."""
        if job.window is None or job.id in self._tending:
            return
        name, expires = hold_name(job.id), until or WallTime(job.received + KEPT_NS)
        if self._is_held(name):
            await asyncio.to_thread(self._holds.top_up, name)
        else:
            hold = Hold(name, job.cameras, job.window.start, job.window.end, job.received, expires)
            await asyncio.to_thread(self._holds.hold, hold)
        self._tending[job.id] = asyncio.get_running_loop().create_task(self._tend(job), name=f"hold of {job.id}")

    async def release(self, job_id: str) -> None:
        """Destroy what is held of a job that has ended; without a hold, do nothing. Raises UnavailableError."""
        task = self._tending.pop(job_id, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._is_held(hold_name(job_id)):
            await asyncio.to_thread(self._holds.release, hold_name(job_id))

    def tidy(self, open_jobs: Collection[str]) -> None:
        """Destroy what is held of jobs that are not open: left by a crash between their end and `release`."""
        kept = {hold_name(job) for job in open_jobs}
        for hold in self._holds.held():
            if hold.name not in kept:
                self._holds.release(hold.name)

    async def stop(self) -> None:
        """Stop copying; what is held stays."""
        for task in self._tending.values():
            task.cancel()
        for task in self._tending.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tending.clear()

    async def _tend(self, job: Job) -> None:
        """Copy what is recorded of the window as it comes, until all of it has."""
        is_over = False
        while not is_over and job.window is not None:
            is_over = self._clock.now() > job.window.end + SETTLED_NS
            await asyncio.sleep(self._look_s)
            with contextlib.suppress(UnavailableError):  # a full quota or disk: what is copied stays
                await asyncio.to_thread(self._holds.top_up, hold_name(job.id))

    def _is_held(self, name: str) -> bool:
        return any(hold.name == name for hold in self._holds.held())

    # ------------------------------------------------------------------ clip.hold
    async def run(self, job: Job, command: VerifiedHold) -> None:
        """Carry a `clip.hold` to its end: released, expired, or not allowed any more."""
        if job.state is JobState.RECEIVED:
            now = time_for(self._clock.now(), job)
            verdict = self._verdict(command, now)
            if isinstance(verdict, Refusal):
                self._teller.end_refused(job, verdict)
                return
            due = self._passed.now() + max(0, command.until - now)
            job = replace(job, cameras=verdict.cameras, window=verdict.window, deadline=command.until, due=due)
        try:
            await self.pin(job, command.until)
        except HoldRefusedError as error:
            self._teller.end_refused(job, Refusal(RefusalReason.NO_ROOM, str(error), job.id))
            return
        if job.state is JobState.RECEIVED:
            job = self._teller.move(job, JobEvent.HELD)
        await self._keep(job, command)

    async def _keep(self, job: Job, command: VerifiedHold) -> None:
        while True:
            job = self._journal.job(job.id) or job
            if job.stopped_by:
                self._teller.move(job, JobEvent.RELEASED)
                return
            now = time_for(self._clock.now(), job)
            left_ns = command.until - now
            if job.due is not None:  # a clock that is set back holds nothing longer
                left_ns = min(left_ns, job.due - self._passed.now())
            if left_ns <= 0:
                self._teller.move(job, JobEvent.EXPIRED)
                return
            refusal = self._is_withdrawn(job, now)
            if refusal is not None:
                self._teller.end_refused(job, refusal)
                return
            await asyncio.sleep(min(self._look_s, left_ns / SECOND_NS))

    def _is_withdrawn(self, job: Job, now: WallTime) -> Refusal | None:
        """Say why a hold may not go on: its signer has lost their trust, or the owner would not be asked for it now."""
        standing = self._standing()
        again = verify_again(job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True)
        if not isinstance(again, VerifiedHold):
            return again if isinstance(again, Refusal) else Refusal(RefusalReason.UNSUPPORTED)
        verdict = self._verdict(again, now)
        if isinstance(verdict, Refusal):
            return verdict
        if not set(job.cameras) <= set(verdict.cameras):
            return Refusal(RefusalReason.CAMERA_NOT_SHARED, "", job.id)
        return None

    def _verdict(self, command: VerifiedHold, now: WallTime) -> Granted | Refusal | Ask:
        """Ask what would become of the upload that the hold prepares; the uploads of the day are not its question."""
        return decide(command.asked, self._standing().word, self._cameras(), now, 0)


def hold_name(job_id: str) -> str:
    """Name the hold of a job: ids differ in case, names of holds do not."""
    return f"job-{sha256_hex(job_id.encode())[:40]}"
