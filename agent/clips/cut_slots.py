"""So many cuts at once; cameras that hang or crash what cuts them never hold all of them: the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

from agent.acquire.stream import CameraId

CUTS_AT_ONCE_MAX: Final = 2


class CutSlots:
    """For all jobs of a hub. A camera is troubled from a cut that failed until one that did not."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(CUTS_AT_ONCE_MAX)
        self._slots_of_troubled = asyncio.Semaphore(CUTS_AT_ONCE_MAX - 1)
        self._troubled: set[CameraId] = set()

    @property
    def are_taken(self) -> bool:
        """Whether who asks now has to wait."""
        return self._slots.locked()

    @asynccontextmanager
    async def slot(self, camera: CameraId) -> AsyncIterator[None]:
        """Wait for leave to cut, and have it as long as the block lasts."""
        async with self._slots_of_troubled if camera in self._troubled else nullcontext(), self._slots:
            yield

    def note(self, camera: CameraId, *, has_failed: bool) -> None:
        """Take how a camera's cut ended."""
        if has_failed:
            self._troubled.add(camera)
        else:
            self._troubled.discard(camera)
