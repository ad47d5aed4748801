"""The line between the hub and everybody else, packet by packet: it loses, delays and cuts off what the bench says.

    python -m tests.bench.faults_link

Real TCP over two TUN devices (Linux Documentation/networking/tuntap.rst), one in each of two network namespaces; this
process carries the packets from one to the other as `tc netem` would, which not every kernel has. The far end is in the
namespace that the process is started in, the near end in one that it makes; both end with it. Each line of standard
input is a `Line`; each line of standard output says that it holds.

Rules of this file: packets are never changed or reordered, only lost, late or kept waiting.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from agent.demo.processes import Program
from agent.errors import UnavailableError
from tests.bench.own_namespaces import enter_network_of, enter_own_network, run_ip
from tests.simulators.private_network import in_network

NEAR, FAR = "10.77.0.2", "10.77.0.1"
READY_S_MAX: Final = 20.0
PACKET_BYTES_MAX: Final = 2048
QUEUE_S_MAX: Final = 0.5  # a router's buffer: what would wait longer is lost
PACKETS_AT_ONCE_MAX: Final = 64  # then it is the other direction's turn
_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001
_IS_DOWN: Final = frozenset({errno.EAGAIN, errno.EIO, errno.EBADFD, errno.EINVAL})  # what a device says then
_DEVICE: Final = "wan0"
_Result = TypeVar("_Result")


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the line is. The default is a shop's uplink on an ordinary day."""

    rate_bit_s: Annotated[int, msgspec.Meta(ge=1000)] = 2_000_000  # each way
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.01  # each way
    loss: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # share of the packets, each way
    is_plugged_in: bool = True  # False: the hub's own interface is down


class Direction:
    """What is on its way in one direction. Decides, and touches nothing; times are monotonic seconds."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def take(self, packet: bytes, line: Line, now: float) -> None:
        """Take a packet onto the line, or lose it."""
        start = max(now, self._free_at)
        if self._chance.random() < line.loss or start - now > QUEUE_S_MAX:
            return
        self._free_at = start + len(packet) * 8 / line.rate_bit_s
        arrives = self._free_at + line.delay_s
        if self._waiting:  # a line that became faster does not let anybody overtake
            arrives = max(arrives, self._waiting[-1][0])
        self._waiting.append((arrives, packet))

    def arrived(self, now: float) -> list[bytes]:
        """Return the packets that have reached the other end."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            found.append(self._waiting.popleft()[1])
        return found

    def due(self) -> float | None:
        """Return when the next packet arrives."""
        return self._waiting[0][0] if self._waiting else None


class Link(Program):
    """The process that is the line, and the way into the hub's network."""

    def __init__(self, log: Path, seed: int) -> None:
        super().__init__("tests.bench.faults_link", [str(seed)], log, with_stdout=True)
        self._read_line(READY_S_MAX)
        self._near = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def be(self, line: Line) -> None:
        """Let the line be so from now on."""
        self._write_line(msgspec.json.encode(line))
        self._read_line(READY_S_MAX)

    def near(self, work: Callable[[], _Result]) -> _Result:
        """Do something in the hub's network; what it starts stays there."""
        return in_network(lambda: enter_network_of(self._near), work)

    def stop(self) -> float:
        """Take the line down."""
        os.close(self._near)
        return super().stop()


def _open_device(own: str, other: str) -> int:
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN_NO_PI))
    except OSError as error:
        raise UnavailableError(f"no TUN device ({error.strerror})", cure="run as root, with /dev/net/tun") from error
    run_ip(f"address add {own} peer {other} dev {_DEVICE}")
    run_ip(f"link set {_DEVICE} up")
    return device


def _carry(near: int, far: int, seed: int) -> None:
    """Carry packets until standard input ends."""
    line, said = Line(), b""
    chance = random.Random(seed)  # noqa: S311 - the same luck every time, no secret
    ways = ((near, far, Direction(chance)), (far, near, Direction(chance)))
    while True:
        due = [at for *_, way in ways if (at := way.due()) is not None]
        wait_s = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([0, *((near, far) if line.is_plugged_in else (far,))], [], [], wait_s)
        if 0 in ready:
            piece = os.read(0, 4096)
            if not piece:
                return
            said += piece
            while b"\n" in said:
                words, said = said.split(b"\n", 1)
                line = _become(line, msgspec.json.decode(words, type=Line))
        for source, target, way in ways:
            if source in ready:
                for packet in _packets(source):
                    way.take(packet, line, time.monotonic())
            for packet in way.arrived(time.monotonic()):
                _deliver(target, packet)


def _become(old: Line, new: Line) -> Line:
    if new.is_plugged_in != old.is_plugged_in:
        run_ip(f"link set {_DEVICE} {'up' if new.is_plugged_in else 'down'}")
    print(flush=True)  # noqa: T201 - it holds
    return new


def _packets(device: int) -> list[bytes]:
    found: list[bytes] = []
    try:
        while len(found) < PACKETS_AT_ONCE_MAX:
            found.append(os.read(device, PACKET_BYTES_MAX))
    except OSError as error:
        if error.errno not in _IS_DOWN:
            raise
    return found


def _deliver(device: int, packet: bytes) -> None:
    try:
        os.write(device, packet)
    except OSError as error:
        if error.errno not in _IS_DOWN:
            raise


def _main(seed: int) -> None:
    far = _open_device(FAR, NEAR)
    enter_own_network()
    near = _open_device(NEAR, FAR)
    print(flush=True)  # noqa: T201 - ready
    _carry(near, far, seed)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
