"""The machine the hub runs on: its clocks, its service manager, its free space."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from pathlib import Path
from typing import Final

from agent.clock import (
    SECOND_NS,
    SIGNED_ERROR_NS_MAX,
    ClockStanding,
    Instant,
    SignedTime,
    TimeSource,
    WallTime,
)

_SYNCHRONISED_MARK: Final = Path("/run/systemd/timesync/synchronized")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR: Final = 5  # adjtimex(2): "the system clock is not synchronized to a reliable server"
_LIBC: Final = ctypes.CDLL(None)  # opened once: the clock is asked every tick
_TIMEX_BYTES: Final = 512  # struct timex is 208 bytes on 64-bit Linux


def is_kernel_clock_synchronised() -> bool:
    """Ask systemd-timesyncd's mark, else the kernel (chrony and ntpd set its state); no answer is a no."""
    if os.access(_SYNCHRONISED_MARK, os.F_OK):
        return True
    state: int = _LIBC.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state != _TIME_ERROR


def boot_id() -> str:
    """Name this start of the machine, by systemd's word or the kernel's; another name each time if neither tells.

    Under its unit the agent sees nothing of `/proc/sys`.
    """
    try:
        return os.environ.get("TRANSOM_BOOT") or _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return os.urandom(16).hex()


class HostClock:
    """The hub's clocks: the machine's own, or where nobody disciplines that, signed time on the monotonic clock.

    The machine's clock is never set from here. Whoever reads this clock sees a step when signed time begins to count,
    and another when the machine's own is synchronised at last, and taken again. May be read from any thread.
    """

    def __init__(self, *, unsafe_assume_synchronised: bool = False, is_network_believed: bool = True) -> None:
        self._assume, self._is_network_believed = unsafe_assume_synchronised, is_network_believed
        self._signed: SignedTime | None = None
        self._next_look = Instant(0)

    def now(self) -> WallTime:
        """Return the hub's UTC time."""
        if self._signed is not None and (since_boot := self.since_boot()) >= self._next_look:
            self._next_look = Instant(since_boot + SECOND_NS)
            if self._is_synchronised():
                self._signed = None  # for good: should that end, the machine's clock is still the better one
        signed = self._signed
        return WallTime(time.time_ns()) if signed is None else signed.now(self.since_boot())

    def instant(self) -> Instant:
        """Return the monotonic time."""
        return Instant(time.monotonic_ns())

    def since_boot(self) -> Instant:
        """Return the monotonic time that goes on while the machine is suspended."""
        return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def is_trusted(self) -> bool:
        """Say whether somebody vouches for the time; asked for each command, so it is the state of now."""
        return self.standing().source is not TimeSource.NONE

    def standing(self) -> ClockStanding:
        """Say who does, and how well."""
        if self._assume:
            return ClockStanding(TimeSource.ASSUMED)
        if self._is_synchronised():
            return ClockStanding(TimeSource.NETWORK)
        signed = self._signed
        error_ns = 0 if signed is None else signed.error_ns(self.since_boot())
        if signed is None or error_ns > SIGNED_ERROR_NS_MAX:
            return ClockStanding(TimeSource.NONE)
        return ClockStanding(TimeSource.SIGNED, error_ns)

    def signed(self) -> SignedTime | None:
        """Return the signed time that this clock goes by."""
        return self._signed

    def believe(self, signed: SignedTime | None) -> None:
        """Go by signed time, unless the machine's clock is synchronised; without it, by that in any case."""
        self._signed = signed

    def _is_synchronised(self) -> bool:
        return self._is_network_believed and is_kernel_clock_synchronised()


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
