"""Before story one: find the site's cameras, ask each for its stream, and hand them to the recorder; again and again.

Rules of this file: a camera is its endpoint reference, never its address; found under another address it is the same
camera. One camera's failure costs the others nothing, and is kept in words for the installer. A certificate that a
camera has shown to the recorder is in the book within a second; what the book says of it goes, also that it is
forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera, ambiguous
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.errors import TransomError, UnavailableError
from agent.ports import CameraBook

FIRST_SEARCHES: Final = 5
FIRST_PAUSE_S: Final = 1.0
"""While a hub is new, somebody stands beside it: the first searches follow each other closely."""
PINS_EVERY_S: Final = 1.0
CAMERAS_MAX: Final = 64
EXAMINED_AT_ONCE_MAX: Final = 8
CLONE: Final = "two devices answer with this identity: give one of them another (factory reset), or remove it"

_Answer = TypeVar("_Answer")


class Roster(Protocol):
    """Whoever records: takes streams, and says how each does."""

    def add(self, stream: CameraStream) -> None:
        """Record a camera from now on, or record it otherwise than so far."""

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each camera does."""

    def pins(self) -> dict[CameraId, str]:
        """Return the certificates (SHA-256, hex) that cameras with TLS have shown."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a camera that was found is not recorded."""

    address: str
    why: str


class CameraWatch:
    """Keeps the recorder's list of cameras true."""

    def __init__(
        self,
        search: Callable[[], Sequence[FoundCamera]],
        examine: Callable[[FoundCamera], CameraStream],
        roster: Roster,
        book: CameraBook,
        login_of: Callable[[CameraId], Login | None],
        pause_s: float,
        *,
        has_sound: bool = False,
    ) -> None:
        self._search, self._examine, self._roster, self._book = search, examine, roster, book
        self._pause_s, self._has_sound = pause_s, has_sound
        self._addresses: dict[CameraId, str] = {}
        self.streams: dict[CameraId, CameraStream] = {}
        self.troubles: dict[CameraId, Trouble] = {}
        self.searches = 0
        for known in book.cameras():  # after a restart, record at once; the first search corrects what has changed
            self._record(replace(known, login=login_of(known.camera), has_sound=has_sound))

    @property
    def reached(self) -> dict[CameraId, tuple[CameraStream, str]]:
        """The cameras that were found since the start, each with the address of its device service."""
        return {
            name: (self.streams[name], address) for name, address in self._addresses.items() if name in self.streams
        }

    async def run(self, on_change: Callable[[], None]) -> None:
        """Search for ever; `on_change` is called when a camera is new, has moved, or cannot be used."""
        while True:
            before = (dict(self.streams), dict(self.troubles))
            await self.look_once()
            if (self.streams, self.troubles) != before:
                on_change()
            left_s = FIRST_PAUSE_S if self.searches < FIRST_SEARCHES else self._pause_s
            while left_s > 0:
                await asyncio.sleep(min(left_s, PINS_EVERY_S))
                left_s -= PINS_EVERY_S
                self.note_pins()

    async def look_once(self) -> None:
        """Do one search and examine what is new, has moved, or has fallen silent; several cameras at once."""
        self.searches += 1
        self.note_pins()
        self._forget_pins()
        try:
            sightings = await _in_thread(self._search)
        except TransomError:
            return  # no network at the moment: the next search may find one
        silent = {one.camera for one in self._roster.health() if one.state is not CameraState.RECORDING}
        sightings = self._of_interest(sightings)
        clones = ambiguous(sightings)
        for seen in sightings:
            if seen.camera in clones:
                self.troubles[seen.camera] = Trouble(seen.addresses[0], CLONE)
        wanted = [
            seen
            for seen in sightings
            if seen.camera not in clones
            and (self._addresses.get(seen.camera) != seen.addresses[0] or seen.camera in silent)
        ]
        at_once = asyncio.Semaphore(EXAMINED_AT_ONCE_MAX)
        await asyncio.gather(*(self._look_at(seen, at_once) for seen in wanted))

    def note_pins(self) -> None:
        """Store the certificates that cameras have shown for the first time, and have them kept to from now on."""
        for camera, pin in self._roster.pins().items():
            stream = self.streams.get(camera)
            if stream is None or stream.pin:
                continue
            with contextlib.suppress(UnavailableError):  # a full disk: the recorder knows it, and it is tried again
                self._book.put_camera(stream)
                self._book.put_pin(camera, pin)
                self._record(replace(stream, pin=pin))

    def _forget_pins(self) -> None:
        """Let go of the certificates that a person has taken out of the book."""
        with contextlib.suppress(UnavailableError):
            for known in self._book.cameras():
                stream = self.streams.get(known.camera)
                if stream is not None and stream.pin and not known.pin:
                    self._record(replace(stream, pin=""))

    def _of_interest(self, sightings: Sequence[FoundCamera]) -> list[FoundCamera]:
        """Choose the cameras that are known, and so many new ones as there is room for.

        A device that announces ever new identities pushes no camera out, and is not followed without end.
        """
        new = [name for name in dict.fromkeys(seen.camera for seen in sightings) if name not in self.streams]
        room = set(new[: max(0, CAMERAS_MAX - len(self.streams))])
        for name in list(self.troubles)[: max(0, len(self.troubles) - CAMERAS_MAX)]:
            del self.troubles[name]
        return [seen for seen in sightings if seen.camera in self.streams or seen.camera in room]

    async def _look_at(self, seen: FoundCamera, at_once: asyncio.Semaphore) -> None:
        try:
            async with at_once:
                stream = await _in_thread(lambda: self._examine(seen))
        except TransomError as error:
            self.troubles[seen.camera] = Trouble(seen.addresses[0], str(error))
            return
        self.troubles.pop(seen.camera, None)
        self._addresses[seen.camera] = seen.addresses[0]
        known = self.streams.get(seen.camera)
        stream = replace(stream, pin=known.pin if known else "", has_sound=self._has_sound)
        self._record(stream)
        with contextlib.suppress(UnavailableError):  # a full disk: it is recorded all the same, and found again
            self._book.put_camera(stream)

    def _record(self, stream: CameraStream) -> None:
        self.streams[stream.camera] = stream
        self._roster.add(stream)


async def _in_thread(call: Callable[[], _Answer]) -> _Answer:
    """Run a call that a camera can hold up, in a thread that nobody waits for when the hub stops."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Answer] = loop.create_future()

    def settle(deliver: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has stopped
            loop.call_soon_threadsafe(lambda: None if answer.done() else deliver())

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where it was awaited
            failure = error
            settle(lambda: answer.set_exception(failure))
        else:
            settle(lambda: answer.set_result(result))

    threading.Thread(target=work, name="camera", daemon=True).start()
    return await answer
