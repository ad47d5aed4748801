"""The whole path of health: a camera, the recorder, a ring on disk, and everything that shows how they do."""

from __future__ import annotations

import asyncio
import logging
import random
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.clock import WallTime, Window
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, running_camera
from agent.demo.h264_rtp import EncoderSettings
from agent.errors import UnavailableError
from agent.health.metrics import encode_metrics
from agent.health.self_test import FRESH_S, CameraTest, SelfTest
from agent.health.vitals import HubVitals, OutboxVitals, decode_vitals, encode_vitals
from agent.health.watch import HealthWatch, Outlet
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.simulators.eventually import eventually
from tests.simulators.exposition import read_exposition
from tests.simulators.framed_ring import flip, record_framed, slab_files
from tests.simulators.lossy_wire import LossyWire
from tests.simulators.recorder_bench import SettableClock
from tests.simulators.ring_content import CAMERA, StillClock, at
from tests.simulators.ring_log import EVERYTHING, KEK, SETTINGS, opened

PASSWORD: Final = "correct horse"  # noqa: S105 - a test's password
FPS: Final = 15
LOST_EVERY: Final = 20
ALL_TIME: Final = Window(WallTime(0), WallTime(2**62))
RATES_SETTLE_S: Final = 12.0  # from the first picture


# ------------------------------------------------------------------------------------------------ a real camera
@dataclass
class RecordedSite:
    """A virtual camera behind a wire that loses packets, recorded to a ring on disk."""

    wire: LossyWire
    recorder: Recorder
    ring: SlabLog
    folder: Path
    carried_bytes_per_s: float = 0.0

    @property
    def health(self) -> CameraHealth:
        """How the camera does."""
        (health,) = self.recorder.health()
        return health

    def tested(self, *, is_thorough: bool = True) -> CameraTest:
        """Read the camera's footage back, as if it were old enough."""
        clock = SettableClock()
        clock.step_ns = (FRESH_S - 3) * 10**9
        chance = random.Random(3)  # noqa: S311 - the same chunks every time
        return SelfTest(self.ring, clock, chance, lambda _: False).run(CAMERA, is_thorough=is_thorough)


@contextmanager
def site_of(folder: Path) -> Iterator[RecordedSite]:
    """Record a camera until the block ends."""
    login = Login("hub", Secret(PASSWORD.encode()))
    encoder = EncoderSettings(width=320, height=180, fps=FPS, gop=FPS, b_frames=0, bitrate_bps=600_000)
    settings = CameraSettings(login=login, interface="", encoder=encoder)
    clock = HostClock(unsafe_assume_synchronised=True)
    with ExitStack() as stack:
        _, ready = stack.enter_context(running_camera(settings))
        port = int(ready.rtsp.split(":")[2].partition("/")[0])
        wire = stack.enter_context(LossyWire(port, LOST_EVERY))
        ring = stack.enter_context(closing(SlabLog(folder, KEK, SETTINGS, clock)))
        recorder = Recorder(ring, clock, RtspDialer(), RecorderSettings(tick_ms=100, commit_ms=500))
        recorder.add(CameraStream(CAMERA, "Door", ready.rtsp.replace(str(port), str(wire.port)), login, None))
        thread = threading.Thread(target=recorder.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(recorder.stop)
        yield RecordedSite(wire, recorder, ring, folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedSite]:
    """Return a site whose rates have settled."""
    with site_of(tmp_path_factory.mktemp("ring")) as site:
        asyncio.run(eventually(lambda: site.recorder.health() and site.health.pictures))
        began, carried = time.monotonic(), site.wire.carried
        asyncio.run(eventually(lambda: time.monotonic() - began > RATES_SETTLE_S))
        site.carried_bytes_per_s = (site.wire.carried - carried) / (time.monotonic() - began)
        yield site


def test_rates_are_right(site: RecordedSite) -> None:
    """Within five percent of what went over the wire, and of what the camera films."""
    health = site.health
    assert health.state is CameraState.RECORDING
    assert health.bytes_per_s == pytest.approx(site.carried_bytes_per_s, rel=0.05)
    assert health.pictures_per_s == pytest.approx(FPS, rel=0.05)
    assert health.key_interval_s == pytest.approx(1.0, rel=0.05)
    assert health.time_source is not None
    assert health.time_error_ns
    assert health.bytes_received > 10 * health.bytes_per_s


def test_packets_that_were_left_out_are_counted(site: RecordedSite) -> None:
    """Each one that the wire has lost, and no other; the share is of the last minute."""
    before = site.wire.lost
    asyncio.run(eventually(lambda: site.health.packets_lost >= before))
    assert before <= site.health.packets_lost <= site.wire.lost
    assert before > 10
    assert site.health.loss_share == pytest.approx(site.wire.lost / (site.wire.lost + site.wire.packets), rel=0.15)


def test_what_was_recorded_can_be_served(site: RecordedSite) -> None:
    """Every chunk decrypts, is the one asked for, and holds whole frames."""
    test = site.tested()
    assert (test.can_serve, test.why) == (True, "")
    assert test.covered_s == test.asked_s > RATES_SETTLE_S - 4
    assert test.chunks_read == test.chunks + 1
    assert test.key_interval_s_max == pytest.approx(1.0, abs=0.1)


def test_a_ring_that_loses_a_slab_or_a_bit_is_found_out(site: RecordedSite) -> None:
    """With a real camera's footage: first a flipped bit, then the file is gone."""
    flip(site.folder, site.ring.footage(CAMERA, ALL_TIME).chunks[3])
    flipped = site.tested()
    assert (flipped.can_serve, flipped.chunks_bad) == (False, 1)
    assert "1 of " in flipped.why
    for slab in slab_files(site.folder):
        slab.unlink()
    gone = site.tested(is_thorough=False)
    assert (gone.can_serve, gone.chunks_read) == (False, 0)
    assert "slab file 0 cannot be read: No such file or directory" in gone.why


# ------------------------------------------------------------------------------------------------ the watch
DOOR_WELL: Final = CameraHealth(CAMERA, CameraState.RECORDING, last_byte=at(399))


@dataclass
class Watched:
    """A watch over a ring on disk, and what it shows."""

    watch: HealthWatch
    log: SlabLog
    ring: Path
    shown: Path
    changes: list[list[str]]

    def status(self) -> HubVitals:
        """Read what `transom status` reads."""
        text = (self.shown / "status.json").read_bytes()
        return decode_vitals(text, StillClock(at(400 + FRESH_S)).instant())

    def note_change(self) -> None:
        """Remember the warnings at each change."""
        vitals = self.watch.vitals
        self.changes.append([one.code for one in vitals.warnings] if vitals else [])


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Return a watch over 400 s of footage."""
    clock = StillClock(at(400 + FRESH_S))
    (tmp_path / "shown").mkdir()
    outlets = [
        Outlet(tmp_path / "shown" / "status.json", encode_vitals, 0.02),
        Outlet(tmp_path / "shown" / "hub.prom", encode_metrics, 0.02),
        Outlet(tmp_path / "nowhere" / "hub.prom", encode_metrics, 0.02),
    ]
    with closing(opened(tmp_path / "ring", clock=clock)) as log:
        record_framed(log, range(1, 400))
        watch = HealthWatch("hub-1", lambda: [DOOR_WELL], lambda: {CAMERA: "Door"}, SETTINGS, clock, outlets)
        yield Watched(watch, log, tmp_path / "ring", tmp_path / "shown", [])


def test_everything_is_shown_and_taken_away_at_the_end(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Status and metrics, for the agent's group; a file that cannot be written is said once and stops nothing."""
    caplog.set_level(logging.INFO)

    async def live() -> None:
        watched.watch.attach(watched.log)
        running = asyncio.create_task(watched.watch.run(watched.note_change))
        await eventually((watched.shown / "hub.prom").exists)
        status = watched.status()
        assert [(one.id, one.name, one.state) for one in status.cameras] == [(CAMERA, "Door", "recording")]
        assert status.ring is not None
        for name in ("status.json", "hub.prom"):
            assert stat.S_IMODE((watched.shown / name).stat().st_mode) == 0o640
        assert read_exposition((watched.shown / "hub.prom").read_bytes())["transom_camera_recording"].samples
        first = (watched.shown / "status.json").stat().st_mtime_ns
        await eventually(lambda: (watched.shown / "status.json").stat().st_mtime_ns > first)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(live())
    assert list(watched.shown.iterdir()) == []
    said = [record.getMessage() for record in caplog.records if "nowhere" in record.getMessage()]
    assert len(said) == 1


def test_a_failed_read_is_a_warning_at_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """By the self-test that finds it, in words in the log, and told once."""
    flip(watched.ring, watched.log.footage(CAMERA, EVERYTHING).chunks[-1])
    watched.watch._on_change = watched.note_change

    async def read_back_twice() -> None:
        watched.watch.attach(watched.log)
        watched.watch.look()
        await watched.watch.test_now()
        await watched.watch.test_now()

    asyncio.run(read_back_twice())
    assert watched.changes[0] == ["self_test_failed"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"camera {CAMERA}: its last hour cannot be served whole: 1 of ")


def test_the_answer_is_kept(watched: Watched) -> None:
    """Until the next self-test; each look has it."""

    async def read_back() -> None:
        watched.watch.attach(watched.log)
        await watched.watch.test_now()

    asyncio.run(read_back())
    test = watched.watch.look().cameras[0].self_test
    assert test is not None
    assert test.can_serve
    assert test.chunks_read == 1 + 1 + 2 + 1


def test_an_hour_in_which_recording_was_off_is_not_tested(watched: Watched) -> None:
    """The owner wanted it to have holes."""
    health = [replace(DOOR_WELL, state=CameraState.OFF)]
    watched.watch._health = lambda: health
    watched.watch._on_change = watched.note_change

    async def read_back() -> None:
        watched.watch.attach(watched.log)
        watched.watch.look()
        health[0] = DOOR_WELL
        await watched.watch.test_now()

    asyncio.run(read_back())
    assert watched.watch.look().cameras[0].self_test is None


def test_a_ring_that_closes_is_left_alone(watched: Watched) -> None:
    """In the middle of a self-test, which ends without an answer; without a ring there is none."""

    async def leave() -> None:
        await watched.watch.test_now()
        watched.watch.attach(watched.log)
        testing = asyncio.create_task(watched.watch.test_now())
        await asyncio.sleep(0)
        await watched.watch.detach()
        await testing

    asyncio.run(leave())
    vitals = watched.watch.look()
    assert (vitals.ring, vitals.cameras[0].self_test) == (None, None)


def test_a_bug_in_a_thread_is_not_swallowed(watched: Watched) -> None:
    """It ends the daemon, as bugs do."""

    def broken(_: HubVitals) -> bytes:
        raise KeyError("a bug")

    watch = HealthWatch("h", list, dict, SETTINGS, StillClock(), [Outlet(watched.shown / "x", broken, 1)])
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(watch.run(lambda: None))
    assert caught.group_contains(KeyError)


def test_an_outbox_whose_disk_fails_stops_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is known of it, which is said once; the hub records on, and its state is shown."""

    def away() -> OutboxVitals:
        raise UnavailableError("the outbox cannot be read (Input/output error)")

    watch = HealthWatch("h", list, dict, SETTINGS, StillClock())
    watch.watch_outbox(away)
    assert [watch.look().outbox, watch.look().outbox] == [None, None]
    assert len([record for record in caplog.records if "cannot be read" in record.getMessage()]) == 1


def test_nothing_secret_is_shown(site: RecordedSite) -> None:
    """Neither a password nor an address, by any way."""
    clock = HostClock(unsafe_assume_synchronised=True)
    names = {CAMERA: "Door"}
    watch = HealthWatch("hub-1", site.recorder.health, lambda: names, SETTINGS, clock)
    watch.attach(site.ring)
    vitals = watch.look()
    assert vitals.cameras[0].id == CameraId(CAMERA)
    for text in (encode_vitals(vitals), encode_metrics(vitals)):
        for secret in (PASSWORD.encode(), b"rtsp", b"127.0.0.1", b"://", KEK.reveal(), KEK.reveal().hex().encode()):
            assert secret not in text
