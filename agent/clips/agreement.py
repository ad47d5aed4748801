"""What was agreed for a running job, and whether it still holds: asked before every part, and before every effect.

Rules of this file:
- After the first no it is not asked again: what was stopped does not go on. The no is in the journal before anything is
  done about it, so a restart finds the job withdrawn, and can decide nothing wider than before.
- A no that the disk cannot take holds all the same, for as long as the hub runs; storing it is tried at every question.
- While the hub's clock is doubted (`trust/clock_past.py`), the time is that of before, carried on by the clock that is
  never set: a clock that was set by mistake ends nothing for good.
- The reason is that of whoever ended it: the agency, the owner, the policies, the trust in its signer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

import msgspec

from agent.buffer.clock_eras import ClockWord
from agent.clip_job import Job, time_for
from agent.clock import BootClock, WallTime
from agent.command.envelope import Audience, Verified, verify_again
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.trust import TrustBundle
from agent.consent.decide import still_allowed
from agent.consent.grant import Granted
from agent.consent.standing import Standing
from agent.errors import UnavailableError
from agent.ports import Journal


@dataclass(frozen=True, slots=True)
class Words:
    """What people have said about running jobs, and what has ended them: known at once, whatever the disk does."""

    stopped: set[str]  # by an order of their agency
    taken_back: set[str]  # by their owner
    ended: MutableMapping[str, RefusalReason]  # why, by the first no

    def forget(self, job: str) -> None:
        """Drop what was said about a job that has ended."""
        self.stopped.discard(job)
        self.taken_back.discard(job)
        self.ended.pop(job, None)


class Agreement:
    """The question whether a job's grant still holds."""

    def __init__(
        self,
        job: Job,
        grant: Callable[[], Granted],
        words: Words,
        journal: Journal,
        clock: BootClock,
        standing: Callable[[], Standing],
        clock_word: Callable[[], ClockWord],
    ) -> None:
        self._job, self._grant, self._words, self._journal = job, grant, words, journal
        self._clock_word, self._undoubted = clock_word, (clock.now(), clock.since_boot())
        self._clock, self._standing = clock, standing
        self._is_stored = job.withdrawn is not None
        if job.withdrawn is not None:
            words.ended[job.id] = job.withdrawn

    @property
    def ended(self) -> RefusalReason | None:
        """Why it holds no more, if that has been found."""
        return self._words.ended.get(self._job.id)

    def __call__(self) -> bool:
        """Ask."""
        if self.ended is None and (reason := self._why_not()) is not None:
            self._words.ended[self._job.id] = reason
        reason = self.ended
        if reason is not None and not self._is_stored:
            with contextlib.suppress(UnavailableError):
                self._journal.withdraw_job(self._job.id, reason)
                self._is_stored = True
        return reason is None

    def _why_not(self) -> RefusalReason | None:
        """Say who does not give this grant any more: the agency, the owner, trust, or the policies of now."""
        job, standing = self._job, self._standing()
        now = time_for(self._now(), job)
        if job.id in self._words.stopped:
            return RefusalReason.AGENCY_CANCELED
        if job.id in self._words.taken_back:
            return RefusalReason.OWNER_DECLINED
        believed = _by_trust_of_now(job, standing, now)
        if isinstance(believed, Refusal):
            return believed.reason
        if not isinstance(believed, VerifiedCommand) or believed.recipients != self._grant().command.recipients:
            return RefusalReason.RECIPIENT_UNKNOWN
        is_allowed = still_allowed(self._grant(), standing.word, now, is_clock_trusted=self._clock.is_trusted())
        return None if is_allowed else RefusalReason.SHARING_OFF

    def _now(self) -> WallTime:
        if self._clock_word() is not ClockWord.DOUBTED:
            self._undoubted = self._clock.now(), self._clock.since_boot()
        wall, since_boot = self._undoubted
        return WallTime(wall + self._clock.since_boot() - since_boot)


def distrust(job: Job, standing: Standing, now: WallTime) -> Refusal | None:
    """Say why a job's command is not believed any more, by the trust of now; None: it is."""
    believed = _by_trust_of_now(job, standing, time_for(now, job))
    return believed if isinstance(believed, Refusal) else None


def as_granted(job: Job, audience: Audience) -> VerifiedCommand | None:
    """Read the command of a granted job by the trust of then: enough to end it as it would have ended then.

    None if it was not granted. Nothing is sent on the strength of this: `Agreement` asks the trust of now.
    """
    try:
        trust = msgspec.json.decode(job.trust, type=TrustBundle)
    except msgspec.MsgspecError:  # there is none, or another version wrote it
        return None
    command = verify_again(job.envelope, trust, audience, job.received, trust.issued, is_clock_trusted=True)
    return command if isinstance(command, VerifiedCommand) else None


def _by_trust_of_now(job: Job, standing: Standing, now: WallTime) -> Verified | Refusal:
    return verify_again(job.envelope, standing.trust, standing.audience, job.received, now, is_clock_trusted=True)
