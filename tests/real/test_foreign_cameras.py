"""Cameras that nobody of us wrote, recorded and cut by the code that the daemon runs."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId, decode_stream_header
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.buffer.ring import Footage, RingSettings
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, Window
from agent.crypto import Secret
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.plan import CutPlan, PartSettings, plan_next
from agent.demo.alarm import raise_alarm
from agent.demo.prove import read_frames
from agent.demo.site import Site
from agent.errors import TransomError
from agent.evidence.statement import Manifest
from agent.opener import open_clip
from agent.outside.cutter import ChildCutter
from agent.outside.discovery_sockets import search
from agent.outside.host import HostClock
from agent.outside.onvif import examine, identify
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from provisioning.claim import make_claim
from tests.simulators.eventually import until
from tests.simulators.foreign_cameras import FPS, IPYCAM_NAME, gst_camera, ipycam, tool
from tests.simulators.grants import grant_for
from tests.simulators.private_network import in_private_network

RING = RingSettings(slab_bytes=8 * 1024**2, bytes_max=64 * 1024**2)
FOOTAGE_NS = 5 * SECOND_NS
CLOCK = HostClock(unsafe_assume_synchronised=True)


class Hub:
    """The daemon's recorder and ring, with what a test asks of them."""

    def __init__(self, folder: Path) -> None:
        self.ring = SlabLog(folder, Secret(bytes(32)), RING, CLOCK)
        self.recorder = Recorder(self.ring, CLOCK, RtspDialer(), RecorderSettings())

    def footage(self, camera: CameraId) -> Footage:
        """Return everything recorded of a camera."""
        return self.ring.footage(camera, Window(WallTime(0), WallTime(2**62)))

    def recorded_ns(self, camera: CameraId) -> int:
        """Return how much there is, from its first to its newest picture."""
        chunks = self.footage(camera).chunks
        return chunks[-1].meta.last_picture - chunks[0].meta.first_picture if chunks else 0

    def wait_recorded(self, camera: CameraId) -> Footage:
        """Wait for enough footage that is mapped by sender reports; no error and no reconnection is tolerated."""
        until(lambda: self.recorded_ns(camera) >= FOOTAGE_NS, 30, self.recorder.health)
        health = next(one for one in self.recorder.health() if one.camera == camera)
        assert (health.state, health.error, health.reconnects) == (CameraState.RECORDING, "", 0)
        assert (health.reports_ignored, health.chunks_lost) == (0, 0)
        return self.footage(camera)

    def cut(self, camera: CameraId, window: Window) -> tuple[bytes, ClipReport]:
        """Plan, read and cut as the daemon does, without the sealing."""
        grant, footage = grant_for(camera, window), self.ring.footage(camera, window)
        now = WallTime(window.end + 60 * SECOND_NS)
        plan = plan_next(
            grant=grant,
            camera=camera,
            next_part=0,
            delivered_until=window.start,
            footage=footage,
            now=now,
            settings=PartSettings(edge_ns=window.end - window.start),  # all of it in one part
        )
        assert isinstance(plan, CutPlan)
        assert plan.window == window
        order = CutOrder(window, tuple(decode_stream_header(self.ring.read(header)) for header in plan.headers))
        chunks = (
            WireChunk(chunk.meta.run, chunk.meta.sequence, chunk.meta.anchor, self.ring.read(chunk))
            for chunk in plan.chunks
        )
        pieces: list[bytes] = []
        report = ChildCutter().cut(order, chunks, pieces.append)
        return b"".join(pieces), report


@contextmanager
def recording(stream: CameraStream, folder: Path) -> Iterator[Hub]:
    """Record one camera."""
    hub = Hub(folder)
    hub.recorder.add(stream)
    thread = threading.Thread(target=hub.recorder.run)
    thread.start()
    try:
        yield hub
    finally:
        hub.recorder.stop()
        thread.join()
        hub.ring.close()


def count_by_ffmpeg(mp4: Path) -> int:
    """Decode a file with the system's ffmpeg, which must have nothing to complain about; return ffprobe's count."""
    decoded = subprocess.run(
        [
            tool("ffmpeg", "ffmpeg"),
            "-v",
            "warning",
            "-xerror",
            "-i",
            mp4,
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (decoded.returncode, decoded.stderr.decode()) == (0, "")
    probe = [tool("ffprobe", "ffmpeg"), "-v", "error", "-count_frames", "-show_streams", "-of", "json", mp4]
    told = json.loads(subprocess.run(probe, capture_output=True, check=True, timeout=60).stdout)
    (video,) = told["streams"]
    assert video["codec_name"] == "h264"
    return int(video["nb_read_frames"])


def between_pictures(ticks: list[int], near: int) -> WallTime:
    """Return the middle of the widest gap between pictures around a time: far from where milliseconds decide."""
    times = [tick * 100_000 // 9 for tick in ticks]
    around = [pair for pair in pairwise(times) if abs(pair[0] - near) < SECOND_NS // 2]
    before, after = max(around, key=lambda pair: pair[1] - pair[0])
    return WallTime((before + after) // 2)


def test_gst_rtsp_server_is_recorded_and_cut_to_the_picture(tmp_path: Path) -> None:
    """A digest login, 5 s in the ring, and a cut that has exactly the pictures that were taken in the window."""
    door = CameraId("door")
    agreed = ClockOffset(-1_000_000, 1_000_000)  # one machine, one clock; this server has no ONVIF to say so itself
    login = Login("viewer", Secret("correct horse"))
    with gst_camera("viewer", "correct horse", tmp_path / "gst.log") as (url, ticks):
        stream = CameraStream(door, "Front door", url, login, agreed)
        with recording(stream, tmp_path / "ring") as hub:
            footage = hub.wait_recorded(door)
            first = footage.chunks[0].meta.first_picture
            window = Window(between_pictures(ticks, first + SECOND_NS), between_pictures(ticks, first + 4 * SECOND_NS))
            clip, report = hub.cut(door, window)
    assert {chunk.meta.anchor.source for chunk in footage.chunks} == {ClockSource.SR_ONVIF}
    mp4 = tmp_path / "clip.mp4"
    mp4.write_bytes(clip)
    expected = [tick for tick in ticks if window.start <= tick * 100_000 // 9 < window.end]
    assert [frame.ticks for frame in read_frames(mp4)] == expected
    assert len(expected) > FPS
    assert (report.pictures, report.refused, report.gaps) == (len(expected), 0, ())
    assert report.copied > 0
    assert count_by_ffmpeg(mp4) == len(expected)


def test_gst_rtsp_server_refuses_a_wrong_password_once(tmp_path: Path) -> None:
    """The digest of a wrong password is refused as such, told to the person, and not tried again soon."""
    door, login = CameraId("door"), Login("viewer", Secret("battery staple"))
    with gst_camera("viewer", "correct horse", tmp_path / "gst.log") as (url, _):
        stream = CameraStream(door, "Front door", url, login, None)
        with recording(stream, tmp_path / "ring") as hub:
            until(lambda: any(one.state is CameraState.LOGIN_REFUSED for one in hub.recorder.health()))
            (health,) = hub.recorder.health()
    assert "password" in health.error
    assert "battery" not in health.error


def find_ipycam() -> FoundCamera:
    """Search on loopback until the camera has answered."""
    for _ in range(10):
        for found in search(["lo"], 1.5):
            return found
    pytest.fail("ipycam was not found: see its log")


def test_ipycam_is_found_examined_recorded_and_cut(tmp_path: Path) -> None:
    """WS-Discovery, WS-Security, profiles, its own RTSP server, the ring and a clip that ffmpeg likes."""

    def chain() -> tuple[FoundCamera, CameraStream, Footage, Window, bytes, ClipReport]:
        login = Login("hub", Secret("correct horse"))
        with ipycam(tmp_path, "correct horse"):
            found = find_ipycam()
            stream = examine(found, login, CLOCK.now)
            card = identify(found, login, CLOCK.now)
            assert (card.device.maker, card.device.model, card.note) == ("PythonCam", "VirtualCam-1", "")
            with pytest.raises(TransomError, match="password"):
                examine(found, Login("hub", Secret("battery staple")), CLOCK.now)
            with recording(stream, tmp_path / "ring") as hub:
                footage = hub.wait_recorded(found.camera)
                first = footage.chunks[0].meta.first_picture
                window = Window(WallTime(first + SECOND_NS), WallTime(first + 4 * SECOND_NS))
                clip, report = hub.cut(found.camera, window)
        return found, stream, footage, window, clip, report

    found, stream, footage, window, clip, report = in_private_network(chain)
    assert (found.name, found.addresses) == (IPYCAM_NAME, ("http://127.0.0.1:8080/onvif/device_service",))
    assert stream.url == "rtsp://127.0.0.1:8554/video_main"
    assert stream.clock is not None
    assert abs(stream.clock.estimate_ns) < SECOND_NS
    assert footage.headers
    mp4 = tmp_path / "clip.mp4"
    mp4.write_bytes(clip)
    assert count_by_ffmpeg(mp4) == report.pictures
    assert 2 * FPS <= report.pictures <= 3 * FPS + 3  # it paces itself by sleeping, and it may have to share
    assert (report.refused, report.gaps, report.width, report.height) == (0, (), 640, 360)
    assert report.first_picture is not None
    assert report.first_picture in window


class InstalledCamera:
    """Stands on the demo's site in place of a virtual camera."""

    ready = SimpleNamespace(name=IPYCAM_NAME)


def test_the_whole_daemon_runs_on_ipycam(tmp_path: Path) -> None:
    """A blank hub reads the installer's code through ipycam, enrols, is paired, records, and delivers a sealed clip."""

    def run() -> tuple[list[Path], float, Manifest]:
        with Site(tmp_path / "site") as site:
            site.start_central()
            site.cameras.append(InstalledCamera())
            claim = make_claim(site.central.make_claim(site.factory.hub_id), site.factory.label_secret)
            with ipycam(tmp_path, site._password, code=claim):
                site.start_hub()
                site.console.wait_presence(lambda hub: hub.state == "online", 30, "the hub to enrol through ipycam")
                site.wait_cameras()
                (camera,) = site.pair().cameras
                # The ring begins with the next key picture after the pairing: ask for what lies behind that.
                alarm = raise_alarm(site, before_s=-3, after_s=7)
                _, end = site.console.wait_end(alarm.id, 30)
                assert (end.status, camera.name) == (JobState.SUCCEEDED, IPYCAM_NAME)
                known = site.folder / "officer" / "known_hubs"
                known.write_text(f"{site.central.enrolments.evidence_keys[site.factory.hub_id]}\n")
                sealed = site.central.store.folder / f"{alarm.id}.{camera.id}"
                opened = open_clip(sealed, site.folder / "officer" / "key.txt", tmp_path / "opened.mp4")
                return [Path(file) for file in opened.files], site.hub.stop(), opened.manifest

    files, stop_s, manifest = in_private_network(run)
    pictures = sum(count_by_ffmpeg(file) for file in files)
    assert pictures == sum(part.copied + part.reencoded for part in manifest.parts)
    assert 2 * FPS <= pictures <= 4 * FPS + 4  # it paces itself by sleeping, and it may have to share
    assert stop_s < 2
