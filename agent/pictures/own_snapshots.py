"""Cameras of which no key picture can be had are asked for a picture of their own, to be shown and for nothing else.

Rules of this file: nothing of it is ever evidence; what a camera sends is redrawn in the confined child, with today's
masks; each camera is asked once a minute at most, two at once, and hours later only once it refused the login.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from agent.acquire.encoding import Encoding
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, Clock, Instant
from agent.consent.mask import Masks
from agent.cut.look import SNAPSHOT_BYTES_MAX, StillOrder
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.loose_thread import in_thread
from agent.ports import Cutter

EVERY_S: Final = 60.0
REFUSED_S: Final = 6 * 3600.0  # a login that the camera takes for ONVIF and not for its picture is not tried often
AT_ONCE_MAX: Final = 2

Fetch = Callable[[CameraId], tuple[bytes, Encoding | None]]
"""Camera -> its own picture as it came, and what is known of its stream. Blocking; raises the errors of cameras."""

log: Final = logging.getLogger("transom.snapshots")


class SecondSource(Protocol):
    """Who can show a camera when its footage cannot."""

    def want(self, camera: CameraId, masks: Callable[[CameraId], Masks]) -> None:
        """Show its own picture, soon; `masks` are asked for when it is there."""

    def leave(self, camera: CameraId) -> None:
        """Show nothing of it any more: there is a key picture."""


class OwnSnapshots:
    """Used from the event loop only; `publish` gets what is to be shown."""

    def __init__(
        self, cutter: Cutter, fetch: Fetch, publish: Callable[[CameraId, bytes], object], clock: Clock
    ) -> None:
        self._cutter, self._fetch, self._publish, self._clock = cutter, fetch, publish, clock
        self._asking: dict[CameraId, asyncio.Task[None]] = {}
        self._next: dict[CameraId, Instant] = {}
        self._at_once, self._drawing = asyncio.Semaphore(AT_ONCE_MAX), asyncio.Lock()

    @property
    def is_asking(self) -> bool:
        """Whether any picture is on its way."""
        return bool(self._asking)

    def want(self, camera: CameraId, masks: Callable[[CameraId], Masks]) -> None:
        """Ask a camera for its picture, unless that was done a moment ago."""
        now = self._clock.instant()
        if camera in self._asking or now < self._next.get(camera, now):
            return
        self._next[camera] = Instant(now + round(EVERY_S * SECOND_NS))
        task = self._asking[camera] = asyncio.create_task(self._show(camera, masks), name=f"snapshot {camera}")
        task.add_done_callback(lambda _: self._asking.pop(camera, None))

    def leave(self, camera: CameraId) -> None:
        """Stop asking a camera; what is on its way is dropped."""
        if task := self._asking.get(camera):
            task.cancel()

    async def _show(self, camera: CameraId, masks: Callable[[CameraId], Masks]) -> None:
        try:
            async with self._at_once:
                picture, encoding = await in_thread(lambda: self._fetch(camera))
            async with self._drawing:
                asked = StillOrder(SNAPSHOT_BYTES_MAX, *((encoding.width, encoding.height) if encoding else ()))
                jpeg = await in_thread(lambda: self._cutter.redraw(picture, masks(camera), asked))
        except ConfigurationError as error:
            self._next[camera] = Instant(self._clock.instant() + round(REFUSED_S * SECOND_NS))
            log.info("camera %s shows no picture of its own: %s", camera, error)
            return
        except (BadInputError, UnavailableError) as error:
            log.debug("camera %s shows no picture of its own: %s", camera, error)
            return
        with suppress(UnavailableError):  # a full RAM disk: who wants it is told that there is none
            self._publish(camera, jpeg)
