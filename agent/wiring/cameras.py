"""The daemon's cameras: builds what searches, examines, recognises and hears them, for the camera watch."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from agent.acquire.camera import CameraStream
from agent.acquire.discovery import FoundCamera
from agent.acquire.encoding import Encoding
from agent.acquire.health import CameraState
from agent.acquire.identity import Known, Marks
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.cameras.clock_watch import ClockWatch
from agent.cameras.watch import CameraWatch, Questions
from agent.config import Config
from agent.errors import UnavailableError
from agent.outside.added_cameras import FILE, AddedCameras
from agent.outside.camera_marks import ask_marks, is_still
from agent.outside.camera_snapshot import fetch_snapshot
from agent.outside.database import Database
from agent.outside.hello_listener import HelloListener
from agent.outside.host import HostClock
from agent.outside.identity_file import IdentityFile
from agent.outside.knock import probe_one
from agent.outside.login_folder import LoginFolder
from agent.outside.onvif import REFUSALS, examine
from agent.outside.onvif_clock import measure_again
from agent.outside.site_search import SiteSearch
from agent.pictures.own_snapshots import OwnSnapshots
from agent.ports import Cutter
from agent.recorder import Recorder


def build_camera_watch(
    config: Config, clock: HostClock, recorder: Recorder, journal: Database, logins: LoginFolder, stop: threading.Event
) -> CameraWatch:
    """Build what finds this site's cameras and keeps them; `stop` ends a search that is under way."""
    added = AddedCameras(config.data_dir / FILE)

    site = SiteSearch(config.cameras.interfaces, config.cameras.search_s, config.cameras.given(), clock.now, stop)

    def settled() -> frozenset[str]:
        well = {one.camera for one in recorder.health() if one.state is CameraState.RECORDING}
        return frozenset(
            urlsplit(one.url).hostname or "" for one in tuple(watch.streams.values()) if one.camera in well
        )

    def search() -> Iterator[FoundCamera]:
        seen: list[FoundCamera] = []
        for found in site.search(settled):
            seen.append(found)
            yield found
        yield from added.beside(seen)[len(seen) :]

    def ask(found: FoundCamera) -> CameraStream:
        wanted = config.cameras.streams.get(found.camera, "")
        return examine(found, logins.login_of(found.camera), clock.now, wanted=wanted)

    def ask_who(found: FoundCamera, stream: CameraStream) -> Marks:
        return ask_marks(found.addresses[0], found.epr, stream.login, clock.now, stream.clock)

    def verify(known: Known, host: str, has_twin: bool) -> bool | None:  # noqa: FBT001 - `camera_confirmation.Verify`
        def answers(host: str) -> list[str]:
            return [one.epr for one in probe_one(host, stop)]

        return is_still(known, answers, host, logins.usable_login_of(known.camera), clock.now, has_twin=has_twin)

    watch = CameraWatch(
        Questions(search, ask, ask_who, verify),
        recorder,
        journal,
        IdentityFile(config.data_dir / "cameras.json"),
        logins.usable_login_of,
        config.cameras.search_every_s,
        has_sound=config.cameras.sound,
    )
    return watch


def own_snapshots(
    config: Config, clock: HostClock, watch: CameraWatch, cutter: Cutter, publish: Callable[[CameraId, bytes], object]
) -> OwnSnapshots:
    """Build what asks cameras for a picture of their own."""

    def fetch(camera: CameraId) -> tuple[bytes, Encoding | None]:
        stream, address = watch.reached.get(camera, (None, ""))
        if stream is None:
            raise UnavailableError("it was not found since the start")
        wanted = config.cameras.streams.get(camera, "")
        return fetch_snapshot(stream, address, clock.now, wanted=wanted), stream.encoding

    return OwnSnapshots(cutter, fetch, publish, clock)


def build_clock_watch(clock: HostClock, recorder: Recorder) -> ClockWatch:
    """Build what measures the cameras' clocks again and again."""

    def measure(address: str, stream: CameraStream) -> ClockOffset | None:
        return measure_again(address, stream.login, stream.clock, clock.now, REFUSALS)

    return ClockWatch(measure, recorder.health, clock)


@contextlib.contextmanager
def hearing(config: Config, watch: CameraWatch) -> Iterator[None]:
    """Let the watch know of devices that come and go."""
    loop = asyncio.get_running_loop()

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has stopped
            loop.call_soon_threadsafe(watch.heard)

    listener = HelloListener(config.cameras.interfaces, tell)
    listener.start()
    try:
        yield
    finally:
        listener.stop()
