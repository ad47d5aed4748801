"""A connection to where a camera was to the word whether it still is that camera, before a picture of it is stored.

Rules of this file: the recorder waits for the word, but not for ever; no word at all (its ONVIF is off) is no refusal;
a device that certainly is another is never recorded under the camera's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth
from agent.acquire.identity import Known
from agent.acquire.stream import CameraId
from agent.loose_thread import in_thread

LOOK_EVERY_S: Final = 0.2
TAKEN: Final = "another device answers at this camera's address, so it is not recorded; the camera is looked for"

Verify = Callable[[Known, str, bool], bool | None]
"""Camera, host, whether another has its endpoint reference too -> is it that camera? None: it does not tell."""


class Gate(Protocol):
    """Whoever records and waits for the word."""

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each camera does."""

    def vouch(self, camera: CameraId) -> None:
        """Say that the device at the camera's address is the camera."""

    def refuse(self, camera: CameraId, why: str) -> None:
        """Say that it is not."""


class CameraConfirmation:
    """Verifies each camera that waits for it, at most once at a time."""

    def __init__(self, gate: Gate, verify: Verify) -> None:
        self._gate, self._verify = gate, verify
        self._asking: dict[CameraId, asyncio.Task[None]] = {}

    def look(self, streams: dict[CameraId, CameraStream], known: dict[CameraId, Known]) -> None:
        """Begin to verify who waits for it; the recorder hears as soon as it is known."""
        for camera in [one.camera for one in self._gate.health() if one.is_unconfirmed]:
            if camera not in self._asking and camera in streams:
                task = asyncio.create_task(self._ask(streams[camera], known))
                self._asking[camera] = task

    async def _ask(self, stream: CameraStream, known: dict[CameraId, Known]) -> None:
        try:
            await self._judge(stream, known)
        finally:
            del self._asking[stream.camera]

    async def _judge(self, stream: CameraStream, known: dict[CameraId, Known]) -> None:
        one = known.get(stream.camera)
        if one is None:
            self._gate.vouch(stream.camera)  # it was recorded before hubs kept marks: the next examination notes them
            return
        has_twin = sum(other.marks.epr == one.marks.epr for other in known.values()) > 1
        is_it = await in_thread(lambda: self._verify(one, urlsplit(stream.url).hostname or "", has_twin))
        if is_it is False:
            self._gate.refuse(stream.camera, TAKEN)
        elif is_it:
            self._gate.vouch(stream.camera)
