"""systemd is told by datagram, if it is there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from firmware_bridge.notify import notify, watchdog_interval_s

ASK = "from firmware_bridge.notify import *; print(notify('READY=1', 'STATUS=x'), watchdog_interval_s())"


def ask(**environment: str) -> str:
    """Notify in a process with another environment."""
    run = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return run.stdout.strip()


def test_lines_arrive_at_a_path_and_at_an_abstract_address(tmp_path: Path) -> None:
    """Both kinds of address that systemd uses work."""
    for address, bound in (
        (str(tmp_path / "n"), str(tmp_path / "n")),
        (f"@transom-{os.getpid()}", f"\0transom-{os.getpid()}"),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(bound)
            systemd.settimeout(10)
            assert ask(NOTIFY_SOCKET=address, WATCHDOG_USEC="30000000") == "True 15.0"
            assert systemd.recv(100) == b"READY=1\nSTATUS=x"


def test_without_systemd_nothing_happens() -> None:
    """No address, a strange one, a dead one or another process's watchdog are no error."""
    assert (notify("READY=1"), watchdog_interval_s()) == (False, None)
    assert ask(NOTIFY_SOCKET="vsock:2", WATCHDOG_USEC="no") == "False None"
    assert ask(NOTIFY_SOCKET="/nonexistent", WATCHDOG_USEC="1000", WATCHDOG_PID="1") == "False None"
