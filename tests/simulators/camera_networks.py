"""Camera networks of one's own: a hub with several interfaces, a switch behind each, cameras on the switches.

Every host is a network namespace; the hub's is the one of the thread that asks (`private_network`). Nothing here can
reach any other network.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

LINK_S_MAX: Final = 10.0


class CameraNetworks:
    """Interfaces `cam0`, `cam1`, ... of the hub: 10.77.N.1, fe80::77:N:1 and fd77:N::1; a switch behind each."""

    def __init__(self, count: int, stack: ExitStack) -> None:
        self._stack, self._hosts = stack, 0
        self._switch = self._new_host()
        for number in range(count):
            _in(self._switch, f"link add sw{number} type bridge mcast_snooping 0")
            _in(self._switch, f"link set sw{number} up")
            self._plug_in(number, f"cam{number}", None, 1)
        self.interfaces = tuple(f"cam{number}" for number in range(count))

    def add_host(self, network: int, number: int) -> tuple[str, list[str]]:
        """Put a host on a network; return its IPv4 address and the command that runs another one on it."""
        host = self._new_host()
        self._plug_in(network, "eth0", host, number)
        _in(host, "route add 224.0.0.0/4 dev eth0")
        return f"10.77.{network}.{number}", ["nsenter", "--target", str(host), "--net"]

    def pull_out(self, network: int, number: int) -> None:
        """Take a host's cable out of the switch."""
        _in(self._switch, f"link set p{network}-{number} down")

    def _new_host(self) -> int:
        before = Path("/proc/thread-self/ns/net").readlink()
        holder = self._stack.enter_context(_holding())
        deadline = time.monotonic() + LINK_S_MAX
        while Path(f"/proc/{holder}/ns/net").readlink() == before:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        return holder

    def _plug_in(self, network: int, name: str, host: int | None, number: int) -> None:
        port = f"p{network}-{number}"
        _in(host, f"link add {name} type veth peer name {port} netns {self._switch}")
        _in(self._switch, f"link set {port} master sw{network} up")
        _in(host, f"link set {name} addrgenmode none")
        _in(host, f"addr add 10.77.{network}.{number}/24 dev {name}")
        _in(host, f"link set {name} up")
        _in(host, f"addr add fe80::77:{network}:{number}/64 dev {name} nodad")
        _in(host, f"addr add fd77:{network}::{number}/64 dev {name} nodad")


@contextmanager
def camera_networks(count: int) -> Iterator[CameraNetworks]:
    """Make the networks for the time of a `with` block, in a thread with a network of its own."""
    with ExitStack() as stack:
        yield CameraNetworks(count, stack)


@contextmanager
def _holding() -> Iterator[int]:
    """Run a process that does nothing in a network of its own."""
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; exec sleep 600"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _in(host: int | None, words: str) -> None:
    enter = [] if host is None else ["nsenter", "--target", str(host), "--net"]
    subprocess.run([*enter, "ip", *words.split()], check=True)
