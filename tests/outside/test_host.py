"""The machine under the hub: its clocks and its service manager, for real."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.clock import SIGNED_ERROR_NS_MAX, Clock, SignedTime, TimeSource
from agent.outside.host import (
    HostClock,
    boot_id,
    is_kernel_clock_synchronised,
    notify_service_manager,
    watchdog_interval_s,
)

ROOT = Path(__file__).parents[2]
_TELL = "from agent.outside.host import *; print(notify_service_manager('READY=1', 'STATUS=here'))"
_WATCH = "from agent.outside.host import *; print(watchdog_interval_s())"


def said_by_child(code: str, **environment: str) -> str:
    """Run a line of Python in a process that has this environment."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY", "WATCHDOG"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=own | environment, cwd=ROOT, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_the_clocks_are_the_machines() -> None:
    """UTC and the monotonic clock in nanoseconds, both going forward."""
    clock: Clock = HostClock()
    before, now, after = time.time_ns(), clock.now(), time.time_ns()
    assert before <= now <= after
    assert time.monotonic_ns() - clock.instant() < 10**9
    assert clock.instant() <= clock.instant()


def test_trust_in_the_clock_is_the_kernels_word() -> None:
    """The kernel's answer is asked for each time; assuming it takes a setting that says unsafe."""
    assert HostClock().is_trusted() is is_kernel_clock_synchronised()
    assert HostClock(unsafe_assume_synchronised=True).is_trusted()
    assert not HostClock(is_network_believed=False).is_trusted()


def test_signed_time_counts_until_its_bound_is_too_wide() -> None:
    """The clock goes by it on the time since boot, and trusts it while it is narrow; then it goes on, untrusted."""
    clock = HostClock(is_network_believed=False)
    since_boot = clock.since_boot()
    offset_ns = 10**18 - since_boot
    clock.believe(SignedTime(offset_ns - 10**6, offset_ns + 10**6, offset_ns, since_boot))
    assert clock.standing().source is TimeSource.SIGNED
    assert 10**6 <= clock.standing().error_ns < 10**9
    assert 10**18 <= clock.now() < 10**18 + 10**11
    wide_ns = SIGNED_ERROR_NS_MAX + 1
    clock.believe(SignedTime(offset_ns - wide_ns, offset_ns + wide_ns, offset_ns, since_boot))
    assert not clock.is_trusted()
    assert clock.now() >= 10**18


def test_a_synchronised_machine_goes_by_its_own_clock() -> None:
    """Whatever was signed, for good."""
    clock = HostClock()
    clock.believe(SignedTime(0, 0, 0, clock.since_boot()))
    if is_kernel_clock_synchronised():
        assert abs(clock.now() - time.time_ns()) < 10**10
        assert clock.signed() is None
    else:
        assert clock.now() < 10**18


def test_a_start_of_the_machine_has_a_name() -> None:
    """The same for every process."""
    assert len(boot_id()) == 36
    assert boot_id() == said_by_child("from agent.outside.host import *; print(boot_id())")
    assert said_by_child("from agent.outside.host import *; print(boot_id())", TRANSOM_BOOT="b" * 32) == "b" * 32


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_hears_us(tmp_path: Path, *, is_abstract: bool) -> None:
    """One datagram with all lines, to a socket in the file system or an abstract one."""
    name = f"@transom-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if is_abstract else name)
        manager.settimeout(10)
        assert said_by_child(_TELL, NOTIFY_SOCKET=name) == "True"
        assert manager.recv(100) == b"READY=1\nSTATUS=here"


def test_without_a_service_manager_nothing_happens() -> None:
    """A hub started by hand tells nobody."""
    assert said_by_child(_TELL) == "False"
    assert said_by_child(_WATCH) == "None"


def test_a_service_manager_that_has_gone_is_no_error(tmp_path: Path) -> None:
    """Nobody listens at the socket any more: that must not end the recording."""
    assert said_by_child(_TELL, NOTIFY_SOCKET=str(tmp_path / "gone")) == "False"


def test_the_watchdog_is_fed_twice_as_often_as_it_bites() -> None:
    """Half of WATCHDOG_USEC; a watchdog for another process is none, and neither is a broken number."""
    assert said_by_child(_WATCH, WATCHDOG_USEC="30000000") == "15.0"
    assert said_by_child(_WATCH, WATCHDOG_USEC="30000000", WATCHDOG_PID="1") == "None"
    assert said_by_child(_WATCH, WATCHDOG_USEC="soon") == "None"
    assert said_by_child(_WATCH, WATCHDOG_USEC="²") == "None"
    assert watchdog_interval_s() is None
    assert notify_service_manager("READY=1") is False
