"""The demo's programs start, say so, and never outlive it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent.demo.processes import BridgeProgram, CameraProgram, Program
from agent.errors import UnavailableError
from agent.outside.bridge import seconds_since_press

SOON_S = 10


def is_there(pid: int) -> bool:
    """Say whether a process exists."""
    return Path(f"/proc/{pid}").exists()


def test_a_program_is_asked_to_end_and_is_gone(tmp_path: Path) -> None:
    """What it says goes to its log; `stop` tells how long the end took."""
    program = Program("http.server", ["0", "--bind", "127.0.0.1"], tmp_path / "web.log")
    assert program.is_running
    assert 0 <= program.stop() < 5
    assert not program.is_running
    assert not is_there(program.pid)


def test_a_program_can_be_killed_as_by_a_power_cut(tmp_path: Path) -> None:
    """It does not get to say goodbye."""
    program = Program("http.server", ["0", "--bind", "127.0.0.1"], tmp_path / "web.log")
    program.kill()
    assert not is_there(program.pid)
    assert program.stop() < 1  # nothing to end any more


def test_a_camera_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The error has the end of its log and where the log lies."""
    log = tmp_path / "camera-door.log"
    camera = CameraProgram("Door", "hub", "pw", log, "--fps", "7")
    try:
        with pytest.raises(UnavailableError, match=r"(?s)no exact period.*camera-door\.log"):
            camera.wait_ready()
    finally:
        camera.stop()


def test_a_camera_says_where_it_is_and_takes_orders(tmp_path: Path) -> None:
    """Its password is in no argument list that other users could read."""
    camera = CameraProgram("Door", "hub", "correct horse", tmp_path / "camera.log")
    try:
        ready = camera.wait_ready()
        assert ready.name == "Door"
        assert "127.0.0.1" in ready.rtsp
        assert b"correct horse" not in Path(f"/proc/{camera.pid}/cmdline").read_bytes()
        camera.show_code("HELLO", 1)
        assert camera.is_running
    finally:
        camera.stop()
    assert not is_there(camera.pid)


def test_the_bridge_tells_of_a_pressed_button(tmp_path: Path) -> None:
    """Before the press there is none, after it the time since."""
    bridge = BridgeProgram(tmp_path, tmp_path / "bridge.log")
    try:
        deadline = time.monotonic() + SOON_S
        while not bridge.socket.exists():
            assert time.monotonic() < deadline, bridge.log.read_text()
            os.sched_yield()
        assert seconds_since_press(bridge.socket) is None
        bridge.press_button()
        while (since_s := seconds_since_press(bridge.socket)) is None:
            assert time.monotonic() < deadline, bridge.log.read_text()
        assert 0 <= since_s < SOON_S
    finally:
        bridge.stop()
