"""Cameras that nobody of us wrote, on networks of their own behind two interfaces of the hub; needs root."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec

from agent.acquire.camera import Login
from agent.acquire.discovery import Announcement, FoundCamera, ReplyKind
from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind
from agent.clock import WallTime
from agent.config import CameraLogin, Cameras, Config
from agent.crypto import Secret
from agent.demo.camera import Ready
from agent.outside.database import Database
from agent.outside.discovery_sockets import discover, usable_interfaces
from agent.outside.hello_listener import HelloListener
from agent.outside.login_folder import LoginFolder
from agent.outside.onvif import examine
from agent.outside.soap_login import Refusals
from agent.wiring.cameras import build_camera_watch
from tests.simulators.camera_networks import camera_networks
from tests.simulators.eventually import PATIENCE_S, eventually, until
from tests.simulators.export_site import STATUS_TOPIC
from tests.simulators.foreign_cameras import gst_camera, ipycam
from tests.simulators.private_network import in_private_network
from tests.simulators.recorder_bench import recording
from tests.simulators.recording_hub import RecordingHub

ROOT: Final = Path(__file__).parents[2]
PASSWORD: Final = "correct horse"  # noqa: S105 - of simulated cameras
UUID: Final = "00000000-0000-0000-0000-000000006666"


def test_three_cameras_on_two_interfaces_are_found_and_recorded(tmp_path: Path) -> None:
    """Two ipycams behind one interface, one whose pictures come from GStreamer's server behind the other: 3 of 3."""
    for name in ("gate", "yard", "hall"):
        (tmp_path / name).mkdir()
    (tmp_path / "password").write_text(PASSWORD)

    def work() -> dict[str, tuple[str, int]]:
        with ExitStack() as stack:
            networks = stack.enter_context(camera_networks(2))
            assert set(usable_interfaces()) >= set(networks.interfaces)
            for name, network, number in (("gate", 0, 11), ("yard", 0, 12), ("hall", 1, 13)):
                address, enter = networks.add_host(network, number)
                if name == "hall":
                    at = f"{address}:8554/video_main"
                    log = tmp_path / "gst.log"
                    _, ticks = stack.enter_context(gst_camera("hub", PASSWORD, log, enter=enter, at=at))
                stack.enter_context(ipycam(tmp_path / name, PASSWORD, name=name, address=address, enter=enter))
            cameras = Cameras(
                login=CameraLogin("hub", tmp_path / "password"), interfaces=networks.interfaces, search_s=2.0
            )
            config = Config(tmp_path, tmp_path, tmp_path, cameras=cameras)
            stop = threading.Event()
            logins = LoginFolder(tmp_path / "logins", Secret(bytes(32)), Login("hub", Secret(PASSWORD)))
            journal = stack.enter_context(closing(Database(tmp_path / "journal.db", STATUS_TOPIC)))
            bench = stack.enter_context(recording(confirm_s=3.0))
            stack.callback(stop.set)
            watch = build_camera_watch(config, bench.clock, bench.recorder, journal, logins, stop)

            def recorded() -> dict[CameraId, int]:
                return {name: len(bench.sink.of(name, ChunkKind.MEDIA)) for name in tuple(watch.streams)}

            async def run() -> None:
                task = asyncio.create_task(watch.run(lambda: None))
                await eventually(lambda: sum(count > 3 for count in recorded().values()) == 3, 60)
                task.cancel()

            try:
                asyncio.run(run())
            except TimeoutError:
                logs = {log.name: log.read_text()[-600:] for log in tmp_path.rglob("*.log")}
                raise AssertionError(f"{watch.troubles} {bench.recorder.health()} {logs}") from None
            assert ticks  # the hall's pictures are GStreamer's
            return {one.name: (one.url, recorded()[one.camera]) for one in watch.streams.values()}

    found = in_private_network(work)
    assert {name: url for name, (url, _) in found.items()} == {
        "gate": "rtsp://10.77.0.11:8554/video_main",
        "yard": "rtsp://10.77.0.12:8554/video_main",
        "hall": "rtsp://10.77.1.13:8554/video_main",
    }


def test_a_device_on_ipv6_is_heard_and_found() -> None:
    """By ff02::c on the one interface behind which it is, by index; its address names that interface."""

    def work() -> tuple[list[FoundCamera], list[Announcement]]:
        heard: list[Announcement] = []
        with ExitStack() as stack:
            networks = stack.enter_context(camera_networks(2))
            listener = HelloListener(networks.interfaces, heard.append)
            listener.start()
            stack.callback(listener.stop)
            assert listener.wait_listening(PATIENCE_S)
            _, enter = networks.add_host(1, 20)
            command = [*enter, sys.executable, "-m", "tests.simulators.device_on_ipv6", "eth0", UUID]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
            )
            assert process.stdin
            assert process.stdout
            stack.callback(process.kill)
            assert process.stdout.readline() == b"ready\n"
            found = discover(networks.interfaces, 1.5)
            until(lambda: heard)
        return found, heard

    found, heard = in_private_network(work)
    assert [(one.epr, one.sender) for one in found] == [(f"urn:uuid:{UUID}", "fe80::77:1:20%cam1")]
    assert [(one.kind, one.sender) for one in heard] == [(ReplyKind.HELLO, "fe80::77:1:20%cam1")]


def test_a_camera_on_ipv6_alone_is_found_examined_and_recorded(tmp_path: Path) -> None:
    """The virtual camera by ff02::c behind the second interface: its Hello, its answer, its stream, its goodbye."""
    door = CameraId("door")

    def work() -> tuple[Ready, list[FoundCamera], str, list[ReplyKind], float]:
        heard: list[Announcement] = []
        with ExitStack() as stack:
            networks = stack.enter_context(camera_networks(2))
            listener = HelloListener(networks.interfaces, heard.append)
            listener.start()
            stack.callback(listener.stop)
            assert listener.wait_listening(PATIENCE_S)
            _, enter = networks.add_host(1, 21)
            command = [*enter, sys.executable, "-m", "agent.demo.camera", "--user", "hub", "--password-stdin"]
            command += ["--address", "fd77:1::21", "--interface", "eth0", "--width", "320", "--height", "180"]
            log = stack.enter_context((tmp_path / "camera.log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
            )
            stack.callback(process.kill)
            assert process.stdin
            assert process.stdout
            process.stdin.write(PASSWORD.encode() + b"\n")
            process.stdin.flush()
            ready = msgspec.json.decode(process.stdout.readline(), type=Ready)
            found = [one for one in discover(networks.interfaces, 1.5) if one.epr == ready.epr]
            login = Login("hub", Secret(PASSWORD))
            stream = examine(found[0], login, lambda: WallTime(time.time_ns()), refusals=Refusals())
            with RecordingHub(tmp_path / "ring") as hub:
                hub.record(door, stream.url, login=login, clock=stream.clock)
                hub.wait_recorded(door, 1)
                recorded_s = hub.recorded_s(door)
            process.stdin.close()
            process.wait(10)
            until(lambda: len([one for one in heard if one.epr == ready.epr]) >= 2)
        return ready, found, stream.url, [one.kind for one in heard if one.epr == ready.epr], recorded_s

    ready, found, url, kinds, recorded_s = in_private_network(work)
    assert [(one.sender, one.addresses) for one in found] == [("fd77:1::21", (ready.onvif,))]
    assert ready.onvif.startswith("http://[fd77:1::21]:")
    assert url == ready.rtsp
    assert kinds == [ReplyKind.HELLO, ReplyKind.BYE]
    assert recorded_s >= 1
