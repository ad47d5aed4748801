"""One camera, tried step by step as the hub would use it: reach, clock, login, services, profiles, stream, key picture.

Rules of this file: nothing is changed on the camera and nothing is recorded to disk; a step that fails ends the test,
and says what a person can do; at most one wrong login is sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera
from agent.acquire.encoding import encoding_warnings
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.media_profiles import Profile, is_called_sub
from agent.acquire.timeline import ClockSource
from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.clock import SECOND_NS, Clock
from agent.errors import TransomError, UnavailableError
from agent.outside.onvif import BUDGET_S, REFUSALS, OnvifCamera, clock_note
from agent.outside.onvif_failures import (
    ClockWrongError,
    LoginNeededError,
    LoginRefusedError,
    NotOnvifError,
    word_of,
)
from agent.outside.onvif_media import MEDIA2
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.soap import SoapClient
from agent.outside.soap_login import Refusals
from agent.ports import Wire
from agent.recorder import Recorder, RecorderSettings

PLAY_S_MAX: Final = 15.0  # dialing, RTSP and its login
KEY_PICTURE_S_MAX: Final = 15.0
SECOND_KEY_S_MAX: Final = 6.0  # for the measured distance of two key pictures
REPORT_S_MAX: Final = 6.0  # for the first sender report
LOOK_EVERY_S: Final = 0.05
STEPS: Final = ("reach", "clock", "login", "services", "profiles", "stream", "first key picture", "time bound")
_NO_CURE: Final = "set the camera's NTP server: `transom cameras tune CAMERA --ntp SERVER`"
_PERHAPS_HIDDEN: Final = (
    "only a small stream is shown here; the main one may be H.265, which media 1 hides: update the firmware to one "
    "with Profile T, or set the main stream to H.264"
)
_Told = TypeVar("_Told")


class Mark(StrEnum):
    """How a step went."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # it works, and a person should look
    BAD = "bad"
    NOT_TRIED = "not tried"  # an earlier step failed


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the test; `said` and `cure` are for people, and printable."""

    name: str  # of `STEPS`
    mark: Mark
    said: str
    cure: str = ""
    seconds: float = 0.0
    word: str = ""  # of a failure, for programs: "password wrong", "clock wrong", "ONVIF off" ...


def check_camera(
    found: FoundCamera,
    login: Login | None,
    clock: Clock,
    *,
    wanted: str = "",
    pin: str = "",
    refusals: Refusals = REFUSALS,
) -> Iterator[Step]:
    """Yield each step of `STEPS` as it ends; takes 5 to 40 s. Raises nothing that a camera can cause."""
    check, left = _Check(found, login, clock, wanted, pin, refusals), list(STEPS)
    try:
        for name in STEPS:
            started = time.monotonic()
            step = check.run(name, started)
            left.remove(name)
            yield step
            if step.mark is Mark.BAD:
                break
    finally:
        check.close()
    for name in left:
        yield Step(name, Mark.NOT_TRIED, "")


class _Check:
    def __init__(
        self, found: FoundCamera, login: Login | None, clock: Clock, wanted: str, pin: str, refusals: Refusals
    ) -> None:
        self._found, self._login, self._clock, self._wanted, self._pin = found, login, clock, wanted, pin
        self._refusals = refusals
        self._camera: OnvifCamera | None = None
        self._client: SoapClient | None = None
        self._profile: Profile | None = None
        self._login_failure: TransomError | None = None
        self._sink, self._play_s = _KeyTimes(), 0.0
        self._recorder: Recorder | None = None
        self._thread: threading.Thread | None = None
        self._steps: dict[str, Callable[[], tuple[Mark, str, str]]] = dict(
            zip(
                STEPS,
                (
                    self._reach,
                    self._tell_time,
                    self._log_in,
                    self._list_services,
                    self._choose,
                    self._play,
                    self._await_key_picture,
                    self._bound_time,
                ),
                strict=True,
            )
        )

    def run(self, name: str, started: float) -> Step:
        """Do one step; whatever the camera does, a step comes of it."""
        word = ""
        try:
            mark, said, cure = self._steps[name]()
        except TransomError as error:
            mark, cure, word = Mark.BAD, error.cure, word_of(error)
            said = f"{word}: {Exception.__str__(error)}"
        return Step(name, mark, said, cure, time.monotonic() - started, word)

    def close(self) -> None:
        """Leave the camera."""
        if self._recorder is not None and self._thread is not None:
            self._recorder.stop()
            self._thread.join()

    def _reach(self) -> tuple[Mark, str, str]:
        failure: TransomError = UnavailableError("the camera announced no address", cure="enter its address by hand")
        until_s = time.monotonic() + BUDGET_S
        for address in self._found.addresses:
            client = SoapClient(
                self._login, self._clock.now, budget_s=until_s - time.monotonic(), refusals=self._refusals
            )
            camera = OnvifCamera(address, client, self._clock.now)
            try:
                camera.greet()
            except TransomError as error:
                if not isinstance(failure, NotOnvifError):  # what answered and was no camera says more than silence
                    failure = error
                continue
            self._client, self._camera = client, camera
            return Mark.GOOD, f"ONVIF answers at {address}", ""
        raise failure

    def _tell_time(self) -> tuple[Mark, str, str]:
        try:
            clock = _there(self._camera).measure_clock()
        except (LoginNeededError, LoginRefusedError, ClockWrongError) as error:
            self._login_failure = error
            return Mark.DOUBTFUL, "it tells its time only after a login", ""
        note = clock_note(clock)
        if clock is None:
            return Mark.DOUBTFUL, note, _NO_CURE
        told = f"its clock is {abs(clock.estimate_ns) / 1e9:.3f} s {'fast' if clock.estimate_ns > 0 else 'slow'}"
        told += f", known to {(clock.high_ns - clock.low_ns) / 2e6:.0f} ms"
        return (
            (Mark.DOUBTFUL, f"clock wrong: {told}; logins are signed in its time", _NO_CURE)
            if note
            else (
                Mark.GOOD,
                told,
                "",
            )
        )

    def _log_in(self) -> tuple[Mark, str, str]:
        camera, client = _there(self._camera), _there(self._client)
        if self._login_failure is not None:
            raise self._login_failure
        device = camera.device()
        who = " ".join(filter(None, (device.maker, device.model))) or "it does not say who made it"
        who += f", firmware {device.firmware}" if device.firmware else ""
        if client.login_kind:
            return Mark.GOOD, f"logged in by {client.login_kind}: {who}", ""
        return Mark.GOOD, f"it did not ask for a login so far: {who}", ""

    def _list_services(self) -> tuple[Mark, str, str]:
        media = _there(self._camera).media()
        kind = "media2 (Profile T)" if media.namespace == MEDIA2 else "media 1 (Profile S), which cannot show H.265"
        return Mark.GOOD, kind, ""

    def _choose(self) -> tuple[Mark, str, str]:
        camera = _there(self._camera)
        profile = self._profile = camera.main_profile(self._wanted)
        warnings = encoding_warnings(profile.encoding)
        if camera.media().namespace != MEDIA2 and is_called_sub(profile):
            warnings += (_PERHAPS_HIDDEN,)
        said = f"`{profile.name or profile.token}` of {len(camera.profiles())}: {profile.encoding}"
        return (Mark.DOUBTFUL if warnings else Mark.GOOD), said, "; ".join(warnings)

    def _play(self) -> tuple[Mark, str, str]:
        profile, client = _there(self._profile), _there(self._client)
        url = _there(self._camera).stream_url(profile)
        found = self._found
        stream = CameraStream(
            found.camera, found.name, url, self._login, client.clock, pin=self._pin, encoding=profile.encoding
        )
        recorder = self._recorder = Recorder(
            self._sink, self._clock, RtspDialer(), RecorderSettings(tick_ms=100, commit_ms=500)
        )
        self._play_s = time.monotonic()
        recorder.add(stream)
        self._thread = threading.Thread(target=recorder.run, name="check", daemon=True)
        self._thread.start()
        health = self._await(lambda one: one.state is CameraState.RECORDING or bool(one.error), PLAY_S_MAX)
        if health is None or health.state is not CameraState.RECORDING:
            why = (health.error if health else "") or f"the stream did not begin within {PLAY_S_MAX:.0f} s"
            if health is not None and health.state is CameraState.LOGIN_REFUSED:
                raise LoginRefusedError(f"RTSP takes another login than ONVIF: {why}")
            raise UnavailableError(why, cure="" if "(" in why else "look for other programs that take its streams")
        return Mark.GOOD, "RTSP plays", ""

    def _await_key_picture(self) -> tuple[Mark, str, str]:
        keys, profile = self._sink.keys, _there(self._profile)
        health = self._await(lambda _: bool(keys), KEY_PICTURE_S_MAX)
        if not keys:
            why = health.error if health and health.error else "no key picture came"
            raise UnavailableError(
                f"{why} within {KEY_PICTURE_S_MAX:.0f} s", cure="`transom cameras tune CAMERA --key-interval 2`"
            )
        self._await(lambda _: len(keys) > 1, min(SECOND_KEY_S_MAX, profile.encoding.key_interval_s * 2 + 1))
        measured_s = (keys[1] - keys[0]) / SECOND_NS if len(keys) > 1 else None
        known = encoding_warnings(profile.encoding)  # said already
        warnings = [one for one in encoding_warnings(profile.encoding, measured_s) if one not in known]
        said = f"{self._sink.first_s - self._play_s:.1f} s after the stream was asked for"
        said += f", the next one {measured_s:.1f} s later" if measured_s else ""
        return (Mark.DOUBTFUL if warnings else Mark.GOOD), said, "; ".join(warnings)

    def _bound_time(self) -> tuple[Mark, str, str]:
        self._await(lambda one: one.time_source not in (None, ClockSource.ARRIVAL), REPORT_S_MAX)
        health = self._await(lambda one: one.time_error_ns is not None, REPORT_S_MAX)
        if health is None or health.time_error_ns is None or health.time_source is None:
            raise UnavailableError("its pictures have no time yet", cure="run the test again")
        said = f"picture times are right within {health.time_error_ns / 1e6:.0f} ms ({health.time_source.value})"
        if health.time_source is ClockSource.ARRIVAL:
            return Mark.DOUBTFUL, said, "the camera sends no RTCP sender reports; update its firmware"
        return Mark.GOOD, said, ""

    def _await(self, is_there: Callable[[CameraHealth], bool], seconds: float) -> CameraHealth | None:
        """Wait for a state of the recorder; return the last one, None if there is none."""
        until_s = time.monotonic() + seconds
        while True:
            health = next(iter(_there(self._recorder).health()), None)
            if (health is not None and is_there(health)) or time.monotonic() >= until_s:
                return health
            time.sleep(LOOK_EVERY_S)


class _KeyTimes:
    """A sink that keeps when the key pictures were taken, and nothing else."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.first_s = 0.0  # when the first one was there, by time.monotonic()

    def append(self, meta: ChunkMeta, _payload: Wire) -> None:
        """Take one chunk: a key picture begins one."""
        if meta.kind is not ChunkKind.STREAM and meta.is_key:
            self.first_s = self.first_s or time.monotonic()
            self.keys.append(meta.first_picture)

    def commit(self) -> None:
        """Do nothing: there is no disk behind this sink."""


def _there(told: _Told | None) -> _Told:
    if told is None:
        raise UnavailableError("an earlier step did not end")
    return told
