"""Looks every few seconds how the hub does and shows it; reads footage back every quarter of an hour.

Rules of this file: nothing here stops the recording, not even a disk that hangs; a file that cannot be written is said
once and tried again; bugs end the daemon, as everywhere.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from agent.acquire.event_board import EventHealth
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.buffer.ring import RingSettings
from agent.clock import SECOND_NS, Clock, Instant
from agent.consent.mask import Masks
from agent.errors import UnavailableError
from agent.health.self_test import HOUR_S, CameraTest, SelfTest, StoppedError
from agent.health.vitals import CertificateVitals, HubVitals, OutboxVitals, PageVitals, gather
from agent.health.warnings import WarningWatch
from agent.loose_thread import in_thread
from agent.outside.shown_file import hide, show
from agent.outside.slab_files import SlabLog
from agent.pictures.watch import PictureWatch, no_masks

LOOK_EVERY_S: Final = 5.0
FIRST_TEST_S: Final = 60.0  # after the start: by then the cameras record
TEST_EVERY_S: Final = 900.0
STOP_S_MAX: Final = 2.0  # for a read that is under way; one that hangs is left to itself
WRITE_S_MAX: Final = 1.0  # for a file that is being written at the end

log: Final = logging.getLogger("transom.health")


class Outlet(NamedTuple):
    """A file that shows how the hub does."""

    path: Path
    encode: Callable[[HubVitals], bytes]
    every_s: float


class HealthWatch:
    """Used from the event loop only. `vitals` is what was seen last, None before the first look."""

    def __init__(
        self,
        hub: str,
        health: Callable[[], Sequence[CameraHealth]],
        names: Callable[[], Mapping[CameraId, str]],
        settings: RingSettings,
        clock: Clock,
        outlets: Sequence[Outlet] = (),
        events: Callable[[], Mapping[CameraId, EventHealth]] = dict,
    ) -> None:
        self.vitals: HubVitals | None = None
        self.page: PageVitals | None = None  # where the owner's page is, for who looks at the status
        self._hub, self._health, self._names, self._settings, self._clock = hub, health, names, settings, clock
        self._outlets, self._events = outlets, events
        self._silent: set[Path] = set()  # outlets whose failure was said
        self._writing = {outlet.path: threading.Lock() for outlet in outlets}
        self._is_over = False
        self._warnings = WarningWatch()
        self._ring: SlabLog | None = None
        self._pictures: PictureWatch | None = None
        self._late_s_max: Callable[[], float] = lambda: 0.0
        self._outbox: Callable[[], OutboxVitals | None] = lambda: None
        self._certificate: Callable[[], CertificateVitals | None] = lambda: None
        self._is_outbox_away = False
        self._tests: dict[CameraId, CameraTest] = {}
        self._off: dict[CameraId, Instant] = {}  # when each was last seen not recorded by the owner's wish
        self._testing = asyncio.Lock()
        self._stop = threading.Event()
        self._on_change: Callable[[], None] = lambda: None

    def watch_pictures(self, pictures: PictureWatch) -> None:
        """Let this look at the cameras' pictures too, while the ring is watched; said before `run`."""
        self._pictures = pictures

    def watch_lateness(self, late_s_max: Callable[[], float]) -> None:
        """Tell by how much the recorder's rounds come late."""
        self._late_s_max = late_s_max

    def watch_outbox(self, outbox: Callable[[], OutboxVitals]) -> None:
        """Tell what waits for the store too, from now on."""
        self._outbox = outbox

    def watch_certificate(self, certificate: Callable[[], CertificateVitals]) -> None:
        """Tell how the hub's certificate stands too, from now on."""
        self._certificate = certificate

    def attach(self, ring: SlabLog, masks: Callable[[CameraId], Masks] = no_masks) -> None:
        """Watch the ring that is recorded to from now on; `masks` says what is painted over in snapshots."""
        self._stop.clear()
        self._ring = ring
        if self._pictures:
            self._pictures.attach(ring, masks)

    async def detach(self) -> None:
        """Leave the ring alone, which is about to close."""
        self._ring = None
        self._stop.set()
        if self._pictures:
            await self._pictures.detach()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S_MAX), self._testing:
                pass

    async def run(self, on_change: Callable[[], None]) -> None:
        """Watch for ever; `on_change` is called when there are other warnings than before, and after each self-test."""
        self._on_change = on_change
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_for_ever(), name="look")
                tasks.create_task(self._test_for_ever(), name="self-test")
                if self._pictures:
                    tasks.create_task(self._pictures.run(), name="pictures")
                for outlet in self._outlets:
                    tasks.create_task(self._show_for_ever(outlet), name=outlet.path.name)
        finally:
            self._is_over = True
            for outlet in self._outlets:
                self._take_away(outlet)

    def look(self) -> HubVitals:
        """See how the hub does now."""
        off = [one.camera for one in self._health() if one.state is CameraState.OFF]
        self._off |= dict.fromkeys(off, self._clock.instant())
        ring = (self._ring.stats(), self._settings) if self._ring else None
        pictures = self._pictures.vitals() if self._pictures else {}
        told = (self._hub, self._health(), self._names(), ring, self._tests, self._clock)
        now = msgspec.structs.replace(
            gather(*told, pictures=pictures, events=self._events()),
            outbox=self._see_outbox(),
            certificate=self._certificate(),
            recorder_late_s_max=round(self._late_s_max(), 3),
        )
        before = {(one.code, one.camera) for one in self.vitals.warnings} if self.vitals else set()
        warnings = self._warnings.look(now, self._clock.instant())
        self.vitals = msgspec.structs.replace(now, warnings=warnings, page=self.page)
        for warning in self.vitals.warnings:
            if (warning.code, warning.camera) not in before:
                log.warning("%s: %s", f"camera {warning.camera}" if warning.camera else "the hub", warning)
        if {(one.code, one.camera) for one in self.vitals.warnings} != before:
            self._on_change()
        return self.vitals

    def _was_off(self, camera: CameraId) -> bool:
        """Say whether the owner had recording off at a time that a self-test would ask for."""
        off = self._off.get(camera)
        return off is not None and self._clock.instant() - off < (HOUR_S + LOOK_EVERY_S) * SECOND_NS

    def _see_outbox(self) -> OutboxVitals | None:
        """Say what waits; None while the outbox's disk fails, which is logged once."""
        try:
            seen = self._outbox()
        except UnavailableError as error:
            if not self._is_outbox_away:
                log.warning("%s", error)
            self._is_outbox_away = True
            return None
        self._is_outbox_away = False
        return seen

    async def test_now(self) -> None:
        """Test every camera; what fails is told at once."""
        async with self._testing:
            if self._ring is None:
                return
            chance = random.Random()  # noqa: S311 - spreads the reads, guards nothing
            test = SelfTest(self._ring, self._clock, chance, self._stop.wait)
            for camera in sorted(one.camera for one in self._health()):
                if self._was_off(camera):
                    self._tests.pop(camera, None)
                    continue
                try:
                    self._tests[camera] = await in_thread(partial(test.run, camera))
                except StoppedError:
                    return
                except asyncio.CancelledError:
                    self._stop.set()
                    raise
                if not self._tests[camera].can_serve:
                    self.look()
        self.look()
        self._on_change()

    async def _look_for_ever(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _show_for_ever(self, outlet: Outlet) -> None:
        while True:
            vitals = self.vitals or self.look()
            await in_thread(partial(self._show, outlet, vitals))
            await asyncio.sleep(outlet.every_s)

    async def _test_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TEST_EVERY_S if self._tests else FIRST_TEST_S)
            await self.test_now()

    def _show(self, outlet: Outlet, vitals: HubVitals) -> None:
        with self._writing[outlet.path]:
            if self._is_over:
                return
            try:
                show(outlet.path, outlet.encode(vitals))
            except UnavailableError as error:
                if outlet.path not in self._silent:
                    log.info("%s", error)
                self._silent.add(outlet.path)
            else:
                self._silent.discard(outlet.path)

    def _take_away(self, outlet: Outlet) -> None:
        """Show a file no more; whoever is writing it now is waited for, unless the disk hangs."""
        is_free = self._writing[outlet.path].acquire(timeout=WRITE_S_MAX)
        hide(outlet.path)
        if is_free:
            self._writing[outlet.path].release()
