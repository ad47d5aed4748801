"""One search, as it goes: its sightings in small batches, each a moment after it was made, and who was seen where.

Rules of this file: a sighting waits until a second device with the same identity would have answered too; a search
that fails half-way has still seen what it has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from agent.acquire.discovery import FoundCamera, ambiguous
from agent.acquire.stream import CameraId
from agent.errors import TransomError
from agent.loose_thread import in_thread

SETTLE_S: Final = 0.6  # WS-Discovery's APP_MAX_DELAY is 0.5 s: within it, all have answered the same probe
BATCH_S: Final = 0.1


class Sightings:
    """What one search has seen so far."""

    def __init__(self) -> None:
        self.all: list[FoundCamera] = []

    async def batches(self, search: Callable[[], Iterable[FoundCamera]]) -> AsyncIterator[list[FoundCamera]]:
        """Run a search in a thread; give its sightings as they settle. An error of the search ends it quietly."""
        loop, settling = asyncio.get_running_loop(), list[tuple[float, FoundCamera]]()

        def note(seen: FoundCamera) -> None:
            self.all.append(seen)
            settling.append((loop.time() + SETTLE_S, seen))

        def run() -> None:
            for seen in search():
                with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has stopped
                    loop.call_soon_threadsafe(note, seen)

        going = asyncio.ensure_future(in_thread(run))
        try:
            while not going.done():
                await asyncio.wait({going}, timeout=BATCH_S)
                now_s = loop.time()
                settled = [seen for due_s, seen in settling if due_s <= now_s or going.done()]
                del settling[: len(settled)]
                if settled:
                    yield settled
        finally:
            going.cancel()
            with contextlib.suppress(TransomError, asyncio.CancelledError):  # no network now: the next may find one
                await going

    def twins(self) -> frozenset[CameraId]:
        """Return the identities that more than one device claims."""
        return ambiguous(self.all)

    def elsewhere(self, seen: FoundCamera, places: dict[CameraId, tuple[str, str]]) -> set[CameraId]:
        """Return which known cameras (by endpoint reference and host) were seen at another place than `seen` was."""
        others = {(one.epr, one.sender) for one in self.all if one is not seen}
        return {
            camera
            for camera, (epr, host) in places.items()
            if (epr, host) in others and (epr, host) != (seen.epr, seen.sender)
        }
