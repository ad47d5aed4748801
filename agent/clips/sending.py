"""Sealed parts become receipts, and then a manifest says what went, even if consent has ended.

Rules of this file: what may not go any more is a gap in the journal before its file goes; behind a manifest no part
goes any more; `deliver/turns.py` says in which order parts go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import JobPart, PartState
from agent.clips.courier import Courier, outbox_name
from agent.clips.errand import Errand, may_go, nothing, parts_of, told_of, why_withheld
from agent.clips.room import CONSENT_LOOK_S, Room
from agent.clock import Window
from agent.consent.grant import Granted
from agent.crypto import sha256_hex
from agent.evidence.kinds import Kind
from agent.ports import Audit, Journal, Outbox, OutboxFullError

MANIFEST_SPARE_BYTES: Final = 4 * 1024**2  # the word about what went finds room where no picture does

ManifestWriter = Callable[[Granted, CameraId, Sequence[JobPart]], bytes]
"""Makes the signed manifest of one camera's clip."""


class Sending:
    """Brings to the store what has been sealed, for all jobs."""

    def __init__(
        self,
        outbox: Outbox,
        journal: Journal,
        audit: Audit,
        courier: Courier,
        room: Room,
        write_manifest: ManifestWriter,
    ) -> None:
        self._outbox, self._journal, self._audit = outbox, journal, audit
        self._courier, self._room, self._write_manifest = courier, room, write_manifest

    async def part(self, errand: Errand, part: JobPart) -> None:
        """Bring one part to the store; if it may not go any more, that is for good. Raises StoreRefusedError."""
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

    async def manifest(self, errand: Errand, camera: CameraId) -> None:
        """Bring the manifest of the parts that went, if any did or none had to. Raises StoreRefusedError."""
        known = parts_of(self._journal, errand, camera)
        if any(part.state is PartState.RECEIPTED and (part.size or errand.is_allowed()) for part in known):
            manifest = known[-1] if known[-1].is_manifest else await self._seal_manifest(errand, camera)
            if manifest is not None:
                await self._bring(errand, manifest, lambda: True)

    async def watch_consent(self, errand: Errand) -> None:
        """Call parts out of the line when they may not go any more: they may wait there for days. Never ends."""
        turns = self._courier.turns
        while True:
            await asyncio.sleep(CONSENT_LOOK_S)
            if turns.waits(errand.job.id) and not errand.is_allowed():
                turns.dismiss(errand.job.id)

    async def _seal_manifest(self, errand: Errand, camera: CameraId) -> JobPart | None:
        """Write the manifest; None if a withdrawn job ends without one, since there is no room for it."""
        parts = told_of(parts_of(self._journal, errand, camera), errand.grant.window.end)
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
                if not await self._room.wait(errand):
                    self._audit.append(Kind.UNTOLD, errand.job.id, {"camera": camera, "why": "no room for a manifest"})
                    return None
            else:
                break
        self._journal.put_part(manifest)
        return manifest

    async def _bring(self, errand: Errand, part: JobPart, is_allowed: Callable[[], bool]) -> JobPart:
        upload = errand.grant.command.upload
        return await self._courier.bring(part, upload, errand.store_keys, is_allowed, errand.urgency())
