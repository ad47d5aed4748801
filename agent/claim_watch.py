"""The story of a blank hub: somebody holds a claim code before a camera, the hub reads it and enrols.

Rules of this file: nothing is recorded; key pictures pass through memory only, and what is decoded is decoded in the
cutter's child process. Any code that is not a claim for this hub is passed over without a word to the network.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.latch import KeyFrameLatch
from agent.clock import WallTime, Window
from agent.cut.clip import CutOrder, WireChunk
from agent.errors import BadInputError, UnavailableError
from agent.ports import Cutter
from provisioning.enrolment import Enrolment
from provisioning.errors import ProvisioningError
from provisioning.errors import UnavailableError as ServerUnavailableError

LOOK_EVERY_S: Final = 0.5
TEXTS_TRIED_MAX: Final = 256
"""So many codes that were no good are remembered and not tried again."""


class ClaimWatch:
    """Looks at each camera's newest key picture until one shows a claim that enrols this hub."""

    def __init__(self, latch: KeyFrameLatch, cutter: Cutter, enrol: Callable[[str], Enrolment]) -> None:
        self._latch, self._cutter, self._enrol = latch, cutter, enrol
        self._seen: dict[CameraId, tuple[int, int]] = {}
        self._tried: deque[str] = deque(maxlen=TEXTS_TRIED_MAX)
        self.last_refusal = ""

    async def run(self) -> Enrolment:
        """Look until the hub is enrolled."""
        while True:
            for camera in self._latch.cameras():
                for text in await self._read(camera):
                    enrolment = await self._try(text)
                    if enrolment is not None:
                        return enrolment
            await asyncio.sleep(LOOK_EVERY_S)

    async def _read(self, camera: CameraId) -> list[str]:
        newest = self._latch.newest(camera)
        if newest is None or not newest[1]:
            return []
        header, chunks = newest
        key = chunks[0][0]
        if self._seen.get(camera) == (key.run, key.sequence):
            return []
        self._seen[camera] = (key.run, key.sequence)
        wire = [WireChunk(meta.run, meta.sequence, meta.anchor, content) for meta, content in chunks]
        window = Window(key.first_picture, WallTime(key.first_picture + 1))
        try:
            return await asyncio.to_thread(self._cutter.read_codes, CutOrder(window, (header,)), wire)
        except (BadInputError, UnavailableError):
            return []  # a damaged picture: the next one comes soon

    async def _try(self, text: str) -> Enrolment | None:
        if text in self._tried:
            return None
        try:
            return await asyncio.to_thread(self._enrol, text)
        except ServerUnavailableError as error:  # the claim may still be good: look again
            self.last_refusal = str(error)
        except ProvisioningError as error:
            self._tried.append(text)
            self.last_refusal = str(error)
        return None
