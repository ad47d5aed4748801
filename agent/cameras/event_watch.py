"""Beside story one: every camera's own events, by one subscription each, to the ring and the hub's health.

Rules of this file: each camera has a thread of its own, so that one that hangs holds up nobody; a camera without events
is a fact, said once; what a camera sends is read and bounded before anybody else sees it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from agent.acquire.camera_clock import agreed
from agent.acquire.camera_event import CameraEvent
from agent.acquire.event_board import EventBoard, EventHealth
from agent.acquire.event_message import Heard, read_events, read_lives_s, read_offset
from agent.acquire.event_session import (
    PULL_MESSAGES,
    PULL_S,
    SUBSCRIPTION_S,
    Done,
    Effect,
    EventSession,
    EventState,
    Failed,
    Failure,
)
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, Clock, Instant, WallTime
from agent.errors import ConfigurationError, TransomError

if TYPE_CHECKING:
    from agent.acquire.camera import CameraStream
    from agent.acquire.lenient_xml import Element
    from agent.acquire.timeline import ClockOffset

CAMERAS_MAX: Final = 64
FOLLOW_EVERY_S: Final = 1.0
GOODBYE_S_MAX: Final = 2.0  # for all cameras together, at the end
OFFSETS_MAX: Final = 8  # measurements of a camera's clock that are held against each other

_log: Final = logging.getLogger(__name__)


class Told(Protocol):
    """An answer, and between which two readings of the hub's clock it was made."""

    @property
    def body(self) -> Element:
        """The first element in the SOAP body."""

    @property
    def asked(self) -> WallTime:
        """Before."""

    @property
    def answered(self) -> WallTime:
        """After."""


class PullPoint(Protocol):
    """One camera's event service, with at most one subscription; each call waits for seconds.

    Each raises errors of ours; `ConfigurationError` means that asking again soon is of no use. One thread, but for
    `unsubscribe`.
    """

    def set_clock(self, offset: ClockOffset | None) -> None:
        """Say how the camera's clock stands."""

    def find(self) -> bool:
        """Look for the event service; say whether there is one."""

    def subscribe(self, seconds: int) -> Told:
        """Make the subscription."""

    def pull(self, seconds: int, messages: int) -> Told:
        """Wait for something to be told."""

    def renew(self, seconds: int) -> Told:
        """Prolong it."""

    def unsubscribe(self) -> None:
        """End it, if it is there; from any thread, also while another one waits in `pull`."""


Open = Callable[["CameraStream", str], PullPoint]
"""(camera, address of its device service) to its event service; asks nothing yet."""
Keep = Callable[[CameraId, tuple[CameraEvent, ...]], None]


class EventWatch:
    """Keeps one subscription for each camera it is told of. Any thread; `keep` is called from the cameras' threads."""

    def __init__(self, open_events: Open, keep: Keep, clock: Clock) -> None:
        self._open, self._keep, self._clock = open_events, keep, clock
        self._listeners: dict[CameraId, _Listener] = {}
        self._lock = threading.Lock()

    def follow(self, cameras: Mapping[CameraId, tuple[CameraStream, str]]) -> None:
        """Listen to these cameras, each at the address of its device service, and to no others; returns at once."""
        with self._lock:
            for name in [name for name in self._listeners if name not in cameras]:
                self._listeners.pop(name).leave()
            for name, (stream, address) in cameras.items():
                known = self._listeners.get(name)
                if known is not None and known.is_of(stream, address):
                    known.note_clock(stream.clock)
                    continue
                if known is not None:
                    known.leave()
                elif len(self._listeners) >= CAMERAS_MAX:
                    continue
                self._listeners[name] = _Listener(stream, address, self._open, self._keep, self._clock)

    async def run(self, reached: Callable[[], Mapping[CameraId, tuple[CameraStream, str]]]) -> None:
        """Follow for ever the cameras that can be reached, as they change."""
        while True:
            self.follow(reached())
            await asyncio.sleep(FOLLOW_EVERY_S)

    def health(self) -> dict[CameraId, EventHealth]:
        """Return how it stands with each camera's events."""
        with self._lock:
            return {name: listener.health for name, listener in self._listeners.items()}

    def stop(self) -> None:
        """Unsubscribe everywhere, as far as the cameras answer within `GOODBYE_S_MAX`; may be called twice."""
        with self._lock:
            listeners = list(self._listeners.values())
            self._listeners.clear()
        goodbyes = [listener.leave() for listener in listeners]
        until_s = time.monotonic() + GOODBYE_S_MAX
        for goodbye in goodbyes:
            goodbye.join(max(0.0, until_s - time.monotonic()))
        for listener in listeners:
            listener.join(max(0.0, until_s - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _Place:
    """What a subscription depends on."""

    address: str
    user: str
    password: bytes


class _Listener:
    """One camera's thread."""

    def __init__(self, stream: CameraStream, address: str, open_events: Open, keep: Keep, clock: Clock) -> None:
        self.health = EventHealth()
        self._stream, self._address, self._open = stream, address, open_events
        self._keep, self._clock = keep, clock
        self._place = _place(stream, address)
        self._wake = threading.Event()
        self._is_leaving = False
        self._offsets: deque[tuple[Instant, ClockOffset]] = deque(maxlen=OFFSETS_MAX)
        self._told_clock: ClockOffset | None = None
        self.note_clock(stream.clock)
        self._board = EventBoard()
        self._since = clock.now()
        self._service: PullPoint | None = None
        self._is_pulling = False
        self._thread = threading.Thread(target=self._run, name=f"events {stream.camera}", daemon=True)
        self._thread.start()

    def is_of(self, stream: CameraStream, address: str) -> bool:
        """Whether it would do the same for this camera."""
        return self._place == _place(stream, address)

    def note_clock(self, offset: ClockOffset | None) -> None:
        """Take a newer measurement of the camera's clock."""
        if offset is not None and offset != self._told_clock:
            self._told_clock = offset
            self._offsets.append((self._clock.instant(), offset))

    def leave(self) -> threading.Thread:
        """End the thread and, in another one, the subscription: the first may have seconds to wait for its pull."""
        self._is_leaving = True
        self._wake.set()
        goodbye = threading.Thread(target=self._unsubscribe, name="events goodbye", daemon=True)
        goodbye.start()
        return goodbye

    def join(self, seconds: float) -> None:
        """Wait for the thread, unless it waits in a pull: that subscription has been ended for it."""
        if not self._is_pulling:
            self._thread.join(seconds)

    def _unsubscribe(self) -> None:
        service = self._service
        if service is not None:
            with suppress(TransomError):  # it ends by itself within a minute
                service.unsubscribe()

    def _run(self) -> None:
        chance = random.Random()  # noqa: S311 - spreads cameras, guards nothing
        session = EventSession(self._clock.instant(), chance)
        while True:
            if self._is_leaving:
                session.stop()
            effect = session.next_effect(self._clock.instant())
            if effect is not None:
                before = session.state, session.why
                session.feed(self._do(effect), self._clock.instant())
                self._tell(before, session)
                continue
            deadline = session.deadline()
            if deadline is None:
                return
            self._wake.wait(max(0, deadline - self._clock.instant()) / SECOND_NS)

    def _tell(self, before: tuple[EventState, str], session: EventSession) -> None:
        self.health = self._board.health(session.state, session.why)
        if session.state is before[0] or self._is_leaving:
            return
        if session.state is EventState.SUBSCRIBED:
            _log.info("camera %s: its events are subscribed to", self._stream.camera)
        else:
            _log.info("camera %s: no events: %s", self._stream.camera, session.why)

    def _do(self, effect: Effect) -> Done | Failed:
        try:
            return self._attempt(effect)
        except ConfigurationError as error:
            # A login that was good enough to subscribe is not refused: some cameras say so of a subscription lost.
            is_login = effect in {Effect.FIND, Effect.SUBSCRIBE}
            return Failed(effect, Failure.LOGIN if is_login else Failure.CAMERA, self._words(error))
        except TransomError as error:
            return Failed(effect, Failure.CAMERA, self._words(error))

    def _words(self, error: TransomError) -> str:
        """Say it without the camera's address, which is nobody's business where health is shown."""
        place = urlsplit(self._address)
        return str(error).replace(place.netloc, "the camera").replace(place.hostname or place.netloc, "the camera")

    def _attempt(self, effect: Effect) -> Done | Failed:
        if effect is Effect.FIND or self._service is None:
            self._service = self._open(self._stream, self._address)
            self._service.set_clock(self._offset())
            if self._service.find():
                return Done(effect)
            return Failed(effect, Failure.ABSENT, "the camera offers no events")
        service = self._service
        match effect:
            case Effect.UNSUBSCRIBE:
                self._board.forget_states()
                self._unsubscribe()
                return Done(effect)
            case Effect.SUBSCRIBE:
                told = service.subscribe(SUBSCRIPTION_S)
                self._since = told.answered
            case Effect.RENEW:
                told = service.renew(SUBSCRIPTION_S)
            case _:
                told = self._pull(service)
        self._measure(told)
        if effect is Effect.PULL:
            self._hear(told)
        return Done(effect, read_lives_s(told.body))

    def _pull(self, service: PullPoint) -> Told:
        self._is_pulling = True
        try:
            return service.pull(PULL_S, PULL_MESSAGES)
        finally:
            self._is_pulling = False

    def _hear(self, told: Told) -> None:
        heard = Heard(self._since, told.answered, self._offset())
        events = self._board.take(read_events(told.body, heard), self._clock.instant())
        self._since = told.answered
        if events:
            self._keep(self._stream.camera, events)

    def _measure(self, told: Told) -> None:
        """Hold what the camera says of its clock against what is known: it may have been set."""
        offset = read_offset(told.body, told.asked, told.answered)
        if offset is not None:
            self._offsets.append((self._clock.instant(), offset))

    def _offset(self) -> ClockOffset | None:
        return agreed(tuple(self._offsets), self._clock.instant())


def _place(stream: CameraStream, address: str) -> _Place:
    login = stream.login
    return _Place(address, login.user if login else "", login.password.reveal() if login else b"")
