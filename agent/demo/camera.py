"""A virtual camera: one scene, two encoded streams over RTSP, ONVIF over HTTP, and WS-Discovery; all in one event loop.

    python -m agent.demo.camera --name "Front door" --user hub --password-stdin

The password is the first line of stdin. One JSON line on stdout says that the camera is ready and where; afterwards
each line of stdin is an order: `{"show_qr": "TEXT", "seconds": 8}`, `{"motion": true}` (what its events tell),
`{"move_to": "127.0.0.9"}` or `{"quit": true}`. It ends with stdin, SIGTERM or SIGINT.

Rules of this file: pictures keep their cadence without gaps; a late camera makes up for every picture it owes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from agent.acquire.discovery import bracketed
from agent.clock import WallTime
from agent.demo.camera_answers import DEVICE_PATH, Identity, Profile
from agent.demo.camera_cadence import TICKS_HZ, Cadence, CameraClock, start_cadence
from agent.demo.camera_discovery import DiscoveryResponder
from agent.demo.camera_events import EventService
from agent.demo.camera_log import LoggedPicture, open_log
from agent.demo.camera_login import DigestGate
from agent.demo.camera_media2 import MEDIA2_PATH
from agent.demo.camera_onvif import OnvifServer
from agent.demo.camera_rtsp import RtspServer, VideoStream
from agent.demo.camera_settings import CameraSettings, read_settings
from agent.demo.camera_soap import TokenGate
from agent.demo.clip_units import marks_of
from agent.demo.h264_rtp import EncoderSettings
from agent.demo.scene import CodeMatrix, Planes, Scene, code_matrix, jpeg, shrink
from agent.demo.video_encoder import Encoder, make_encoder, make_sets
from agent.errors import BadInputError, TransomError, UnavailableError

__all__ = ["CameraSettings", "Ready", "VirtualCamera", "running_camera"]
LINE_BYTES_MAX: Final = 16 * 1024
_MAIN, _SUB = "main", "sub"
_CLIP_CODECS: Final = {"H264": "h264", "H265": "hevc"}  # as libav names them


class Ready(msgspec.Struct, frozen=True, tag_field="event", tag="ready"):
    """Where a camera is and when it takes its pictures: what the command line prints when it is ready."""

    name: str
    onvif: str
    rtsp: str
    rtsp_sub: str
    epr: str
    base_ticks: int
    period_ticks: int
    clock_offset_ms: int
    clock_drift_ppm: int = 0
    clock_set_at: int = 0  # hub time, ns, at which the offset was right; 0 if it is right for ever

    @property
    def cadence(self) -> Cadence:
        """The ticks of all its pictures, for `prove.judge`."""
        set_at = WallTime(self.clock_set_at)
        return Cadence(self.base_ticks, self.period_ticks, self.clock_offset_ms, self.clock_drift_ppm, set_at)


class VirtualCamera:
    """One camera; `start` and `stop` belong to one event loop, `show_code` may be called from any thread."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._clock = CameraClock(settings.clock_offset_ms, settings.clock_drift_ppm)
        self._scene = Scene(settings.name, settings.encoder.width, settings.encoder.height)
        self._shown: tuple[CodeMatrix, int] | None = None  # the code on the phone, until which tick
        self._latest: Planes | None = None
        small = _sub_settings(settings.encoder)
        quirks = settings.quirks
        self._main = VideoStream(_MAIN, settings.name, settings.encoder, make_sets(settings.encoder), quirks)
        self._sub = VideoStream(_SUB, settings.name, small, make_sets(small), quirks)
        self._main_encoder = make_encoder(settings.encoder)
        self._sub_encoder: Encoder | None = None
        digest, viewing = (
            DigestGate(login, "Transom camera", settings.digest_algorithms, settings.nonce_s)
            for login in (settings.login, quirks.rtsp_login or settings.login)
        )
        self._onvif = OnvifServer(self._clock, digest, TokenGate(settings.login, self._clock), self._snapshot, quirks)
        self.lockout = self._onvif.lockout
        viewing.heard = self.lockout.judged
        self._rtsp = RtspServer([self._main, self._sub], viewing, self._clock, settings.session_s, quirks)
        self._keys_asked: set[str] = set()  # profiles whose next picture shall be a key picture
        self._onvif.on_synchronization_point = self._keys_asked.add
        self.events = EventService(self._clock, settings.events)
        self._onvif.events = self.events
        self._discovery: DiscoveryResponder | None = None
        self._log = open_log(settings.log, settings.name, settings.clock_offset_ms) if settings.log else None
        self.filming: asyncio.Task[None] | None = None  # ends only if it fails

    async def start(self) -> Ready:
        """Open the sockets, start filming. Raises ConfigurationError or UnavailableError."""
        settings = self._settings
        self.events.start()
        cadence = start_cadence(self._clock, settings.encoder.fps)
        http, rtsp = await self._open()
        self.filming = asyncio.create_task(self._film(cadence))
        return Ready(
            name=settings.name,
            onvif=http + DEVICE_PATH,
            rtsp=f"{rtsp}/{_MAIN}",
            rtsp_sub=f"{rtsp}/{_SUB}",
            epr=f"urn:uuid:{settings.uuid}",
            base_ticks=cadence.base_ticks,
            period_ticks=cadence.period_ticks,
            clock_offset_ms=settings.clock_offset_ms,
            clock_drift_ppm=cadence.drift_ppm,
            clock_set_at=cadence.set_at,
        )

    async def move(self, address: str) -> None:
        """Leave every connection and come back at another address, on the same ports, filming all the while."""
        identity = self._onvif.identity
        await self._close()
        ports = [urlsplit(url).port or 0 for url in (identity.http, identity.rtsp)] if identity else [0, 0]
        self._settings = dataclasses.replace(self._settings, address=address, http_port=ports[0], rtsp_port=ports[1])
        await self._open()

    async def _open(self) -> tuple[str, str]:
        settings = self._settings
        try:
            host = bracketed(settings.address)
            http = f"http://{host}:{await self._onvif.start(settings.address, settings.http_port)}"
            rtsp = f"rtsp://{host}:{await self._rtsp.start(settings.address, settings.rtsp_port)}"
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {settings.address}: {error}", cure="choose another port"
            ) from error
        profiles = (Profile(_MAIN, self._main.settings), Profile(_SUB, self._sub.settings))
        told = settings.quirks.told_host
        identity = Identity(
            settings.name,
            settings.uuid,
            http.replace(host, told, 1) if told else http,
            rtsp.replace(host, told, 1) if told else rtsp,
            profiles,
            MEDIA2_PATH if settings.has_media2 else "",
            settings.events.has_events,
            settings.serial,
        )
        self._onvif.identity = identity
        if settings.interface:
            self._discovery = DiscoveryResponder(
                identity,
                settings.interface,
                settings.address,
                is_greeting=settings.is_greeting,
                quirks=settings.quirks,
            )
            self._discovery.start()
        return http, rtsp

    async def _close(self) -> None:
        if self._discovery is not None:
            self._discovery.stop()
        await self._rtsp.stop()
        await self._onvif.stop()

    async def stop(self) -> None:
        """Say goodbye and close everything; may be called after a failed start too."""
        if self.filming is not None:
            self.filming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.filming
        await self._close()
        if self._log is not None:
            self._log.close()

    def show_code(self, text: str, seconds: float) -> None:
        """Hold a phone with the QR code of `text` before the camera. Raises BadInputError if it is too long."""
        self._shown = (code_matrix(text), self._clock.now_ticks() + round(seconds * TICKS_HZ))

    async def _film(self, cadence: Cadence) -> None:
        number = 0
        while True:
            ticks = cadence.tick(number)
            await asyncio.sleep(0)  # while catching up, too, the sockets get their turn
            while (early := ticks - self._clock.now_ticks()) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
                await asyncio.sleep(early / TICKS_HZ)
            self._take_picture(ticks)
            number += 1

    def _take_picture(self, ticks: int) -> None:
        shown = self._shown
        code = shown[0] if shown and ticks < shown[1] else None
        self._latest = self._scene.picture(ticks, code)
        for unit in self._main_encoder.encode(self._latest, ticks, is_key=self._is_key_asked(_MAIN)):
            if self._log is not None:
                marks = marks_of(_CLIP_CODECS[self._main.settings.codec], unit.nal_units)
                self._log.note(LoggedPicture(unit.ticks, unit.is_key, marks))
            self._main.publish(unit)
        if not self._sub.viewers:
            self._sub_encoder = None
            return
        self._sub_encoder = self._sub_encoder or make_encoder(self._sub.settings)
        for unit in self._sub_encoder.encode(shrink(self._latest, ticks), ticks, is_key=self._is_key_asked(_SUB)):
            self._sub.publish(unit)

    def _is_key_asked(self, profile: str) -> bool:
        is_asked = profile in self._keys_asked
        self._keys_asked.discard(profile)
        return is_asked

    def _snapshot(self) -> bytes:
        latest = self._latest if self._latest is not None else self._scene.picture(self._clock.now_ticks())
        return jpeg(latest)


@contextlib.contextmanager
def running_camera(settings: CameraSettings) -> Iterator[tuple[VirtualCamera, Ready]]:
    """Run a camera in a thread of its own for the time of a `with` block."""
    camera = VirtualCamera(settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=f"camera {settings.name}")
    thread.start()
    try:
        yield camera, asyncio.run_coroutine_threadsafe(camera.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(camera.stop(), loop).result()
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_tasks() -> None:
    """Let go of whoever connected in the very moment of the end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line on stdin."""

    show_qr: str = ""
    move_to: str = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 8
    motion: bool | None = None  # whether something moves from now on
    quit: bool = False


def _sub_settings(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(
        settings,
        width=settings.width // 2,
        height=settings.height // 2,
        bitrate_bps=settings.bitrate_bps // 4,
        codec="H264",  # as cameras have it: what every phone can show
    )


async def _run(settings: CameraSettings, orders: io.RawIOBase) -> None:
    loop = asyncio.get_running_loop()
    is_over = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, is_over.set)
    camera = VirtualCamera(settings)
    try:
        _say(await camera.start())
        threading.Thread(target=_read_orders, args=(orders, loop, camera, is_over), daemon=True).start()
        waits = {asyncio.ensure_future(is_over.wait()), *([camera.filming] if camera.filming else [])}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await camera.stop()


def _read_orders(
    orders: io.RawIOBase, loop: asyncio.AbstractEventLoop, camera: VirtualCamera, is_over: asyncio.Event
) -> None:
    """Obey stdin until it ends; runs in a thread, since stdin may be a file, a terminal or a pipe."""
    while line := orders.readline(LINE_BYTES_MAX):
        try:
            order = msgspec.json.decode(line, type=Order)
            if order.quit:
                break
            if order.move_to:
                asyncio.run_coroutine_threadsafe(camera.move(order.move_to), loop).result()
            if order.motion is not None:
                camera.events.motion(is_so=order.motion)
            if order.show_qr or (order.motion is None and not order.move_to):
                camera.show_code(order.show_qr, order.seconds)
        except (msgspec.MsgspecError, UnicodeDecodeError, BadInputError, UnavailableError) as error:
            _say({"event": "error", "what": f"not an order: {error}"})
    with contextlib.suppress(RuntimeError):  # the loop is closed: a signal was faster
        loop.call_soon_threadsafe(is_over.set)


def _say(event: Ready | dict[str, str]) -> None:
    print(msgspec.json.encode(event).decode(), flush=True)


def main() -> int:
    """Run one camera until it is told to stop; returns the exit code."""
    orders = io.FileIO(os.dup(sys.stdin.fileno()), "r")  # unbuffered: no lock that a thread could hold at exit
    try:
        asyncio.run(_run(read_settings(sys.argv[1:], orders.readline(LINE_BYTES_MAX)), orders))
    except TransomError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
