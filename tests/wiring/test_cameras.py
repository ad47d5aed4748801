"""The daemon's cameras on loopback, with its own recorder: they move, are exchanged, and stay who they are."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import camera_id
from agent.acquire.stream import CameraId, decode_stream_header
from agent.buffer.chunk import ChunkKind
from agent.cameras.confirmation import TAKEN
from agent.cameras.watch import CameraWatch
from agent.cli.camera_finder import camera_at
from agent.clock import WallTime
from agent.config import Cameras, Config
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, VirtualCamera, running_camera
from agent.demo.h264_rtp import EncoderSettings
from agent.outside.added_cameras import FILE, AddedCameras
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from agent.outside.login_folder import LoginFolder
from agent.wiring.cameras import build_camera_watch, hearing
from tests.simulators.export_site import STATUS_TOPIC
from tests.simulators.recorder_bench import Bench, recording

SMALL: Final = EncoderSettings(width=160, height=120, fps=10, gop=5)
LOGIN: Final = Login("hub", Secret("correct horse"))
FRONT, BACK = "127.0.78.1", "127.0.78.2"
FOUND_AGAIN_S: Final = 30.0


class Site:
    """A hub's cameras: the watch in a loop of its own, beside the recorder."""

    def __init__(self, bench: Bench, watch: CameraWatch) -> None:
        self.bench, self.watch = bench, watch

    def wait(self, is_so: Callable[[], object], within_s: float = 20.0) -> float:
        """Wait until something holds; return how long that took."""
        began = time.monotonic()
        self.bench.sink.wait_until(is_so, within_s)
        return time.monotonic() - began

    def names(self, camera: CameraId) -> list[str]:
        """Return what the cameras that were recorded under one name call themselves, run by run."""
        headers = [decode_stream_header(payload) for _, payload in self.bench.sink.of(camera, ChunkKind.STREAM)]
        return [header.sdp.partition("\r\ns=")[2].splitlines()[0] for header in headers]

    def chunks(self, camera: CameraId) -> int:
        """Count what is recorded of a camera."""
        return len(self.bench.sink.of(camera))


@contextmanager
def hub(folder: Path, *, confirm_s: float = 3.0, **settings: object) -> Iterator[Site]:
    """Run the cameras' part of a daemon."""
    secret = folder / "password"
    secret.write_text("correct horse\n")
    cameras = {"interfaces": ("lo",), "search_s": 1.0, "login": {"user": "hub", "password_file": secret}, **settings}
    config = Config(folder, folder, folder, cameras=to_cameras(cameras))
    loop = asyncio.new_event_loop()
    stop, logins = threading.Event(), LoginFolder(folder / "logins", Secret(bytes(32)), LOGIN)
    with (
        closing(Database(folder / "journal.db", STATUS_TOPIC)) as journal,
        recording(confirm_s=confirm_s) as bench,
    ):
        watch = build_camera_watch(config, bench.clock, bench.recorder, journal, logins, stop)

        async def run() -> None:
            with hearing(config, watch):
                await watch.run(lambda: None)

        task = loop.create_task(run())
        thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True)))
        thread.start()
        try:
            yield Site(bench, watch)
        finally:
            stop.set()
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()


def to_cameras(settings: dict[str, object]) -> Cameras:
    """Make the settings."""
    return msgspec.convert(settings, Cameras, dec_hook=lambda kind, value: kind(value))


def camera(name: str, address: str, **settings: object) -> CameraSettings:
    """Describe a camera."""
    fixed = {"login": LOGIN, "name": name, "address": address, "encoder": SMALL, **settings}
    return CameraSettings(**fixed)  # type: ignore[arg-type] - its fields, as the tests name them


def name_of(settings: CameraSettings) -> CameraId:
    """Return what the hub calls a camera."""
    return camera_id(f"urn:uuid:{settings.uuid}")


def move(virtual: VirtualCamera, address: str) -> None:
    """Give a camera another address."""
    assert virtual.filming is not None
    asyncio.run_coroutine_threadsafe(virtual.move(address), virtual.filming.get_loop()).result(10)


@pytest.mark.parametrize("is_greeting", [True, False])
def test_a_camera_that_moves_is_found_again_within_30_s(tmp_path: Path, *, is_greeting: bool) -> None:
    """With a Hello and without: the same name, the same history, and nothing of anybody else in it."""
    settings = camera("Front door", FRONT, is_greeting=is_greeting)
    with running_camera(settings) as (virtual, _), hub(tmp_path) as site:
        door = name_of(settings)
        site.wait(lambda: site.chunks(door))
        move(virtual, BACK)
        runs = len(site.names(door))
        site.wait(lambda: len(site.names(door)) > runs, FOUND_AGAIN_S)
        assert BACK in site.watch.streams[door].url
        assert set(site.names(door)) == {"Front door"}


def test_a_camera_at_anothers_address_is_not_recorded_as_that_one(tmp_path: Path) -> None:
    """Two cameras exchange addresses, ports alike and without a word; each keeps its name and its footage."""
    front = camera("Front door", FRONT, is_greeting=False)
    with ExitStack() as stack:
        one, ready = stack.enter_context(running_camera(front))
        ports = {"http_port": urlsplit(ready.onvif).port, "rtsp_port": urlsplit(ready.rtsp).port}
        back = camera("Back yard", BACK, is_greeting=False, **ports)
        two, _ = stack.enter_context(running_camera(back))
        site = stack.enter_context(hub(tmp_path))
        door, yard = name_of(front), name_of(back)
        site.wait(lambda: site.chunks(door) and site.chunks(yard))
        move(one, "127.0.78.3")
        move(two, FRONT)
        move(one, BACK)
        runs = {each: len(site.names(each)) for each in (door, yard)}
        site.wait(lambda: all(len(site.names(each)) > runs[each] for each in runs), FOUND_AGAIN_S)
    assert (set(site.names(door)), set(site.names(yard))) == ({"Front door"}, {"Back yard"})


def test_a_camera_in_the_place_of_one_that_is_gone_is_a_camera_of_its_own(tmp_path: Path) -> None:
    """The one that is gone is waited for, in words; the other is recorded under its own name."""
    front = camera("Front door", FRONT, is_greeting=False)
    with hub(tmp_path) as site:
        door = name_of(front)
        with running_camera(front) as (_, ready):
            site.wait(lambda: site.chunks(door))
        ports = {"http_port": urlsplit(ready.onvif).port, "rtsp_port": urlsplit(ready.rtsp).port}
        back = camera("Back yard", FRONT, is_greeting=False, **ports)
        with running_camera(back):
            site.wait(lambda: site.chunks(name_of(back)), FOUND_AGAIN_S)
            site.wait(lambda: TAKEN in site.bench.health(door).error)
        assert set(site.names(door)) == {"Front door"}
        assert set(site.names(name_of(back))) == {"Back yard"}


def test_two_cameras_with_one_identity_are_recorded_apart(tmp_path: Path) -> None:
    """Cloned endpoint references, serial numbers of their own: two cameras, two histories, no trouble."""
    twin = str(uuid.uuid4())
    one = camera("Front door", FRONT, uuid=twin, serial="SN000001")
    two = camera("Back yard", BACK, uuid=twin, serial="SN000002")
    with running_camera(one), running_camera(two), hub(tmp_path) as site:
        site.wait(lambda: len([each for each in site.watch.streams if site.chunks(each)]) == 2)
        assert sorted(site.names(each)[0] for each in site.watch.streams) == ["Back yard", "Front door"]
        assert name_of(one) in site.watch.streams
        assert not site.watch.troubles


def test_two_cameras_that_cannot_be_told_apart_are_refused_in_words(tmp_path: Path) -> None:
    """One identity, one serial number: which is recorded is not a matter of who answers first next time."""
    twin = str(uuid.uuid4())
    one, two = (camera(name, host, uuid=twin) for name, host in (("Front door", FRONT), ("Back yard", BACK)))
    with running_camera(one), hub(tmp_path) as site:
        site.wait(lambda: site.chunks(name_of(one)))
        with running_camera(two):
            site.wait(lambda: any("two devices answer" in one.why for one in site.watch.troubles.values()))
            assert list(site.watch.streams) == [name_of(one)]
        assert set(site.names(name_of(one))) == {"Front door"}


def test_a_camera_that_is_added_and_configured_is_recorded_once_and_new_after_it_was_forgotten(tmp_path: Path) -> None:
    """By one name, however many searches there are; forgotten, it comes back as a camera that was never seen."""
    settings = camera("Front door", "127.0.78.6", interface="", serial="SN000006")
    with running_camera(settings) as (_, ready):
        added = AddedCameras(tmp_path / FILE)
        added.add(camera_at(ready.onvif, LOGIN, lambda: WallTime(time.time_ns())))
        with hub(tmp_path, addresses=(ready.onvif,), search_every_s=5.0) as site:
            site.wait(lambda: site.watch.streams and site.chunks(next(iter(site.watch.streams))))
            (door,) = site.watch.streams
            searches = site.watch.searches
            site.wait(lambda: site.watch.searches >= searches + 2)
            assert (list(site.watch.streams), site.names(door)) == ([door], ["Front door"])
            assert not [one for one in site.watch.troubles.values() if "127.0.78.6" in one.address]
            before = site.watch.streams[door]
            added.remove(door)
            assert IdentityFile(tmp_path / "cameras.json").forget_identity(door)
            site.wait(lambda: site.watch.streams.get(door, before) is not before)
            site.wait(lambda: len(site.names(door)) == 2)
            assert list(site.watch.streams) == [door]


def test_a_given_camera_that_no_multicast_reaches_is_recorded(tmp_path: Path) -> None:
    """By its address and by a range; it is kept under its endpoint reference or its serial number."""
    settings = camera("Front door", "127.0.78.5", interface="", serial="SN000005")
    with running_camera(settings) as (_, ready), hub(tmp_path, addresses=(ready.onvif,)) as site:
        site.wait(lambda: site.watch.streams and site.chunks(next(iter(site.watch.streams))))
        (door,) = site.watch.streams
        assert site.names(door) == ["Front door"]
        assert door not in site.watch.troubles
