"""Story one, for ever: every camera's wire bytes into the ring, one thread and one tick loop for all of them.

Rules of this file: one camera's failure never disturbs another; a ring that cannot take a chunk never stops the
reading; UTC is read once per tick; nothing here waits but the loop itself.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from agent.acquire.backoff import Backoff
from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.reader import Reader, ReaderEvent, Recorded, RunBegan, RunNumbers
from agent.acquire.rtsp import Ended, Ending, Send
from agent.acquire.stream import CameraId
from agent.acquire.timeline import StepWatch
from agent.buffer.chunk import ChunkMeta
from agent.buffer.chunking import Chunking
from agent.clock import SECOND_NS, Clock, Instant, WallTime
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.ports import CameraDialer, CameraLink, ChunkSink

RTSP_PORT: Final = 554
DIAL_S_MAX: Final = 10
SETTLED_S: Final = 30  # a session that recorded this long was a good one: the next failure begins with a short wait
READ_BYTES_PER_TICK: Final = 2 * 1024 * 1024  # 64 Mbit/s; a camera that sends more waits for its turn
OPENING_TICK_MS: Final = 20  # for cameras in their handshake, so that six answers do not take six ticks

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """How often the recorder looks, writes and tries again."""

    tick_ms: int = 250
    commit_ms: int = 1000
    backoff_s_min: float = 1.0
    backoff_s_max: float = 60.0
    login_backoff_s: float = 600.0  # cameras lock accounts after a few wrong passwords


class _Now(NamedTuple):
    """The time of one tick."""

    instant: Instant
    wall: WallTime


class Recorder:
    """Records cameras into `sink`. `run` is a thread's target; all other methods may be called from any thread."""

    def __init__(self, sink: ChunkSink, clock: Clock, dialer: CameraDialer, settings: RecorderSettings) -> None:
        self._sink, self._clock, self._dialer, self._settings = sink, clock, dialer, settings
        self._lock = threading.Lock()
        self._wanted: dict[CameraId, CameraStream] = {}
        self._new_sink: ChunkSink | None = None
        self._cameras: dict[CameraId, _Camera] = {}
        self._health: tuple[CameraHealth, ...] = ()
        self._stop = threading.Event()
        self._steps, self._runs = StepWatch(), RunNumbers()
        self._last_tick = clock.instant()

    @property
    def last_tick(self) -> Instant:
        """When the loop last came round; the daemon tells the watchdog only while this moves."""
        return self._last_tick

    def add(self, stream: CameraStream) -> None:
        """Record a camera from now on, or record it otherwise than so far."""
        with self._lock:
            self._wanted[stream.camera] = stream

    def remove(self, camera: CameraId) -> None:
        """Stop recording a camera."""
        with self._lock:
            self._wanted.pop(camera, None)

    def replace_sink(self, sink: ChunkSink) -> None:
        """Record to another place from the next tick on; every camera begins a new run there."""
        with self._lock:
            self._new_sink = sink

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each camera does, as of the last tick."""
        return self._health

    def stop(self) -> None:
        """Ask `run` to leave the cameras, store what it has and return, which takes less than a second."""
        self._stop.set()

    def run(self) -> None:
        """Record until `stop` is called."""
        next_tick = next_commit = self._clock.instant()
        while not self._stop.is_set():
            now = self._read_clocks()
            self._apply_wishes(now)
            is_tick = now.instant >= next_tick
            for camera in self._cameras.values():
                if is_tick or camera.is_opening:
                    camera.tick(now, self._sink)
            is_parting = self._dialer.close_parted(now.instant)
            if is_tick:
                next_tick = Instant(max(next_tick, now.instant - SECOND_NS) + self._settings.tick_ms * 1_000_000)
            if now.instant >= next_commit:
                self._commit(now)
                next_commit = Instant(now.instant + self._settings.commit_ms * 1_000_000)
            self._health = tuple(camera.health for camera in self._cameras.values())
            self._last_tick = now.instant
            wake = min(next_tick, next_commit)
            if is_parting or any(camera.is_opening for camera in self._cameras.values()):
                wake = min(wake, Instant(now.instant + OPENING_TICK_MS * 1_000_000))
            self._stop.wait(max(0, wake - self._clock.instant()) / SECOND_NS)
        now = self._read_clocks()
        for camera in self._cameras.values():
            camera.leave(now, self._sink)
        self._commit(now)
        self._health = tuple(camera.health for camera in self._cameras.values())
        while self._dialer.close_parted(self._clock.instant()):
            threading.Event().wait(OPENING_TICK_MS / 1000)

    def _read_clocks(self) -> _Now:
        before, wall, after = self._clock.instant(), self._clock.now(), self._clock.instant()
        now = _Now(before, wall)
        if self._steps.is_step(before, wall, after):
            _log.warning("the hub's clock was set; every camera begins a new run")
            for camera in self._cameras.values():
                camera.begin_run(now, self._sink)
        return now

    def _apply_wishes(self, now: _Now) -> None:
        with self._lock:
            wanted, new_sink, self._new_sink = dict(self._wanted), self._new_sink, None
        if new_sink is not None:
            self._commit(now)
            self._sink = new_sink
            for camera in self._cameras.values():
                camera.begin_anew()
        for name in self._cameras.keys() - wanted.keys():
            self._cameras.pop(name).leave(now, self._sink)
        for name, stream in wanted.items():
            if name not in self._cameras:
                self._cameras[name] = _Camera(stream, self._dialer, self._settings, self._runs)
            elif self._cameras[name].stream is not stream:
                self._cameras[name].change(stream, now, self._sink)

    def _commit(self, now: _Now) -> None:
        for camera in self._cameras.values():
            camera.cut(now, self._sink)
        try:
            self._sink.commit()
        except UnavailableError as error:
            _log.warning("the ring could not write: %s", error)


class _Camera:
    """One camera's shell: dials, keeps a session alive, stores what it records, and waits after failures."""

    def __init__(
        self, stream: CameraStream, dialer: CameraDialer, settings: RecorderSettings, runs: RunNumbers
    ) -> None:
        self.stream = stream
        self.health = CameraHealth(stream.camera)
        self._dialer, self._runs = dialer, runs
        self._backoff = Backoff(settings.backoff_s_min, settings.backoff_s_max, settings.login_backoff_s)
        self._link: CameraLink | None = None
        self._reader: Reader | None = None
        self._due = Instant(0)  # waiting: the next try; dialing: when to give up
        self._recording_since: Instant | None = None
        self._chunking = Chunking()
        self._newest_key: ChunkMeta | None = None

    @property
    def is_opening(self) -> bool:
        """Whether answers are worth waiting for more often than once a tick."""
        return self._link is not None and (self._reader is None or not self._reader.is_playing)

    def tick(self, now: _Now, sink: ChunkSink) -> None:
        """Do whatever is possible now without waiting."""
        try:
            if self._link is None:
                if now.instant >= self._due:
                    self._dial(now)
            elif self._reader is None:
                self._open(self._link, now, sink)
            else:
                self._read(self._link, self._reader, now, sink)
        except (UnavailableError, BadInputError, ConfigurationError) as error:
            self._fail(error, now, sink)

    def cut(self, now: _Now, sink: ChunkSink) -> None:
        """Store what has come so far."""
        if self._reader is not None:
            self._take(self._reader.cut(now.wall), now, sink)

    def begin_run(self, now: _Now, sink: ChunkSink) -> None:
        """Go on in a new run."""
        if self._reader is not None:
            self._take(self._reader.begin_run(now.wall, self.stream.clock), now, sink)

    def begin_anew(self) -> None:
        """Begin a new run with the next key picture."""
        if self._reader is not None:
            self._reader.begin_anew()

    def change(self, stream: CameraStream, now: _Now, sink: ChunkSink) -> None:
        """Take another address, login or clock of the same camera; a new clock alone does not interrupt the session."""
        old, self.stream = self.stream, stream
        if _source(old) != _source(stream):
            self.leave(now, sink)
            self._backoff.settled()
            self._due = now.instant
        elif old.clock != stream.clock:
            self.begin_run(now, sink)

    def leave(self, now: _Now, sink: ChunkSink) -> None:
        """End the session politely and keep what it brought."""
        self.cut(now, sink)
        self._hang_up(now)
        self.health = replace(self.health, state=CameraState.STOPPED)

    def _dial(self, now: _Now) -> None:
        try:
            address = urlsplit(self.stream.url)
            host, port = address.hostname or "", address.port or RTSP_PORT
        except ValueError as error:
            raise ConfigurationError("the camera's stream address cannot be read") from error
        self.health = replace(self.health, state=CameraState.CONNECTING, next_try_at=None)
        self._due = Instant(now.instant + DIAL_S_MAX * SECOND_NS)
        self._link = self._dialer.dial(host, port)

    def _open(self, link: CameraLink, now: _Now, sink: ChunkSink) -> None:
        if link.is_open():
            self._reader = Reader(self.stream, secrets.token_hex(16), now.instant, self._runs)
            self._take(self._reader.act(now.instant), now, sink)
        elif now.instant >= self._due:
            raise UnavailableError(f"the camera did not answer within {DIAL_S_MAX} s", cure="check its power and cable")

    def _read(self, link: CameraLink, reader: Reader, now: _Now, sink: ChunkSink) -> None:
        received, ignored_before = 0, reader.reports_ignored
        while received < READ_BYTES_PER_TICK:
            room = reader.room()
            count = link.receive_into(room)
            if count == 0:
                break
            received += count
            self._take(reader.received(count, now.instant, now.wall), now, sink)
            if count < len(room):
                break
        if received:
            total = self.health.bytes_received + received
            ignored = self.health.reports_ignored + reader.reports_ignored - ignored_before
            self.health = replace(
                self.health,
                last_byte=now.wall,
                last_byte_at=now.instant,
                bytes_received=total,
                reports_ignored=ignored,
            )
        self._take(reader.act(now.instant), now, sink)

    def _take(self, events: Iterable[ReaderEvent], now: _Now, sink: ChunkSink) -> None:
        for event in events:
            match event:
                case Recorded():
                    self._store(event, now, sink)
                case RunBegan(header):
                    self._chunking.begin(header)
                    self.health = replace(self.health, runs=self.health.runs + 1)
                case Send(octets) if self._link is not None:
                    self._link.send(octets)
                case Ended(ending, why):
                    raise _LoginRefusedError(why) if ending is Ending.LOGIN_REFUSED else UnavailableError(why)

    def _store(self, recorded: Recorded, now: _Now, sink: ChunkSink) -> None:
        try:
            for meta, payload in self._chunking.chunks(recorded):
                sink.append(meta, payload)
        except UnavailableError as error:
            self.health = replace(self.health, chunks_lost=self.health.chunks_lost + 1, error=str(error))
        else:
            self.health = replace(self.health, chunks=self.health.chunks + 1)
            self._note_recording(meta, now)

    def _note_recording(self, meta: ChunkMeta, now: _Now) -> None:
        if self._recording_since is None:
            self._recording_since = now.instant
            self.health = replace(self.health, state=CameraState.RECORDING, error="")
            _log.info("camera %s: recording", self.stream.camera)
        elif now.instant - self._recording_since > SETTLED_S * SECOND_NS:
            self._backoff.settled()
        if meta.is_key:
            if self._newest_key is not None and self._newest_key.run == meta.run:
                interval_ns = meta.first_picture - self._newest_key.first_picture
                self.health = replace(self.health, key_interval_s=interval_ns / SECOND_NS)
            self._newest_key = meta

    def _fail(self, error: TransomError, now: _Now, sink: ChunkSink) -> None:
        is_login_refused = isinstance(error, _LoginRefusedError)
        self.cut(now, sink)
        self._hang_up(now)
        jitter = random.random()  # noqa: S311 - spreads cameras, guards nothing
        self._due = self._backoff.next_try(now.instant, jitter, is_login_refused=is_login_refused)
        wait_s = (self._due - now.instant) / SECOND_NS
        _log.warning("camera %s: %s; tried again in %.0f s", self.stream.camera, error, wait_s)
        self.health = replace(
            self.health,
            state=CameraState.LOGIN_REFUSED if is_login_refused else CameraState.WAITING,
            error=f"{error}; tried again after {wait_s / 60:.0f} minutes" if is_login_refused else str(error),
            next_try_at=self._due,
            reconnects=self.health.reconnects + 1,
        )

    def _hang_up(self, now: _Now) -> None:
        """Say goodbye if the camera still listens, and close."""
        link, reader = self._link, self._reader
        self._link = self._reader = self._recording_since = self._newest_key = None
        if link is None:
            return
        try:
            for event in reader.leave(now.instant) if reader else ():
                if isinstance(event, Send):
                    link.send(event.octets)
        except UnavailableError as error:
            _log.debug("camera %s: no goodbye: %s", self.stream.camera, error)
            link.close()
        else:
            self._dialer.part_from(link, now.instant)


class _LoginRefusedError(UnavailableError):
    """The camera refuses the login: the shell waits long."""


def _source(stream: CameraStream) -> tuple[str, str, str, bytes]:
    login = stream.login
    return stream.url, stream.name, login.user if login else "", login.password.reveal() if login else b""
