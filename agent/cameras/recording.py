"""One camera of story one: connect to it, keep a session alive, store what it sends, and wait after failures.

Rules of this file: no call waits; every failure of a camera ends in a wait of its own and in words for a person.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from agent.acquire.backoff import Backoff
from agent.acquire.camera import CameraStream
from agent.acquire.confirmation import Acquaintance, Confirmation
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.reader import Reader, ReaderEvent, Recorded, RunBegan, RunNumbers
from agent.acquire.receive_memory import ReceiveMemory
from agent.acquire.redial import Redial
from agent.acquire.session_effect import Ended, Ending, NeedPorts, Send, UsePorts
from agent.acquire.timeline import ClockOffset
from agent.cameras.chunks import CameraChunks
from agent.cameras.connection import CameraConnection, CertificateRefusedError
from agent.cameras.figures import CameraFigures
from agent.cameras.link import CameraDialer
from agent.cameras.media import CameraMedia, Tick
from agent.clock import Clock, Instant
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.ports import ChunkSink

# Between ticks, for cameras in their handshake, so that six answers do not take six ticks, and for those that send by
# UDP where the kernel's buffers are stock (208 KiB): they hold what a line of 100 Mbit/s brings in this time.
URGENT_TICK_MS: Final = 20
BRISK_TICK_MS: Final = 100  # for cameras that send more in a tick than half of what the kernel keeps for us

_log: Final = logging.getLogger(__name__)


class CameraRecording:
    """One camera's shell around the reader of its session. The recorder's thread alone calls it."""

    def __init__(
        self,
        stream: CameraStream,
        dialer: CameraDialer,
        clock: Clock,
        runs: RunNumbers,
        backoff: Backoff,
        memory: ReceiveMemory,
    ) -> None:
        self.stream = stream
        self.has_news = True  # its health is to be told before the next commit
        self.confirmation = Confirmation()
        self._connection = CameraConnection(dialer, stream.pin)
        self._clock, self._runs, self._memory = clock, runs, memory
        self._redial = Redial(stream.url, backoff)
        self._reader: Reader | None = None
        self._recording_since: Instant | None = None
        self._past = Acquaintance()
        self._void_clock: ClockOffset | None = None  # measured before the hub's own clock was set
        self._state, self._error = CameraState.CONNECTING, ""
        self._figures = CameraFigures()
        self._chunks = CameraChunks(self._figures)
        self._media = CameraMedia(self._connection, self._figures, clock)

    @property
    def pin(self) -> str:
        """The certificate that the camera must show (SHA-256, hex); empty while none is known."""
        return self._connection.pin

    @property
    def is_opening(self) -> bool:
        """Whether the camera's next answer is worth waiting for more often than once a tick."""
        return self._connection.has_begun and (self._reader is None or not self._reader.is_playing)

    @property
    def is_urgent(self) -> bool:
        """Whether to look between the ticks: for answers, and where the kernel cannot keep what comes until then."""
        return self.look_ms > 0

    @property
    def look_ms(self) -> int:
        """How soon to look between the ticks; 0: not before the next one."""
        if self._connection.is_hasty or self.is_opening:
            return URGENT_TICK_MS
        return BRISK_TICK_MS if self._media.is_brisk else 0

    def health_now(self) -> CameraHealth:
        """Put together how the camera does."""
        is_waiting = self._state not in {CameraState.CONNECTING, CameraState.RECORDING, CameraState.STOPPED}
        health = self._figures.health(self.stream, self._state, self._error, self._reader, self._clock.instant())
        return replace(
            health,
            next_try_at=self._redial.at if is_waiting else None,
            datagrams_dropped=self._connection.dropped(),
            is_unconfirmed=self.confirmation.is_awaited
            and self._connection.has_begun
            and (self._reader is None or self._chunks.is_held),
        )

    def tick(self, now: Tick, sink: ChunkSink) -> None:
        """Do whatever is possible now without waiting."""
        try:
            if not self._connection.has_begun:
                if now.instant >= self._redial.at:
                    self._note(CameraState.CONNECTING, self._error)
                    self._connection.dial(self._redial.url, now.instant)
            elif self._reader is None:
                self._open(now, sink)
            else:
                self._store_held(now, sink)
                if self._connection.has_ports and (octets := self._connection.receive_control()):
                    self._take(self._reader.received_control(octets, now.instant, now.wall), now, sink)
                self._media.begin_tick()
                self._read(self._reader, now, sink)
                self._take(self._reader.act(now.instant), now, sink)
        except (UnavailableError, BadInputError, ConfigurationError) as error:
            self._fail(error, now, sink)

    def look(self, now: Tick, sink: ChunkSink) -> None:
        """Do between two ticks what cannot wait for the next one."""
        if self._reader is None or not self._reader.is_playing:
            self.tick(now, sink)
            return
        try:
            self._read(self._reader, now, sink)
        except (UnavailableError, BadInputError, ConfigurationError) as error:
            self._fail(error, now, sink)

    def cut(self, now: Tick, sink: ChunkSink, bytes_min: int = 0) -> None:
        """Store what has come so far, if it is at least `bytes_min`."""
        if self._reader is not None:
            self._take(self._reader.cut(now.wall, bytes_min), now, sink)

    def hub_clock_was_set(self, now: Tick, sink: ChunkSink) -> None:
        """Go on in a new run; how the camera's clock stood beside the hub's is not known any more."""
        self._void_clock, self.stream = self.stream.clock, replace(self.stream, clock=None)
        if self._reader is not None:
            self._take(self._reader.begin_run(now.wall, None), now, sink)

    def begin_anew(self) -> None:
        """Begin a new run with the next key picture."""
        self._chunks.begin_anew()
        if self._reader is not None:
            self._reader.begin_anew()

    def change(self, stream: CameraStream, now: Tick, sink: ChunkSink) -> None:
        """Take another address, login or clock of the same camera; a newer clock alone does not even end the run.

        A pin that was there and is not any more was forgotten on purpose; one that never came is only not stored yet.
        """
        if stream.clock == self._void_clock:
            stream = replace(stream, clock=None)
        old, self.stream = self.stream, stream
        pin = stream.pin or ("" if old.pin else self.pin)
        if _source(old) != _source(stream) or pin != self.pin:
            self.leave(now, sink)
            self._connection.pin = pin
            self._redial.move(stream.url, now.instant)
            self.confirmation.lapse()
        elif old.clock != stream.clock and self._reader is not None:
            self._take(self._reader.set_clock(now.instant, now.wall, stream.clock), now, sink)

    def leave(self, now: Tick, sink: ChunkSink) -> None:
        """End the session politely and keep what it brought."""
        self.cut(now, sink)
        self._hang_up(now)
        self._note(CameraState.STOPPED, self._error)

    def _open(self, now: Tick, sink: ChunkSink) -> None:
        """Begin a session, before it is known who answers if that can do no harm: its chunks are held until then."""
        known = self.pin
        if not self._connection.is_open(now.instant):
            return
        is_sure = self._is_confirmed(now)
        has_login, has_pin = self.stream.login is not None, bool(known)
        if not is_sure and not self._past.may_begin(self.stream.url, now.instant, has_login=has_login, has_pin=has_pin):
            return
        if self._past.refused is not None:  # it was the camera, or says nothing: no second wrong login
            refused, self._past.refused = self._past.refused, None
            raise _SessionEndedError(refused)
        if self.pin != known:
            self.has_news = True
            _log.info("camera %s: its certificate %s is trusted from now on", self.stream.camera, self.pin)
        url = self._redial.url
        stream = self.stream if url == self.stream.url else replace(self.stream, url=url)
        if not is_sure:
            self._chunks.hold()
        cnonce, is_trusted = os.urandom(16).hex(), is_sure or has_pin
        self._reader = Reader(stream, cnonce, now.instant, self._runs, self._memory, is_trusted=is_trusted)
        self._take(self._reader.act(now.instant), now, sink)

    def _is_confirmed(self, now: Tick) -> bool:
        """Say whether to begin a session with whoever answers. Raises UnavailableError if it is not the camera."""
        was_awaited = self.confirmation.is_awaited
        if self.confirmation.refusal:
            self._past.refused = None
            raise UnavailableError(self.confirmation.refusal)
        is_over = self.confirmation.is_over(now.instant)
        self.has_news = self.has_news or self.confirmation.is_awaited != was_awaited
        return is_over

    def _read(self, reader: Reader, now: Tick, sink: ChunkSink) -> None:
        if self._chunks.is_full:
            return
        for events in self._media.pieces(reader, now):
            self._take(events, now, sink)
            if self._chunks.is_full:
                return

    def _take(self, events: Iterable[ReaderEvent], now: Tick, sink: ChunkSink) -> None:
        for event in events:
            match event:
                case Recorded():
                    self._store(event, now, sink)
                case RunBegan(header):
                    self._chunks.begin(header)
                case Send(octets):
                    self._connection.send(octets)
                case NeedPorts(tracks) if self._reader is not None:
                    self._reader.use_ports(self._connection.open_ports(tracks), now.instant)
                case UsePorts(server_ports):
                    self._connection.expect(server_ports)
                case Ended():
                    raise _SessionEndedError(event)

    def _store(self, recorded: Recorded, now: Tick, sink: ChunkSink) -> None:
        try:
            if self._chunks.store(recorded, sink):
                self._note_recording(now)
        except UnavailableError as error:
            self._error = str(error)

    def _store_held(self, now: Tick, sink: ChunkSink) -> None:
        """Store what was held, once it is known whose it is or nobody says. Raises UnavailableError if it is not."""
        if not self._chunks.is_held or not self._is_confirmed(now):
            return
        self.has_news = True
        try:
            if self._chunks.let_go(sink):
                self._note_recording(now)
        except UnavailableError as error:
            self._error = str(error)
            self.begin_anew()

    def _note_recording(self, now: Tick) -> None:
        if self._recording_since is None:
            self._recording_since = now.instant
            self._note(CameraState.RECORDING, "")
            _log.info("camera %s: recording", self.stream.camera)
        self._redial.went_well(now.instant - self._recording_since)

    def _fail(self, error: TransomError, now: Tick, sink: ChunkSink) -> None:
        self.cut(now, sink)
        is_early = self._chunks.is_held
        self._hang_up(now)
        ended = error.ended if isinstance(error, _SessionEndedError) else Ended(Ending.FAILED, "")
        if self._redial.follow(ended, now.instant):
            _log.info("camera %s: redirected to %s", self.stream.camera, self._redial.url)
            return
        if is_early and self._past.is_to_wait(ended):
            self._redial.at = now.instant
            return
        state = CameraState.WAITING
        if ended.ending is Ending.LOGIN_REFUSED:
            state = CameraState.LOGIN_REFUSED
        elif isinstance(error, CertificateRefusedError):
            state = CameraState.CERTIFICATE_REFUSED
        is_long = state is not CameraState.WAITING
        jitter = random.random()  # noqa: S311 - spreads cameras, guards nothing
        wait_s = self._redial.wait(ended, now.instant, jitter, is_long=is_long)
        _log.warning("camera %s: %s; tried again in %.0f s", self.stream.camera, error, wait_s)
        self._figures.reconnects += 1
        self._note(state, f"{error}; tried again after {wait_s / 60:.0f} minutes" if is_long else str(error))

    def _hang_up(self, now: Tick) -> None:
        reader, self._reader = self._reader, None
        self._chunks.drop()
        if self._recording_since is not None:
            self._past.note_recorded(self.stream.url, now.instant)
        self.confirmation.lapse()
        self._figures.session_ended(reader)
        self._recording_since = None
        goodbye = [event.octets for event in reader.leave(now.instant) if isinstance(event, Send)] if reader else []
        try:
            self._connection.leave(goodbye, now.instant)
        except UnavailableError as error:
            _log.debug("camera %s: no goodbye: %s", self.stream.camera, error)

    def _note(self, state: CameraState, error: str) -> None:
        self._state, self._error, self.has_news = state, error, True


class _SessionEndedError(UnavailableError):
    """The session's own word that it is over."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.why)
        self.ended = ended


def _source(stream: CameraStream) -> tuple[str, str, str, bytes, bool]:
    login = stream.login
    password = login.password.reveal() if login else b""
    return stream.url, stream.name, login.user if login else "", password, stream.has_sound
