"""Story one, for ever: every camera's wire bytes into the ring, one thread and one tick loop for all of them.

Rules of this file: one camera's failure never disturbs another; a ring that cannot take a chunk never stops the
reading; steps of UTC are looked for once per round; nothing here waits but the loop itself; what the owner does not let
be recorded is not read.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.acquire.backoff import Backoff
from agent.acquire.camera import CameraStream
from agent.acquire.camera_event import EVENTS_MAX, CameraEvent
from agent.acquire.confirmation import Confirmation
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.reader import RunNumbers
from agent.acquire.step_watch import SourceWatch, StepWatch
from agent.acquire.stream import CameraId
from agent.acquire.wire import wire_memory
from agent.buffer.clock_eras import ClockChange
from agent.buffer.event_chunk import event_chunk
from agent.cameras.link import CameraDialer
from agent.cameras.media import Tick
from agent.cameras.recording import URGENT_TICK_MS, CameraRecording
from agent.clock import SECOND_NS, Clock, Instant, TimeSource, WallTime
from agent.errors import BadInputError, UnavailableError
from agent.ports import ChunkSink

SHARE_MS_MIN: Final = 2  # of one camera in one round, however many there are: it reads half a megabyte
SHARE_MS_MAX: Final = 50
TELL_EVERY_S: Final = 2  # figures that changed; a new state is told at once
CLOCK_CHANGES_MAX: Final = 64  # taken over within a second
EVENTS_WAITING_MAX: Final = 1024  # answers with events, of all cameras, until the next commit
MINUTE_NS: Final = 60 * SECOND_NS
CUT_BYTES_MIN: Final = 64 * 1024  # what is sealed before the commit; less would only make more headers

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """How often the recorder looks, writes and tries again."""

    tick_ms: int = 500  # waking up costs more than reading: the kernel keeps what comes meanwhile
    commit_ms: int = 1000  # whole ticks, one at least
    backoff_s_min: float = 1.0
    backoff_s_max: float = 60.0
    login_backoff_s: float = 600.0  # cameras lock accounts after a few wrong passwords
    confirm_s: float = 0.0  # how long a connection waits for `vouch` or `refuse`; 0: nobody says either

    @property
    def ticks_per_commit(self) -> int:
        """How many ticks make a commit."""
        return max(1, self.commit_ms // self.tick_ms)


@dataclass(slots=True)
class Lateness:
    """By how much rounds came late: the most of this minute and of the one before."""

    latest_ns: int = 0
    _minute: int = -1
    _now_ns: int = 0
    _before_ns: int = 0

    def note(self, late_ns: int, now: Instant) -> None:
        """Take a round."""
        if now // MINUTE_NS != self._minute:
            self._minute, self._before_ns, self._now_ns = now // MINUTE_NS, self._now_ns, 0
        self._now_ns = max(self._now_ns, late_ns)
        self.latest_ns = max(self._now_ns, self._before_ns)


class Recorder:
    """Records cameras into `sink`. `run` is a thread's target; all other methods may be called from any thread.

    `last_run` is the highest number of a run that `sink` has.
    """

    def __init__(
        self, sink: ChunkSink, clock: Clock, dialer: CameraDialer, settings: RecorderSettings, last_run: int = 0
    ) -> None:
        self._sink, self._clock, self._dialer, self._settings = sink, clock, dialer, settings
        self._lock = threading.Lock()
        self._wanted: dict[CameraId, CameraStream] = {}
        self._words: dict[CameraId, str] = {}
        self._new_sink: tuple[ChunkSink, int] | None = None
        self._has_wishes = False
        self._cameras: dict[CameraId, CameraRecording] = {}
        self._urgent: list[CameraRecording] = []
        self._events: deque[tuple[CameraId, tuple[CameraEvent, ...]]] = deque(maxlen=EVENTS_WAITING_MAX)
        self._last_event_chunk = 0
        self._health: tuple[CameraHealth, ...] = ()
        self._pins: dict[CameraId, str] = {}
        self._stop = threading.Event()
        self._may_record: Callable[[WallTime], bool] = lambda _: True
        self._is_off = False  # by the owner's policy
        self._steps, self._sources = StepWatch(), SourceWatch()
        self._runs, self._memory = RunNumbers(last_run), wire_memory()
        self._runs_read = self._runs.next_at_least  # when the clocks were read before
        self.clock_changes: tuple[ClockChange, ...] = ()  # the newest, oldest first; read by other threads
        self._last_tick = self._next_tale = clock.instant()
        self._lateness = Lateness()

    @property
    def last_tick(self) -> Instant:
        """When the loop last came round; the daemon tells the watchdog only while this moves."""
        return self._last_tick

    def late_s_max(self) -> float:
        """Return by how much the latest round of the last minute or two came late, in seconds."""
        return self._lateness.latest_ns / SECOND_NS

    def add(self, stream: CameraStream) -> None:
        """Record a camera from now on, or record it otherwise than so far."""
        with self._lock:
            self._wanted[stream.camera], self._has_wishes = stream, True

    def remove(self, camera: CameraId) -> None:
        """Stop recording a camera."""
        with self._lock:
            self._wanted.pop(camera, None)
            self._has_wishes = True

    def obey(self, may_record: Callable[[WallTime], bool]) -> None:
        """Ask this from now on, in each round and so within a tick, whether anything may be recorded at that time.

        While it may not, every camera is left, and what was recorded before stays. Called in the recorder's thread.
        """
        self._may_record = may_record

    def vouch(self, camera: CameraId) -> None:
        """Say that the device at the camera's address is the camera: it is recorded without waiting."""
        self.refuse(camera, "")

    def refuse(self, camera: CameraId, why: str) -> None:
        """Say that it is another device: it is left, and asked about again at the next try."""
        with self._lock:
            self._words[camera], self._has_wishes = why, True

    def replace_sink(self, sink: ChunkSink, last_run: int = 0) -> None:
        """Record to another place from the next tick on; every camera begins a new run there, numbered above."""
        with self._lock:
            self._new_sink, self._has_wishes = (sink, last_run), True

    def note_events(self, camera: CameraId, events: tuple[CameraEvent, ...]) -> None:
        """Store what a camera told beside its pictures, with the next commit; beyond a bound, the oldest go."""
        with self._lock:
            self._events.append((camera, events))

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each camera does, as of the last commit or change of a state."""
        return self._health

    def pins(self) -> dict[CameraId, str]:
        """Return the certificates (SHA-256, hex) that cameras with TLS have shown; to be stored and given to `add`."""
        return self._pins

    def stop(self) -> None:
        """Ask `run` to leave the cameras, store what it has and return, which takes less than a second."""
        self._stop.set()

    def run(self) -> None:
        """Record until `stop` is called."""
        next_tick, ticks = self._clock.instant(), 0
        while not self._stop.is_set():
            now = self._read_clocks()
            if self._has_wishes or self._may_record(now.wall) is self._is_off:
                self._apply_wishes(now)
            if now.instant >= next_tick:
                ticks += 1
                self._lateness.note(now.instant - next_tick, now.instant)
                self._tick(now, is_commit=ticks % self._settings.ticks_per_commit == 0)
                next_tick = Instant(max(next_tick, now.instant - SECOND_NS) + self._settings.tick_ms * 1_000_000)
            else:
                for camera in self._urgent:
                    camera.look(now, self._sink)
                self._urgent = [camera for camera in self._urgent if camera.is_urgent]
            is_parting = self._dialer.close_parted(now.instant)
            self._last_tick, wake = now.instant, next_tick
            if is_parting or self._urgent:
                look_ms = min((camera.look_ms for camera in self._urgent), default=URGENT_TICK_MS)
                wake = min(wake, Instant(now.instant + look_ms * 1_000_000))
            self._stop.wait(max(0, wake - self._clock.instant()) / SECOND_NS)
        now = self._read_clocks()
        for camera in self._cameras.values():
            camera.leave(now, self._sink)
        self._store_events(now)
        self._commit()
        self._tell()
        while self._dialer.close_parted(self._clock.instant()):
            threading.Event().wait(URGENT_TICK_MS / 1000)

    def _tick(self, now: Tick, *, is_commit: bool) -> None:
        """Read every camera and seal what it brought while that is still in the processor's caches."""
        self._follow_clock(now)
        cameras, bytes_min = self._cameras.values(), 0 if is_commit else CUT_BYTES_MIN
        for camera in cameras:
            camera.tick(now, self._sink)
            camera.cut(now, self._sink, bytes_min)
        self._urgent = [camera for camera in cameras if camera.is_urgent]
        if is_commit:
            self._store_events(now)
            self._commit()
        if now.instant >= self._next_tale or any(camera.has_news for camera in cameras):
            self._next_tale = Instant(now.instant + TELL_EVERY_S * SECOND_NS)
            self._tell()

    def _tell(self) -> None:
        """Let other threads see how the cameras do; building this costs too much for every tick."""
        cameras = self._cameras.values()
        for camera in cameras:
            camera.has_news = False
        self._pins = {camera.stream.camera: camera.pin for camera in cameras if camera.pin}
        self._health = tuple(camera.health_now() for camera in cameras)
        if self._is_off:
            with self._lock:
                self._health = tuple(CameraHealth(name, CameraState.OFF) for name in sorted(self._wanted))

    def _read_clocks(self) -> Tick:
        before, wall, after = self._clock.instant(), self._clock.now(), self._clock.instant()
        share_ms = self._settings.tick_ms / 2 / max(1, len(self._cameras))
        now = Tick(before, wall, int(min(max(share_ms, SHARE_MS_MIN), SHARE_MS_MAX) * 1_000_000))
        if self._steps.is_step(before, wall, after):
            _log.warning("the hub's clock was set; every camera begins a new run")
            for camera in self._cameras.values():
                camera.hub_clock_was_set(now, self._sink)
            self._sources.note_step()
            self._follow_clock(now, is_run_new=True, is_step=True)
        self._runs_read = self._runs.next_at_least
        return now

    def _follow_clock(
        self, now: Tick, *, is_run_new: bool = False, is_sink_new: bool = False, is_step: bool = False
    ) -> None:
        """Note from which run on somebody else vouches for the time, or it was set; runs that may change by it end."""
        source = self._clock.standing().source
        is_news, is_break = self._sources.look(source, now.instant)
        if is_break and not is_run_new:
            for camera in self._cameras.values():
                camera.hub_clock_was_set(now, self._sink)
        if is_step and self._runs_read < self._runs.next_at_least:
            self._note_clock(self._runs_read, TimeSource.NONE, is_step=True)  # begun by which clock?
        if is_news or is_sink_new or is_step:
            self._note_clock(self._runs.next_at_least, source, is_step=is_step)

    def _note_clock(self, first_run: int, source: TimeSource, *, is_step: bool) -> None:
        number = self.clock_changes[-1].number + 1 if self.clock_changes else 1
        change = ClockChange(number, first_run, source, is_step)
        self.clock_changes = (*self.clock_changes[1 - CLOCK_CHANGES_MAX :], change)

    def _apply_wishes(self, now: Tick) -> None:
        self._is_off = not self._may_record(now.wall)
        with self._lock:
            wanted, new_sink, words = dict(self._wanted), self._new_sink, self._words
            wanted = {} if self._is_off else wanted
            self._new_sink, self._words, self._has_wishes = None, {}, False
        if new_sink is not None:
            self._commit_all(now)
            self._sink, last_run = new_sink
            self._runs.take(WallTime(last_run))  # numbers rise: whatever is taken next is above
            for camera in self._cameras.values():
                camera.begin_anew()
            self._follow_clock(now, is_run_new=True, is_sink_new=True)
        for name in self._cameras.keys() - wanted.keys():
            self._cameras.pop(name).leave(now, self._sink)
        for name, stream in wanted.items():
            if name not in self._cameras:
                self._cameras[name] = self._recording_of(stream)
            elif self._cameras[name].stream is not stream:
                self._cameras[name].change(stream, now, self._sink)
        for name in words.keys() & self._cameras.keys():
            self._cameras[name].confirmation.hear(words[name])
        self._urgent = [camera for camera in self._cameras.values() if camera.is_urgent]
        self._tell()

    def _recording_of(self, stream: CameraStream) -> CameraRecording:
        settings = self._settings
        backoff = Backoff(settings.backoff_s_min, settings.backoff_s_max, settings.login_backoff_s)
        recording = CameraRecording(stream, self._dialer, self._clock, self._runs, backoff, self._memory)
        recording.confirmation = Confirmation(settings.confirm_s)
        return recording

    def _commit_all(self, now: Tick) -> None:
        for camera in self._cameras.values():
            camera.cut(now, self._sink)
        self._commit()

    def _store_events(self, now: Tick) -> None:
        with self._lock:
            waiting = [] if self._is_off else list(self._events)
            self._events.clear()
        for camera, events in waiting:
            for begin in range(0, len(events), EVENTS_MAX):
                self._last_event_chunk = max(self._last_event_chunk + 1, now.wall)
                try:
                    chunk = event_chunk(camera, events[begin : begin + EVENTS_MAX], self._last_event_chunk, now.wall)
                    self._sink.append(*chunk)
                except (UnavailableError, BadInputError) as error:
                    _log.warning("camera %s: its events are not stored: %s", camera, error)

    def _commit(self) -> None:
        try:
            self._sink.commit()
        except UnavailableError as error:
            _log.warning("the ring could not write: %s", error)
