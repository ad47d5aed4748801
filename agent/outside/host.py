"""The machine the hub runs on: its clocks, its service manager, its free space."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from pathlib import Path
from typing import Final

from agent.clock import Instant, WallTime

_SYNCHRONISED_MARK: Final = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR: Final = 5  # adjtimex(2): "the system clock is not synchronized to a reliable server"
_TIMEX_BYTES: Final = 512  # struct timex is 208 bytes on 64-bit Linux


def is_kernel_clock_synchronised() -> bool:
    """Ask systemd-timesyncd's mark, else the kernel (chrony and ntpd set its state); no answer is a no."""
    if _SYNCHRONISED_MARK.exists():
        return True
    state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state != _TIME_ERROR


class HostClock:
    """The hub's real clocks. `is_trusted` is asked for each command, so it reflects the state of now."""

    def __init__(self, *, unsafe_assume_synchronised: bool = False) -> None:
        self._assume = unsafe_assume_synchronised

    def now(self) -> WallTime:
        """Return the hub's UTC time."""
        return WallTime(time.time_ns())

    def instant(self) -> Instant:
        """Return the monotonic time."""
        return Instant(time.monotonic_ns())

    def is_trusted(self) -> bool:
        """Say whether UTC is known to be synchronised."""
        return self._assume or is_kernel_clock_synchronised()


def notify_service_manager(*lines: str) -> bool:
    """Send `sd_notify(3)` lines such as `READY=1`; False if nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto("\n".join(lines).encode(), "\0" + address[1:] if address[0] == "@" else address)
    except OSError:
        return False  # it has gone: no reason to stop recording
    return True


def watchdog_interval_s() -> float | None:
    """Half the time the service manager waits for a sign of life, or None if it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdecimal() else None
