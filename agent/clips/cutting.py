"""One camera's footage becomes sealed parts, one after the other, until its window is covered.

Rules of this file:
- A part is in the outbox, synced, before the journal names it, and in the journal before anybody hears of it.
- Nothing is cut that the outbox has no room for; then the footage is held until there is room.
- What cannot be cut is a part without pictures that says why, never a silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.clock_eras import ClockWord
from agent.clip_job import JobPart, PartState
from agent.clips.courier import outbox_name
from agent.clips.cut_slots import CutSlots
from agent.clips.errand import Errand, entry_of, fitting, nothing, parts_of
from agent.clips.part_sealer import PartSealer
from agent.clips.room import Room
from agent.clock import SECOND_NS, Clock, WallTime, Window
from agent.cut.plan import (
    SOUND_LEAD_NS,
    WHY_TORN,
    CutPlan,
    Finished,
    PartSettings,
    Wait,
    all_left_out,
    empty_report,
    plan_next,
)
from agent.errors import BadInputError, UnavailableError
from agent.ports import Audit, ChunkSource, Cuts, Cutter, Journal, OutboxFullError

CUT_TRIES_MAX: Final = 2
"""The second encodes everything anew: whatever broke the first, no bit of it is copied."""

CUT_RETRY_S: Final = 2.0
WAIT_S_MAX: Final = 2.0  # for footage, before the clock is asked again: somebody may set it meanwhile
ROOM_LOOK_S: Final = 2.0
MASKED_PART_NS: Final = 10 * SECOND_NS
"""Where everything is encoded anew, parts of the past are shorter: a slow hub needs half a minute for 10 s of 1080p."""

REORDERED_NS: Final = SECOND_NS
"""With B-frames a picture of the window may be sent this much later than one behind it."""


class Cutting:
    """Cuts and seals for all jobs, so many cameras at once; `settings` say how a window is divided."""

    def __init__(  # noqa: PLR0913 - from the ring to the outbox, each by name
        self,
        *,
        ring: ChunkSource,
        cutter: Cutter,
        sealer: PartSealer,
        journal: Journal,
        audit: Audit,
        clock: Clock,
        room: Room,
        settings: PartSettings,
    ) -> None:
        self._ring, self._cutter, self._sealer = ring, cutter, sealer
        self._journal, self._audit, self._clock = journal, audit, clock
        self._room, self.settings = room, settings
        self._slots = CutSlots()

    async def parts(self, errand: Errand, camera: CameraId) -> AsyncGenerator[JobPart]:
        """Give what the outbox holds already, then cut and seal part after part until the window is covered.

        Ends early, with nothing lost, when `is_allowed` says no. Behind a manifest there is none. Raises
        StoreTimedOutError.
        """
        sealed = parts_of(self._journal, errand, camera)
        if sealed and sealed[-1].is_manifest:
            errand.is_closing = True
            return
        for part in sealed:
            yield part
        cuts = self._cutter.cuts()
        try:
            while errand.is_allowed():
                step = self._plan(errand, camera, sealed)
                if isinstance(step, Finished):
                    errand.is_closing = True
                    break
                pause_s = await self._pause_s(errand, step)
                if pause_s is not None or self._slots.are_taken:  # no child keeps its memory while it has nothing to do
                    cuts.end()
                    cuts = self._cutter.cuts()
                if pause_s is not None or isinstance(step, Wait):
                    await asyncio.sleep(pause_s or 0.0)
                    continue
                if (made := await self._seal(errand, cuts, step)) is not None:
                    sealed.append(made)
                    yield made
        finally:
            cuts.end()

    def _plan(self, errand: Errand, camera: CameraId, sealed: Sequence[JobPart]) -> CutPlan | Wait | Finished:
        window = errand.grant.window
        until = sealed[-1].end if sealed else window.start
        if until >= window.end:
            return Finished()
        now, word = self._clock.now(), errand.clock_word()
        if word is ClockWord.DOUBTED:  # a gap would be for good
            return Wait(WallTime(now + SECOND_NS))
        if word is ClockWord.TORN:
            return all_left_out(errand.grant, camera, len(sealed), until, WHY_TORN)
        start = WallTime(until - SOUND_LEAD_NS) if camera in errand.grant.sound else until
        settings = self.settings
        if errand.masks(camera):
            settings = replace(settings, past_ns=MASKED_PART_NS, longest_ns=MASKED_PART_NS, has_copies=False)
        return plan_next(
            grant=errand.grant,
            camera=camera,
            next_part=len(sealed),
            delivered_until=until,
            footage=self._ring.footage(camera, Window(start, WallTime(window.end + REORDERED_NS))),
            now=now,
            settings=fitting(settings, window.end - until, len(sealed)),
        )

    async def _pause_s(self, errand: Errand, step: CutPlan | Wait) -> float | None:
        """Return how long to wait before looking again: for footage, or for room in the outbox; None: cut now."""
        if isinstance(step, Wait):
            return min(max(0.0, (step.until - self._clock.now()) / SECOND_NS), WAIT_S_MAX)
        return None if await self._room.is_there(errand, step) else ROOM_LOOK_S

    async def _seal(self, errand: Errand, cuts: Cuts, plan: CutPlan) -> JobPart | None:
        """Make one part; footage that is missing, or defeats the cutter twice, becomes a gap with that reason.

        None if the outbox turned out to have no room for it: then whoever calls asks for consent again, and for room.
        """
        part = _planned(errand, plan)
        tries = CUT_TRIES_MAX if plan.chunks else 0
        while tries:
            tries -= 1
            try:
                async with self._slots.slot(plan.camera):
                    masks, may_copy = errand.masks(plan.camera), tries == CUT_TRIES_MAX - 1
                    report, sealed = await self._sealer.seal_beside(
                        cuts, plan, outbox_name(part), masks, may_copy=may_copy, copy=errand.owner_copy()
                    )
            except BadInputError as error:
                self._slots.note(plan.camera, has_failed=True)
                part = replace(part, report=nothing(plan.window, str(error)))
            except OutboxFullError:
                await self._room.wait(errand)
                return None
            except UnavailableError as error:
                self._slots.note(plan.camera, has_failed=True)
                part = replace(part, report=nothing(plan.window, str(error)))
                await asyncio.sleep(CUT_RETRY_S)
            else:
                self._slots.note(plan.camera, has_failed=False)
                part = replace(part, report=report, size=sealed.size, sha256=sealed.sha256)
                break
        if part.report is None or not part.report.pictures:
            part = replace(part, state=PartState.RECEIPTED, size=0, sha256="")  # there is nothing to bring
        errand.give_up_at = None  # there was room
        self._audit.append("sealed", part.job, entry_of(part))
        self._journal.put_part(part)
        return part


def _planned(errand: Errand, plan: CutPlan) -> JobPart:
    """Return a part of which nothing has been cut yet."""
    return JobPart(
        job=errand.job.id,
        camera=plan.camera,
        number=plan.part,
        is_manifest=False,
        start=plan.window.start,
        end=plan.window.end,
        state=PartState.SEALED,
        size=0,
        sha256="",
        location="",
        receipt="",
        report=empty_report(plan),
    )
