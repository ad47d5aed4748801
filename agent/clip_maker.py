"""Story two, the middle: one grant becomes sealed parts at the store, and a manifest that says what they are.

Rules of this file:
- A part is in the outbox, synced, before the journal names it, and in the journal before anything of it is sent.
- Parts are sealed as soon as their footage is committed and sent in order beside that; neither waits for the other.
- What cannot be delivered is a gap in the manifest, never a silence; behind a manifest no part goes any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, MissingSpan, PartState
from agent.clock import SECOND_NS, Clock, WallTime, Window, rfc3339
from agent.consent.grant import Granted
from agent.consent.mask import Masks
from agent.consent.owner_copy import NO_COPY, OwnerCopy
from agent.courier import Courier, StoreRefusedError, StoreTimedOutError, outbox_name
from agent.crypto import sha256_hex
from agent.cut.clip import ClipReport, Gap
from agent.cut.masks import are_covered
from agent.cut.plan import SOUND_LEAD_NS, CutPlan, Finished, PartSettings, Wait, empty_report, plan_next
from agent.errors import BadInputError, UnavailableError
from agent.part_sealer import PartSealer
from agent.ports import Audit, ChunkSource, Cuts, Cutter, Journal, Outbox, OutboxFullError
from agent.signing import SigningKey

CUTS_AT_ONCE_MAX: Final = 2
CUT_TRIES_MAX: Final = 2
"""The second encodes everything anew: whatever broke the first, no bit of it is copied."""

CUT_RETRY_S: Final = 2.0
WAIT_S_MAX: Final = 2.0  # for footage, before the clock is asked again: somebody may set it meanwhile
OUTBOX_FULL_S: Final = 10.0
MASKED_PART_NS: Final = 10 * SECOND_NS
"""Where everything is encoded anew, parts of the past are shorter: a slow hub needs half a minute for 10 s of 1080p."""

WHY_UNDELIVERED: Final = "it was not delivered: the consent had ended"
WHY_MASKED_SINCE: Final = "it was not delivered: the owner has masked more of the picture since it was cut"
WHY_CHARACTERS_MAX: Final = 200
REORDERED_NS: Final = SECOND_NS
"""With B-frames a picture of the window may be sent this much later than one behind it."""

ManifestWriter = Callable[[Granted, CameraId, Sequence[JobPart]], bytes]
"""Makes the signed manifest of one camera's clip."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended at the store."""

    is_complete: bool
    gaps: str  # for people, empty if complete
    missing: Sequence[MissingSpan] = ()  # camera by camera


@dataclass(slots=True)
class Errand:
    """One granted job: what to deliver, whose receipts to believe, and whom to ask and tell on the way.

    While it is not closing, `grant` may be replaced by one whose window ends later.
    """

    job: Job
    grant: Granted
    store_keys: Sequence[SigningKey]
    is_allowed: Callable[[], bool]
    progress: Callable[[Job], None]
    masks: Callable[[CameraId], Masks]  # what must be painted over now
    owner_copy: Callable[[], OwnerCopy] = lambda: NO_COPY  # whether the owner can open what is sealed now
    is_closing: bool = False  # a camera's window is delivered to its end: behind its manifest no part goes any more


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
            async with asyncio.TaskGroup() as tasks:
                for camera in [_Camera(errand, name) for name in errand.grant.cameras]:
                    tasks.create_task(self._seal_parts(camera))
                    tasks.create_task(self._send_parts(camera))
        except* StoreRefusedError as refused:
            first = refused.exceptions[0]
            raise (StoreTimedOutError if isinstance(first, StoreTimedOutError) else StoreRefusedError)(
                str(first)
            ) from refused
        told = [part for camera in errand.grant.cameras for part in self._told(errand, camera)]
        reports = [part.report for part in told if part.report]
        missing_s = sum(gap.end - gap.start for report in reports for gap in report.gaps) / SECOND_NS
        withheld = sum(report.refused for report in reports)
        if not missing_s and not withheld:
            return Outcome(is_complete=True, gaps="")
        text = f"{missing_s:.3f} s missing, {withheld} pictures withheld after losses"
        missing = [
            MissingSpan(part.camera, rfc3339(gap.start), rfc3339(gap.end), gap.why[:WHY_CHARACTERS_MAX])
            for part in told
            for gap in (part.report.gaps if part.report else ())
        ]
        return Outcome(is_complete=False, gaps=text, missing=missing)

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
                if (
                    isinstance(step, Wait) or self._slots.locked()
                ):  # no child keeps its memory while it has nothing to do
                    cuts.end()
                    cuts = self._cutter.cuts()
                if isinstance(step, Wait):
                    wait_s = (step.until - self._clock.now()) / SECOND_NS
                    await asyncio.sleep(min(max(0.0, wait_s), WAIT_S_MAX))
                    continue
                sealed.append(await self._seal_part(camera, cuts, step))
                camera.queue.put_nowait(sealed[-1])
        finally:
            cuts.end()
        camera.errand.is_closing |= has_manifest
        camera.queue.put_nowait(None)

    def _plan(self, camera: _Camera, sealed: Sequence[JobPart]) -> CutPlan | Wait | Finished:
        window = camera.errand.grant.window
        until = sealed[-1].end if sealed else window.start
        if until >= window.end:
            return Finished()
        has_sound = camera.id in camera.errand.grant.sound
        start = WallTime(until - SOUND_LEAD_NS) if has_sound else until
        settings = self.settings
        if camera.errand.masks(camera.id):
            settings = replace(settings, past_ns=MASKED_PART_NS, longest_ns=MASKED_PART_NS)
        return plan_next(
            grant=camera.errand.grant,
            camera=camera.id,
            next_part=len(sealed),
            delivered_until=until,
            footage=self._ring.footage(camera.id, Window(start, WallTime(window.end + REORDERED_NS))),
            now=self._clock.now(),
            settings=settings,
        )

    async def _seal_part(self, camera: _Camera, cuts: Cuts, plan: CutPlan) -> JobPart:
        """Make one part; footage that is missing, or defeats the cutter twice, becomes a gap with that reason."""
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
                    report, sealed = await asyncio.to_thread(
                        self._sealer.seal, cuts, plan, outbox_name(part), masks, may_copy=may_copy, copy=copy
                    )
            except BadInputError as error:
                self._troubled.add(camera.id)
                part = replace(part, report=_nothing(plan.window, str(error)))
            except OutboxFullError:
                tries += 1
                await asyncio.sleep(OUTBOX_FULL_S)
            except UnavailableError as error:
                self._troubled.add(camera.id)
                part = replace(part, report=_nothing(plan.window, str(error)))
                await asyncio.sleep(CUT_RETRY_S)
            else:
                self._troubled.discard(camera.id)
                part = replace(part, report=report, size=sealed.size, sha256=sealed.sha256)
                break
        if part.report is None or not part.report.pictures:
            part = replace(part, state=PartState.RECEIPTED, size=0, sha256="")  # there is nothing to bring
        entry: dict[str, str | int] = {"part": part.id, "sha256": part.sha256, "size": part.size}
        if part.report and part.report.masks:
            entry["masks"] = len(part.report.masks)
        if part.report and part.report.owner_copy:
            entry["owner_copy"] = part.report.owner_copy
        self._audit.append("sealed", part.job, entry)
        self._journal.put_part(part)
        return part

    @asynccontextmanager
    async def _cut_slot(self, camera: CameraId) -> AsyncIterator[None]:
        """Wait for leave to cut. Cameras that hang or crash what cuts them never hold it all: the others go on."""
        async with self._slots_of_troubled if camera in self._troubled else nullcontext(), self._slots:
            yield

    # ------------------------------------------------------------- send
    async def _send_parts(self, camera: _Camera) -> None:
        """Bring the parts to the store in order, then the manifest of those that went, even if consent has ended."""
        errand = camera.errand
        while (part := await camera.queue.get()) is not None:
            part = await self._bring(errand, part, partial(_may_go, errand, part))
            if part.state is PartState.RECEIPTED:
                errand.progress(errand.job)
                continue
            # what the store may have of it is in the log, not in the manifest
            self._audit.append("withheld", part.job, {"part": part.id, "state": part.state.value})
            await self._courier.drop(part, errand.grant.command.upload)
            if not _is_masked(
                errand, part
            ):  # for good, whatever the owner says next: then there may be no file any more
                why = _nothing(Window(part.start, part.end), WHY_MASKED_SINCE)
                self._journal.put_part(replace(part, state=PartState.RECEIPTED, size=0, sha256="", report=why))
            self._outbox.discard(outbox_name(part))
        known = self._known(errand, camera.id)
        if any(part.state is PartState.RECEIPTED for part in known):
            manifest = known[-1] if known[-1].is_manifest else await self._seal_manifest(errand, camera.id)
            await self._bring(errand, manifest, lambda: True)

    async def _seal_manifest(self, errand: Errand, camera: CameraId) -> JobPart:
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
                self._outbox.write(outbox_name(manifest), lambda append: append(content))
            except OutboxFullError:
                await asyncio.sleep(OUTBOX_FULL_S)
            else:
                break
        self._journal.put_part(manifest)
        return manifest

    async def _bring(self, errand: Errand, part: JobPart, is_allowed: Callable[[], bool]) -> JobPart:
        return await self._courier.bring(part, errand.grant.command.upload, errand.store_keys, is_allowed)

    def _known(self, errand: Errand, camera: CameraId) -> list[JobPart]:
        return [part for part in self._journal.parts(errand.job.id) if part.camera == camera]

    def _told(self, errand: Errand, camera: CameraId) -> list[JobPart]:
        """Return what is said of the whole window: parts at the store as they are, everything else as gaps."""
        told = [
            part if part.state is PartState.RECEIPTED else _undelivered(part, part.start, part.end)
            for part in self._known(errand, camera)
            if not part.is_manifest
        ]
        end = errand.grant.window.end
        if told and told[-1].end < end:
            told.append(_undelivered(told[-1], told[-1].end, end))
        return told

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


def _may_go(errand: Errand, part: JobPart) -> bool:
    return errand.is_allowed() and _is_masked(errand, part)


def _is_masked(errand: Errand, part: JobPart) -> bool:
    """Say whether a sealed part shows nothing of what must be masked now."""
    report, masks = part.report, errand.masks(part.camera)
    return report is None or not report.pictures or are_covered(masks, report.masks, report.width, report.height)


def _undelivered(part: JobPart, start: WallTime, end: WallTime) -> JobPart:
    return replace(
        part, number=part.number + 1, start=start, end=end, report=_nothing(Window(start, end), WHY_UNDELIVERED)
    )


def _nothing(window: Window, why: str) -> ClipReport:
    return ClipReport(0, 0, 0, None, None, gaps=(Gap(window.start, window.end, why),))
