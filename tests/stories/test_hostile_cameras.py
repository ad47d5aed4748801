"""Cameras that stall, flood, drip, babble, lie and hang up, beside two that do not: nobody loses a byte by them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.buffer.ring import RingSettings
from agent.cameras.media import READ_BYTES_PER_TICK
from agent.clock import SECOND_NS, WallTime, Window
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.simulators.hostile_cameras import KINDS, CameraProcess
from tests.simulators.ring_log import KEK, MIB
from tests.simulators.timed_camera import PICTURES_PER_S, read_pictures

RECORD_S: Final = 16.0
HEALTHY: Final = ("1", "2")
RING: Final = RingSettings(bytes_max=2048 * MIB, free_bytes_min=0)
SETTINGS: Final = RecorderSettings()
LATE_S_MAX: Final = 0.25
"""How late a round of the recorder may come, all cameras' doings included. A camera's buffers hold seconds."""
UNREAD_S_MAX: Final = 1.0
"""What may lie unread in a socket when the recorder is told to stop: it looks some times a second."""


@dataclass(frozen=True)
class Outcome:
    """What a quarter of a minute with all of them brought."""

    health: dict[str, CameraHealth]
    recorded: dict[str, bytes]
    sent: dict[str, dict[str, int]]
    said: dict[str, frozenset[str]]  # what was said about each while it was recorded
    away_s: float  # the longest the recorder's loop stayed away


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Record two good cameras and every kind of bad one at once."""
    folder = tmp_path_factory.mktemp("hostile")
    with CameraProcess(*HEALTHY) as good, CameraProcess(*KINDS) as bad:
        health, said, away_s = _record(folder / "ring", good.ports | bad.ports)
        sent = good.end() | bad.end()
    with closing(SlabLog(folder / "ring", KEK, RING, HostClock())) as ring:
        yield Outcome(health, {name: _footage(ring, name) for name in HEALTHY}, sent, said, away_s)


def _record(directory: Path, ports: dict[str, int]) -> tuple[dict[str, CameraHealth], dict[str, frozenset[str]], float]:
    with closing(SlabLog(directory, KEK, RING, HostClock())) as ring:
        recorder = Recorder(ring, HostClock(), RtspDialer(), SETTINGS)
        for name, port in ports.items():
            recorder.add(CameraStream(CameraId(name), "", f"rtsp://127.0.0.1:{port}/stream", None, None))
        thread = threading.Thread(target=recorder.run)
        thread.start()
        seen: set[CameraHealth] = set()
        longest_ns, end = 0, time.monotonic() + RECORD_S
        while time.monotonic() < end:
            longest_ns = max(longest_ns, time.monotonic_ns() - recorder.last_tick)
            seen.update(recorder.health())
            thread.join(0.005)
        recorder.stop()
        thread.join()
    health = {one.camera: max((o for o in seen if o.camera == one.camera), key=_age) for one in seen}
    said = {name: frozenset(one.error for one in seen if one.camera == name) - {""} for name in ports}
    return dict(health), said, longest_ns / SECOND_NS


def _age(health: CameraHealth) -> tuple[int, int]:
    return health.bytes_received, health.reconnects


def _footage(ring: SlabLog, name: str) -> bytes:
    chunks = ring.footage(CameraId(name), Window(WallTime(1), WallTime(1 << 62))).chunks
    return b"".join(map(ring.read, chunks))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_good_camera_loses_no_byte(outcome: Outcome, name: str) -> None:
    """What is in the ring, from its first picture to its last, is to the byte what the camera sent, in one session."""
    pictures = read_pictures(int(name), outcome.recorded[name])
    assert pictures is not None
    assert pictures.is_exact
    assert pictures.oldest == 0
    assert pictures.newest >= outcome.sent[name]["pictures"] - UNREAD_S_MAX * PICTURES_PER_S
    assert pictures.newest > (RECORD_S - 2) * PICTURES_PER_S
    assert outcome.sent[name]["sessions"] == 1
    assert outcome.health[name].state is CameraState.RECORDING
    assert (outcome.health[name].reconnects, outcome.health[name].chunks_lost) == (0, 0)


def test_no_camera_holds_the_loop_that_all_share(outcome: Outcome) -> None:
    """The recorder comes round in time, whatever any of them does."""
    assert outcome.away_s < SETTINGS.tick_ms / 1000 + LATE_S_MAX


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stalling", "no video for 10 s"),
        ("dripping", "no video for 10 s"),
        ("babbling", "neither a frame nor an RTSP message follows"),
        ("lying", "neither a frame nor an RTSP message follows"),
        ("reopening", "the camera closed the connection"),
        ("slow", "the camera did not answer OPTIONS within 10 s"),
    ],
)
def test_what_is_wrong_is_said(outcome: Outcome, name: str, words: str) -> None:
    """Each bad camera has words for a person, and is tried again, a little later each time."""
    assert any(words in said for said in outcome.said[name]), outcome.said[name]
    assert 1 <= outcome.health[name].reconnects <= 6


def test_a_flood_is_recorded_up_to_a_camera_s_share(outcome: Outcome) -> None:
    """It is in the ring as far as its share of the recorder's time goes, without a reconnect; the rest waits for it."""
    flood = outcome.health["flooding"]
    assert (flood.state, flood.reconnects, flood.chunks_lost) == (CameraState.RECORDING, 0, 0)
    limit = READ_BYTES_PER_TICK * 1000 / SETTINGS.tick_ms
    assert limit / 10 < flood.bytes_received / RECORD_S <= limit * 1.1
