"""Story two, the middle: one grant becomes sealed parts at the store, and a manifest that says what they are.

Rules of this file:
- A part is in the outbox, synced, before the journal names it, and in the journal before anything of it is sent.
- Parts are sealed as soon as their footage is committed, and stand in the line for the store beside that; neither
  waits for the other, and `deliver/turns.py` says in which order they go.
- Nothing is cut that the outbox has no room for; then the footage is held until there is room.
- What cannot be delivered is a gap in the manifest, never a silence; behind a manifest no part goes any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.clock_eras import ClockWord
from agent.clip_job import JobPart, PartState
from agent.clips.courier import Courier, StoreRefusedError, StoreTimedOutError, outbox_name
from agent.clips.errand import Errand, Outcome, entry_of, fitting, may_go, nothing, outcome_of, told_of, why_withheld
from agent.clips.part_sealer import PartSealer
from agent.clock import SECOND_NS, Clock, WallTime, Window
from agent.consent.grant import Granted
from agent.crypto import sha256_hex
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
from agent.deliver.turns import Rank, rank_at
from agent.errors import BadInputError, UnavailableError
from agent.evidence.kinds import Kind
from agent.ports import Audit, ChunkSource, Cuts, Cutter, Journal, Outbox, OutboxFullError

CUTS_AT_ONCE_MAX: Final = 2
CUT_TRIES_MAX: Final = 2
"""The second encodes everything anew: whatever broke the first, no bit of it is copied."""

CUT_RETRY_S: Final = 2.0
WAIT_S_MAX: Final = 2.0  # for footage, before the clock is asked again: somebody may set it meanwhile
OUTBOX_FULL_S: Final = 10.0
MANIFEST_SPARE_BYTES: Final = 4 * 1024**2  # the word about what went finds room where no picture does
ROOM_LOOK_S: Final = 2.0
CONSENT_LOOK_S: Final = 1.0  # so often parts that wait for their turn are asked for: they may wait for days
MASKED_PART_NS: Final = 10 * SECOND_NS
"""Where everything is encoded anew, parts of the past are shorter: a slow hub needs half a minute for 10 s of 1080p."""

REORDERED_NS: Final = SECOND_NS
"""With B-frames a picture of the window may be sent this much later than one behind it."""

ManifestWriter = Callable[[Granted, CameraId, Sequence[JobPart]], bytes]
"""Makes the signed manifest of one camera's clip."""


@dataclass(frozen=True, slots=True)
class _Camera:
    """One camera of an errand, while it runs: parts go from the sealing task to the sending task; None is the end."""

    errand: Errand
    id: CameraId
    queue: asyncio.Queue[JobPart | None] = field(default_factory=asyncio.Queue)


class ClipMaker:
    """Makes and delivers the clips of granted jobs."""

    def __init__(  # noqa: PLR0913 - what a clip needs on its whole way, each by name
        self,
        *,
        ring: ChunkSource,
        cutter: Cutter,
        sealer: PartSealer,
        outbox: Outbox,
        journal: Journal,
        courier: Courier,
        audit: Audit,
        clock: Clock,
        write_manifest: ManifestWriter,
        settings: PartSettings,
    ) -> None:
        self._ring, self._cutter, self._sealer = ring, cutter, sealer
        self._outbox, self._journal = outbox, journal
        self._courier, self._audit, self._clock = courier, audit, clock
        self._write_manifest, self.settings = write_manifest, settings
        self._slots = asyncio.Semaphore(CUTS_AT_ONCE_MAX)
        self._slots_of_troubled = asyncio.Semaphore(CUTS_AT_ONCE_MAX - 1)
        self._troubled: set[CameraId] = set()  # cameras whose newest cut has failed

    async def deliver(self, errand: Errand) -> Outcome:
        """Cut, seal and send everything the grant covers, from wherever the journal says the job is.

        Returns when every part has its receipt, or when `is_allowed` says no. Raises StoreRefusedError.
        """
        try:
            async with asyncio.TaskGroup() as around:
                watching = around.create_task(self._watch_consent(errand))
                async with asyncio.TaskGroup() as tasks:
                    for camera in [_Camera(errand, name) for name in errand.grant.cameras]:
                        tasks.create_task(self._seal_parts(camera))
                        tasks.create_task(self._send_parts(camera))
                watching.cancel()
        except* StoreRefusedError as refused:
            first = _first(refused)
            raise (StoreTimedOutError if isinstance(first, StoreTimedOutError) else StoreRefusedError)(
                str(first)
            ) from refused
        return outcome_of([part for camera in errand.grant.cameras for part in self._told(errand, camera)])

    # ------------------------------------------------------------- seal
    async def _seal_parts(self, camera: _Camera) -> None:
        """Queue what the outbox holds already, then cut and seal part after part until the window is covered."""
        sealed = self._known(camera.errand, camera.id)
        has_manifest = bool(sealed) and sealed[-1].is_manifest
        for part in [] if has_manifest else sealed:
            camera.queue.put_nowait(part)
        cuts = self._cutter.cuts()
        try:
            while camera.errand.is_allowed() and not has_manifest:
                step = self._plan(camera, sealed)
                if isinstance(step, Finished):
                    camera.errand.is_closing = True
                    break
                pause_s = await self._pause_s(camera.errand, step)
                if pause_s is not None or self._slots.locked():  # no child keeps its memory while it has nothing to do
                    cuts.end()
                    cuts = self._cutter.cuts()
                if pause_s is not None or isinstance(step, Wait):
                    await asyncio.sleep(pause_s or 0.0)
                    continue
                if (made := await self._seal_part(camera, cuts, step)) is not None:
                    sealed.append(made)
                    camera.queue.put_nowait(made)
        finally:
            cuts.end()
        camera.errand.is_closing |= has_manifest
        camera.queue.put_nowait(None)

    def _plan(self, camera: _Camera, sealed: Sequence[JobPart]) -> CutPlan | Wait | Finished:
        window = camera.errand.grant.window
        until = sealed[-1].end if sealed else window.start
        if until >= window.end:
            return Finished()
        now, word = self._clock.now(), camera.errand.clock_word()
        if word is ClockWord.DOUBTED:  # a gap would be for good
            return Wait(WallTime(now + SECOND_NS))
        if word is ClockWord.TORN:
            return all_left_out(camera.errand.grant, camera.id, len(sealed), until, WHY_TORN)
        has_sound = camera.id in camera.errand.grant.sound
        start = WallTime(until - SOUND_LEAD_NS) if has_sound else until
        settings = self.settings
        if camera.errand.masks(camera.id):
            settings = replace(settings, past_ns=MASKED_PART_NS, longest_ns=MASKED_PART_NS, has_copies=False)
        return plan_next(
            grant=camera.errand.grant,
            camera=camera.id,
            next_part=len(sealed),
            delivered_until=until,
            footage=self._ring.footage(camera.id, Window(start, WallTime(window.end + REORDERED_NS))),
            now=now,
            settings=fitting(settings, window.end - until, len(sealed)),
        )

    async def _seal_part(self, camera: _Camera, cuts: Cuts, plan: CutPlan) -> JobPart | None:
        """Make one part; footage that is missing, or defeats the cutter twice, becomes a gap with that reason.

        None if the outbox turned out to have no room for it: then whoever calls asks for consent again, and for room.
        """
        part = JobPart(
            job=camera.errand.job.id,
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
        tries = CUT_TRIES_MAX if plan.chunks else 0
        while tries:
            tries -= 1
            try:
                async with self._cut_slot(camera.id):
                    masks, may_copy = camera.errand.masks(camera.id), tries == CUT_TRIES_MAX - 1
                    copy = camera.errand.owner_copy()
                    report, sealed = await self._sealer.seal_beside(
                        cuts, plan, outbox_name(part), masks, may_copy=may_copy, copy=copy
                    )
            except BadInputError as error:
                self._troubled.add(camera.id)
                part = replace(part, report=nothing(plan.window, str(error)))
            except OutboxFullError:
                await self._wait_for_room(camera.errand)
                return None
            except UnavailableError as error:
                self._troubled.add(camera.id)
                part = replace(part, report=nothing(plan.window, str(error)))
                await asyncio.sleep(CUT_RETRY_S)
            else:
                self._troubled.discard(camera.id)
                part = replace(part, report=report, size=sealed.size, sha256=sealed.sha256)
                break
        if part.report is None or not part.report.pictures:
            part = replace(part, state=PartState.RECEIPTED, size=0, sha256="")  # there is nothing to bring
        camera.errand.give_up_at = None  # there was room
        self._audit.append("sealed", part.job, entry_of(part))
        self._journal.put_part(part)
        return part

    async def _pause_s(self, errand: Errand, step: CutPlan | Wait) -> float | None:
        """Return how long to wait before looking again: for footage, or for room in the outbox; None: cut now."""
        if isinstance(step, Wait):
            return min(max(0.0, (step.until - self._clock.now()) / SECOND_NS), WAIT_S_MAX)
        needed = sum(chunk.length for chunk in step.chunks)
        rank = rank_at(errand.urgency(), step.window.end, self._clock.now())
        if not needed or needed <= self._outbox.room(is_live=rank is Rank.LIVE):
            return None
        self._give_up_in_time(errand)
        if not errand.is_held:
            with suppress(UnavailableError):  # a disk that fails is told by the hub's health; it is tried again
                await errand.hold()
                errand.is_held = True
        return ROOM_LOOK_S

    def _give_up_in_time(self, errand: Errand) -> None:
        """End a job for which there is no room, as one whose store is away. Raises StoreTimedOutError."""
        errand.give_up_at = errand.give_up_at or self._courier.give_up_at(errand.urgency())
        if self._courier.has_come(errand.give_up_at):
            raise StoreTimedOutError("the outbox had no room for as long as the store is tried")

    @asynccontextmanager
    async def _cut_slot(self, camera: CameraId) -> AsyncIterator[None]:
        """Wait for leave to cut. Cameras that hang or crash what cuts them never hold it all: the others go on."""
        async with self._slots_of_troubled if camera in self._troubled else nullcontext(), self._slots:
            yield

    # ------------------------------------------------------------- send
    async def _send_parts(self, camera: _Camera) -> None:
        """Bring the parts to the store, then the manifest of those that went, even if consent has ended."""
        errand = camera.errand
        async with asyncio.TaskGroup() as parts:
            while (part := await camera.queue.get()) is not None:
                parts.create_task(self._send_part(errand, part))
        known = self._known(errand, camera.id)
        if any(part.state is PartState.RECEIPTED and (part.size or errand.is_allowed()) for part in known):
            manifest = known[-1] if known[-1].is_manifest else await self._seal_manifest(errand, camera.id)
            if manifest is not None:
                await self._bring(errand, manifest, lambda: True)

    async def _send_part(self, errand: Errand, part: JobPart) -> None:
        """Bring one part to the store; if it may not go any more, that is for good."""
        part = await self._bring(errand, part, partial(may_go, errand, part))
        if part.state is PartState.RECEIPTED:
            errand.progress(errand.job)
            return
        # what the store may have of it is in the log, not in the manifest
        self._audit.append("withheld", part.job, {"part": part.id, "state": part.state.value})
        await self._courier.drop(part, errand.grant.command.upload)
        # for good, whatever the owner says next, and before the file goes: nobody may look for it after a crash
        gap = nothing(Window(part.start, part.end), why_withheld(errand, part))
        self._journal.put_part(replace(part, state=PartState.RECEIPTED, size=0, sha256="", report=gap))
        self._outbox.discard(outbox_name(part))

    async def _watch_consent(self, errand: Errand) -> None:
        """Call parts out of the line when they may not go any more."""
        turns = self._courier.turns
        while True:
            await asyncio.sleep(CONSENT_LOOK_S)
            if turns.waits(errand.job.id) and not errand.is_allowed():
                turns.dismiss(errand.job.id)

    async def _seal_manifest(self, errand: Errand, camera: CameraId) -> JobPart | None:
        """Write the manifest; None if a withdrawn job ends without one, since there is no room for it."""
        parts = self._told(errand, camera)
        content = self._write_manifest(errand.grant, camera, parts)
        manifest = replace(
            parts[-1],
            number=len(parts),
            is_manifest=True,
            start=parts[0].start,
            end=parts[-1].end,
            state=PartState.SEALED,
            size=len(content),
            sha256=sha256_hex(content),
            location="",
            receipt="",
            report=None,
        )
        while True:
            try:
                self._outbox.write(outbox_name(manifest), lambda append: append(content), MANIFEST_SPARE_BYTES)
            except OutboxFullError:
                if not await self._wait_for_room(errand):
                    self._audit.append(Kind.UNTOLD, errand.job.id, {"camera": camera, "why": "no room for a manifest"})
                    return None
            else:
                break
        self._journal.put_part(manifest)
        return manifest

    async def _wait_for_room(self, errand: Errand) -> bool:
        """Wait until it is worth looking again whether the outbox has room, or until the job may not go on: False."""
        left_s = OUTBOX_FULL_S
        while left_s > 0 and errand.is_allowed():
            self._give_up_in_time(errand)
            await asyncio.sleep(CONSENT_LOOK_S)
            left_s -= CONSENT_LOOK_S
        return errand.is_allowed()

    async def _bring(self, errand: Errand, part: JobPart, is_allowed: Callable[[], bool]) -> JobPart:
        upload = errand.grant.command.upload
        return await self._courier.bring(part, upload, errand.store_keys, is_allowed, errand.urgency())

    def _known(self, errand: Errand, camera: CameraId) -> list[JobPart]:
        return [part for part in self._journal.parts(errand.job.id) if part.camera == camera]

    def _told(self, errand: Errand, camera: CameraId) -> list[JobPart]:
        """Return what is said of the whole window: parts at the store as they are, everything else as gaps."""
        return told_of(self._known(errand, camera), errand.grant.window.end)

    # ------------------------------------------------------------- tidy
    def discard(self, job: str) -> None:
        """Remove what the outbox still has of a job that has ended."""
        for name in self._outbox.names():
            if name.partition(".")[0] == job:
                self._outbox.discard(name)

    def tidy(self, open_jobs: Collection[str]) -> None:
        """Remove what the outbox has of jobs that are not open: left by a crash between their end and `discard`."""
        for name in self._outbox.names():
            if name.partition(".")[0] not in open_jobs:
                self._outbox.discard(name)


def _first(group: BaseExceptionGroup[StoreRefusedError]) -> StoreRefusedError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
