"""Story two, the middle: one grant becomes sealed parts at the store, and a manifest that says what they are.

Rules of this file: parts are cut as soon as their footage is committed, and stand in the line for the store beside
that; neither waits for the other. The manifest comes when all of them have gone, or may not go any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import replace

from agent.acquire.stream import CameraId
from agent.clips.courier import Courier, StoreRefusedError, StoreTimedOutError
from agent.clips.cutting import Cutting
from agent.clips.errand import Errand, Outcome, outcome_of, parts_of, told_of
from agent.clips.part_sealer import PartSealer
from agent.clips.room import Room
from agent.clips.sending import ManifestWriter, Sending
from agent.clock import Clock
from agent.cut.plan import PartSettings
from agent.ports import Audit, ChunkSource, Cutter, Journal, Outbox


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
        self._outbox, self._journal = outbox, journal
        room = Room(outbox, courier, clock)
        self._cutting = Cutting(
            ring=ring,
            cutter=cutter,
            sealer=sealer,
            journal=journal,
            audit=audit,
            clock=clock,
            room=room,
            settings=settings,
        )
        self._sending = Sending(outbox, journal, audit, courier, room, write_manifest)

    async def deliver(self, errand: Errand) -> Outcome:
        """Cut, seal and send everything the grant covers, from wherever the journal says the job is.

        Returns when every part has its receipt, or when `is_allowed` says no. Raises StoreRefusedError.
        """
        try:
            async with asyncio.TaskGroup() as around:
                watching = around.create_task(self._sending.watch_consent(errand))
                async with asyncio.TaskGroup() as cameras:
                    for camera in errand.grant.cameras:
                        cameras.create_task(self._deliver_camera(errand, camera))
                watching.cancel()
        except* StoreRefusedError as refused:
            first = _first(refused)
            raise (StoreTimedOutError if isinstance(first, StoreTimedOutError) else StoreRefusedError)(
                str(first)
            ) from refused
        cameras_told = [
            told_of(parts_of(self._journal, errand, name), errand.grant.window.end) for name in errand.grant.cameras
        ]
        return outcome_of([part for told in cameras_told for part in told])

    async def _deliver_camera(self, errand: Errand, camera: CameraId) -> None:
        async with asyncio.TaskGroup() as sending, aclosing(self._cutting.parts(errand, camera)) as parts:
            async for part in parts:
                sending.create_task(self._sending.part(errand, part))
        await self._sending.manifest(errand, camera)

    def set_live_ns(self, live_ns: int) -> None:
        """Divide windows that still run into parts of about this length from now on."""
        self._cutting.settings = replace(self._cutting.settings, live_ns=live_ns)

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
