"""The restart into a new firmware: wanted once one is installed, announced, done when nothing promised is lost by it.

Rules of this file:
- The wish is on the disk before the installation's job ends, and is for one start of the machine: whatever starts next,
  the wish has been granted, and `firmware_runs` in the audit log says what runs.
- A restart waits for jobs, but not for ever: `waits_for` has the steps. The bridge decides whether there is anything to
  restart into, logind whether the machine may go down now.
- The audit log and the state message have it before the bridge is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from agent.clip_job import Job, JobState
from agent.clock import SECOND_NS, Clock, Instant
from agent.errors import BadInputError, UnavailableError
from agent.evidence.kinds import Kind
from agent.loose_thread import in_thread
from agent.ports import Audit, Document, Documents

LOOK_EVERY_S: Final = 5.0
QUIET_S_MIN: Final = 30.0
"""For so long nothing that a restart waits for has been there; the installation's last word is out by then."""
ALL_JOBS_S_MAX: Final = 6 * 3600.0
"""So long any open job is waited for: also a question to the owner, and footage that is held."""
UPLOADS_S_MAX: Final = 24 * 3600.0
"""So long an upload, whose window may still run: an order that is extended for ever keeps no hub on old firmware."""
ANNOUNCED_S: Final = 5.0
"""Between the last announcement and the restart: the state message is out."""
ASK_AGAIN_S: Final = 600.0
ASKED_MAX: Final = 3 * 144
"""Three days; then the firmware starts with the next boot, whoever makes it."""

_NAME: Final = "restart"
_NOW: Final = frozenset({JobState.RECEIVED, JobState.IN_PROGRESS})

log: Final = logging.getLogger("transom.restart")


class WantedRestart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the disk knows: the version to start, and in which start of the machine it was installed."""

    version: str
    boot: str


def waits_for(jobs: Sequence[Job], waited_s: float) -> str:
    """Say what a restart waits for, empty for nothing; `jobs` are those that are open."""
    if waited_s < ALL_JOBS_S_MAX and jobs:
        return f"{len(jobs)} open jobs"
    uploads = [job for job in jobs if job.state in _NOW]
    if waited_s < UPLOADS_S_MAX and uploads:
        return f"{len(uploads)} clips on their way"
    return ""


class RestartWatch:
    """Used from the event loop only; `restart` asks the bridge and may block.

    `restart` raises UnavailableError if the machine may not go down now, BadInputError if there is nothing to start.
    """

    def __init__(
        self,
        documents: Documents,
        audit: Audit,
        clock: Clock,
        boot: str,
        open_jobs: Callable[[], Sequence[Job]],
        restart: Callable[[], object],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Take up a wish of this start of the machine; one of an earlier start has been granted."""
        self._documents, self._audit, self._clock, self._boot = documents, audit, clock, boot
        self._open_jobs, self._restart, self._on_change = open_jobs, restart, on_change
        stored = self._read()
        self._wanted = stored if stored is not None and stored.boot == boot else None
        self._since = self._quiet_since = clock.instant()
        self._next, self._asked = clock.instant(), 0

    @property
    def version(self) -> str:
        """Which version the machine will be restarted into; empty: none."""
        return self._wanted.version if self._wanted else ""

    def want(self, version: str) -> None:
        """Restart into this version when nothing is lost by it. Raises UnavailableError if that cannot be stored."""
        self._store(WantedRestart(version, self._boot))
        self._since = self._quiet_since = self._next = self._clock.instant()
        self._asked = 0
        self._on_change()

    async def run(self, look_every_s: float = LOOK_EVERY_S, announced_s: float = ANNOUNCED_S) -> None:
        """Look for ever."""
        while True:
            await self.look(announced_s)
            await asyncio.sleep(look_every_s)

    async def look(self, announced_s: float = ANNOUNCED_S) -> None:
        """Restart if it is time to; what stands in the way is tried again, for three days."""
        try:
            if self.is_due():
                await self._go(announced_s)
        except UnavailableError as error:
            log.warning("the machine is not restarted yet: %s", error)
            self._next = Instant(self._clock.instant() + int(ASK_AGAIN_S * SECOND_NS))
            if self._asked >= ASKED_MAX:
                with suppress(UnavailableError):  # a full log or disk: the next start of the agent wants it again
                    self._give_up(str(error))

    def is_due(self) -> bool:
        """Say whether it is time to restart."""
        now = self._clock.instant()
        if self._wanted is None or now < self._next:
            return False
        if waits_for(self._open_jobs(), (now - self._since) / SECOND_NS):
            self._quiet_since = now
        return now - self._quiet_since >= QUIET_S_MIN * SECOND_NS

    async def _go(self, announced_s: float) -> None:
        """Announce the restart, then ask for it; the next try says no more than the first."""
        version = self.version
        if not self._asked:
            jobs = len(self._open_jobs())
            self._audit.append(Kind.RESTART, "", {"version": version, "step": "now", "open_jobs": jobs})
            log.info("the machine restarts into firmware %s", version)
            self._on_change()
            await asyncio.sleep(announced_s)
        self._asked += 1
        try:
            await in_thread(self._restart)
        except BadInputError as error:
            self._give_up(str(error))
        else:
            self._next = Instant(
                self._clock.instant() + int(ASK_AGAIN_S * SECOND_NS)
            )  # the machine goes down meanwhile

    def _give_up(self, why: str) -> None:
        version, self._wanted = self.version, None
        log.warning("the machine is not restarted into firmware %s: %s", version, why)
        self._audit.append(Kind.RESTART, "", {"version": version, "step": "given up", "why": why})
        self._store(None)
        self._on_change()

    def _store(self, wanted: WantedRestart | None) -> None:
        before = self._documents.document(_NAME)
        token = msgspec.json.encode(wanted).decode()
        self._documents.put_document(_NAME, Document(before.version + 1 if before else 1, token))
        self._wanted = wanted

    def _read(self) -> WantedRestart | None:
        stored = self._documents.document(_NAME)
        try:
            return msgspec.json.decode(stored.token, type=WantedRestart | None) if stored else None
        except msgspec.MsgspecError:
            return None
