"""The bridge as systemd runs it: ready when it answers, alive while it answers, gone when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from firmware_bridge.__main__ import main
from firmware_bridge.client import BridgeClient


def test_the_life_of_the_process(box: Path, tmp_path: Path) -> None:
    """READY=1 means that the socket answers; WATCHDOG=1 follows; SIGTERM ends it cleanly and takes the socket away."""
    path = tmp_path / "bridge.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(20)
        systemd.bind(str(tmp_path / "notify.sock"))
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify.sock"), "WATCHDOG_USEC": "100000"}
        command = [sys.executable, "-W", "error", "-m", "firmware_bridge", "--socket", path, "--tree", box]
        with subprocess.Popen(
            [*command, "--state", tmp_path, "--dbus", "unix:path=/nonexistent"],
            env=environment,
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
        ) as bridge:
            assert systemd.recv(100) == b"READY=1"
            BridgeClient(path).ping()
            assert systemd.recv(100) == b"WATCHDOG=1"
            bridge.send_signal(signal.SIGTERM)
            _, complaints = bridge.communicate(timeout=20)
    assert (bridge.returncode, complaints) == (0, b"")
    assert not path.exists()


def test_a_socket_that_cannot_be_made_is_a_matter_for_a_person(tmp_path: Path) -> None:
    """Exit code 2 and the path."""
    assert main(["--socket", str(tmp_path / "missing" / "bridge.sock"), "--tree", str(tmp_path)]) == 2
