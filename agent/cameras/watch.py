"""Before story one: find the site's cameras, ask each for its stream, and hand them to the recorder; again and again.

Rules of this file: found under another address, a camera is the same camera (`identities` says which it is). A
stream that fails is a reason to search at once. One camera's failure costs the others nothing, and is kept in words for
the installer. A certificate that a camera has shown to the recorder is in the book within a second; what the book says
of it goes, also that it is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.identity import Marks
from agent.acquire.search_pace import SearchPace
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.cameras.confirmation import LOOK_EVERY_S, CameraConfirmation, Verify
from agent.cameras.identities import CameraIdentities
from agent.cameras.sightings import Sightings
from agent.errors import TransomError, UnavailableError
from agent.loose_thread import in_thread
from agent.ports import CameraBook, IdentityBook

PINS_EVERY_S: Final = 1.0
CAMERAS_MAX: Final = 64
EXAMINED_AT_ONCE_MAX: Final = 32
DOUBTED_AT_ONCE_MAX: Final = 8  # of those that could not be used before: they may hold each question to its limit
EXAMINE_WAIT_S: Final = (
    10.0  # then the next search comes, and those that still keep us waiting are waited for beside it
)
WELL: Final = frozenset({CameraState.RECORDING, CameraState.LOGIN_REFUSED, CameraState.CERTIFICATE_REFUSED})
"""States in which a search would help nobody."""


class Roster(Protocol):
    """Whoever records: takes streams, and says how each does."""

    def add(self, stream: CameraStream) -> None:
        """Record a camera from now on, or record it otherwise than so far."""

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each camera does."""

    def remove(self, camera: CameraId) -> None:
        """Stop recording a camera."""

    def pins(self) -> dict[CameraId, str]:
        """Return the certificates (SHA-256, hex) that cameras with TLS have shown."""

    def vouch(self, camera: CameraId) -> None:
        """Say that the device at the camera's address is the camera."""

    def refuse(self, camera: CameraId, why: str) -> None:
        """Say that it is another device, which must not be recorded as this camera."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a camera that was found is not recorded."""

    address: str
    why: str


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of the site's network; each call blocks, and is made in a thread.

    `search` finds devices, `examine` asks one for its stream, `ask_marks` one that was examined for its marks; the two
    raise a TransomError that tells the installer what to do. `verify` is as in `confirmation`.
    """

    search: Callable[[], Iterable[FoundCamera]]
    examine: Callable[[FoundCamera], CameraStream]
    ask_marks: Callable[[FoundCamera, CameraStream], Marks]
    verify: Verify


class CameraWatch:
    """Keeps the recorder's list of cameras true; `pause_s` is how long a calm hub waits between two searches."""

    def __init__(
        self,
        questions: Questions,
        roster: Roster,
        book: CameraBook,
        identities: IdentityBook,
        login_of: Callable[[CameraId], Login | None],
        pause_s: float,
        *,
        has_sound: bool = False,
    ) -> None:
        self._ask, self._roster, self._book, self._has_sound = questions, roster, book, has_sound
        self._identities = CameraIdentities(identities)
        self._pace = SearchPace(pause_s)
        self._confirmation = CameraConfirmation(roster, questions.verify)
        self._examining: set[asyncio.Task[None]] = set()
        self._looking: set[tuple[CameraId, str]] = set()  # who is being asked, and from where it answered
        self.streams: dict[CameraId, CameraStream] = {}
        self.troubles: dict[CameraId, Trouble] = {}
        self.searches = 0
        for known in book.cameras():  # after a restart, record at once; the first search corrects what has changed
            # How its clock stood then says nothing now; until it is measured, arrival dates its pictures.
            self._record(replace(known, login=login_of(known.camera), has_sound=has_sound, clock=None))

    @property
    def reached(self) -> dict[CameraId, tuple[CameraStream, str]]:
        """The cameras that were found since the start, each with the address of its device service."""
        addresses = self._identities.addresses.items()
        return {name: (self.streams[name], address) for name, address in addresses if name in self.streams}

    async def run(self, on_change: Callable[[], None]) -> None:
        """Search for ever; `on_change` is called when a camera is new, has moved, or cannot be used."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._attend())
                tasks.create_task(self._search_on(on_change))
        finally:
            for task in self._examining:
                task.cancel()

    def note_clock(self, camera: CameraId, of: CameraStream, clock: ClockOffset) -> None:
        """Take a newer measurement of the clock of a camera that was where it is `of`."""
        stream = self.streams.get(camera)
        if stream is not None and stream.url == of.url:
            self._record(replace(stream, clock=clock))

    def heard(self) -> None:
        """Note that a device said Hello or Bye: the next search comes soon."""
        self._pace.heard(asyncio.get_running_loop().time())

    async def _search_on(self, on_change: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = self._shown()
            await self.look_once()
            if self._shown() != before:
                on_change()
            self._pace.searched(loop.time(), self.searches)
            while loop.time() < self._pace.due_s:  # noqa: ASYNC110 - what is due changes while we wait
                await asyncio.sleep(LOOK_EVERY_S)

    def _shown(self) -> tuple[dict[CameraId, CameraStream], dict[CameraId, Trouble]]:
        """Return what somebody should hear of when it changes; clocks are measured again all the time."""
        return {name: replace(stream, clock=None) for name, stream in self.streams.items()}, dict(self.troubles)

    async def _attend(self) -> None:
        """See to what cannot wait for the next search: certificates, failed streams, cameras that may be others."""
        loop, next_pins_s = asyncio.get_running_loop(), 0.0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if loop.time() >= next_pins_s:
                next_pins_s = loop.time() + PINS_EVERY_S
                self.note_pins()
            health = self._roster.health()
            failed = [one.camera for one in health if one.state is CameraState.WAITING]
            self._pace.note_lost(failed, {one.camera for one in health if one.state in WELL}, loop.time())
            self._confirmation.look(self.streams, self._identities.known)

    async def look_once(self) -> None:
        """Do one search and examine what is new, has moved, or has fallen silent; several cameras at once."""
        self.searches += 1
        self.note_pins()
        self._forget_pins()
        self._forget_cameras()
        sightings = Sightings()
        fresh, doubted = asyncio.Semaphore(EXAMINED_AT_ONCE_MAX), asyncio.Semaphore(DOUBTED_AT_ONCE_MAX)
        async for batch in sightings.batches(self._ask.search):
            silent = {one.camera for one in self._roster.health() if one.state is not CameraState.RECORDING}
            for seen in self._to_examine(batch, sightings, silent):
                at_once = doubted if seen.camera in self.troubles else fresh
                self._examining.add(asyncio.create_task(self._look_at(seen, sightings, at_once)))
        if self._examining:
            done, self._examining = await asyncio.wait(self._examining, timeout=EXAMINE_WAIT_S)
            for task in done:
                task.result()

    def _to_examine(
        self, batch: Sequence[FoundCamera], sightings: Sightings, silent: set[CameraId]
    ) -> list[FoundCamera]:
        """Choose whom of a batch to ask."""
        chosen = []
        for seen in self._of_interest(batch):
            name = self._identities.name_of(seen)
            if self._identities.is_at(name, seen) and name not in silent:
                self._well(name, seen.addresses[0])
                continue
            if (name, seen.sender) in self._looking:
                continue
            if self._is_second_way(name, seen, sightings, silent):
                continue
            self._looking.add((name, seen.sender))
            chosen.append(seen)
        return chosen

    def _well(self, name: CameraId, address: str) -> None:
        """Let go of a trouble that a recorded camera had at this address; another device's in its name stays."""
        trouble = self.troubles.get(name)
        if trouble is not None and trouble.address == address:
            del self.troubles[name]

    def _is_second_way(self, name: CameraId, seen: FoundCamera, sightings: Sightings, silent: set[CameraId]) -> bool:
        """Say whether a camera that answers by IPv4 and IPv6 is well by the other one, or to be asked by it first."""
        others = [
            one for one in sightings.all if one.camera == seen.camera and (":" in one.sender) != (":" in seen.sender)
        ]
        is_recorded = name not in silent and any(self._identities.is_at(name, one) for one in others)
        return is_recorded or (":" in seen.sender and bool(others))

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

    def _forget_cameras(self) -> None:
        """Let go of the cameras that a person has forgotten: one that is still there is found again, as a new one."""
        for camera in self._identities.forgotten():
            self.streams.pop(camera, None)
            self._roster.remove(camera)

    def _of_interest(self, sightings: Sequence[FoundCamera]) -> list[FoundCamera]:
        """Choose the cameras that are known, and so many new ones as there is room for.

        A device that announces ever new identities pushes no camera out, and is not followed without end.
        """
        new = [name for name in dict.fromkeys(seen.camera for seen in sightings) if name not in self.streams]
        new.sort(key=self.troubles.__contains__)  # who could be used has room before who could not, last time
        room = set(new[: max(0, CAMERAS_MAX - len(self.streams) - len(self._looking))])
        for name in list(self.troubles)[: max(0, len(self.troubles) - CAMERAS_MAX)]:
            del self.troubles[name]
        return [seen for seen in sightings if seen.camera in self.streams or seen.camera in room]

    async def _look_at(self, seen: FoundCamera, sightings: Sightings, at_once: asyncio.Semaphore) -> None:
        name, address = self._identities.name_of(seen), seen.addresses[0]
        try:
            async with at_once:
                stream = await in_thread(lambda: self._ask.examine(seen))
                marks = await in_thread(lambda: self._ask.ask_marks(seen, stream))
            camera = self._identities.recognised(seen, marks, sightings)
        except TransomError as error:
            self.troubles[name] = Trouble(address, str(error))
            return
        finally:
            self._looking.discard((name, seen.sender))
        self.troubles.pop(name, None)
        self.troubles.pop(camera, None)
        known = self.streams.get(camera)
        if known is None and len(self.streams) >= CAMERAS_MAX:
            return
        self._identities.addresses[camera] = address
        stream = replace(stream, camera=camera, pin=known.pin if known else "", has_sound=self._has_sound)
        self._record(stream)
        self._roster.vouch(camera)
        with contextlib.suppress(UnavailableError):  # a full disk: it is recorded all the same, and found again
            self._book.put_camera(stream)
            self._identities.keep(camera, marks, address)

    def _record(self, stream: CameraStream) -> None:
        self.streams[stream.camera] = stream
        self._roster.add(stream)
