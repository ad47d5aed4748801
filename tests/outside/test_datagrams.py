"""Media by UDP, against real sockets: only the camera is heard, in the order it spoke."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.link import DATAGRAM_FRAME_BYTES_MAX
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.datagrams import DATAGRAMS_MAX, REORDER_MAX, Datagrams
from agent.outside.rtsp_sockets import RtspDialer

HOST = "127.0.0.1"


def packet(sequence: int, payload: bytes = b"x" * 20) -> bytes:
    """Make an RTP packet."""
    return struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, 0, 1) + payload


def frame(channel: int, octets: bytes) -> bytes:
    """Make the frame that a datagram must become."""
    return struct.pack(">BBH", 0x24, channel, len(octets)) + octets


class Far:
    """A camera's ports, and the hub's."""

    def __init__(self, stack: ExitStack, tracks: int = 2) -> None:
        self.near = RtspDialer().open_ports(HOST, tracks)
        stack.callback(self.near.close)
        self.sockets = [
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2 * tracks)
        ]
        for one in self.sockets:
            one.bind((HOST, 0))
            one.settimeout(2)
        self.targets = [(HOST, port) for pair in self.near.ports for port in pair]
        numbers = [int(one.getsockname()[1]) for one in self.sockets]
        self.ports = list(zip(numbers[::2], numbers[1::2], strict=True))

    def send(self, channel: int, octets: bytes) -> None:
        """Send one datagram; on loopback it is there when this returns."""
        self.sockets[channel].sendto(octets, self.targets[channel])

    def read(self, size: int = 1_000_000) -> bytes:
        """Read what is there."""
        room = memoryview(bytearray(size))
        return bytes(room[: self.near.receive_into(room)])


@pytest.fixture
def far() -> Iterator[Far]:
    """Open ports on both sides."""
    with ExitStack() as stack:
        yield Far(stack)


def test_ports_are_pairs_and_datagrams_become_frames(far: Far) -> None:
    """An even port and the odd one after it for each track; a channel for each port."""
    assert [(rtp % 2, rtcp - rtp) for rtp, rtcp in far.near.ports] == [(0, 1), (0, 1)]
    assert far.read() == b""
    report = struct.pack(">BBHI", 0x80, 200, 1, 1)
    for channel, octets in enumerate((packet(1), report, packet(9), report)):
        far.send(channel, octets)
    assert far.read() == b"".join(frame(n, o) for n, o in enumerate((packet(1), report, packet(9), report)))
    assert far.read() == b""


def test_nobody_else_is_heard(far: Far) -> None:
    """Neither another host, nor, once the camera has told its ports, another program on the same one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(packet(1), far.targets[0])
        far.send(0, packet(2))
        assert far.read() == frame(0, packet(2))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as neighbour:
        neighbour.bind((HOST, 0))
        neighbour.sendto(packet(3), far.targets[0])  # before: forgotten
        far.near.expect(far.ports)
        neighbour.sendto(packet(4), far.targets[0])
        far.send(0, packet(5))
        assert far.read() == frame(0, packet(5))


def test_the_way_back_is_opened_and_a_deaf_camera_is_no_failure(far: Far) -> None:
    """Each port says a word first, for firewalls; that the camera's port is closed does not matter."""
    far.near.expect(far.ports)
    assert [one.recvfrom(100) for one in far.sockets[:2]] == [
        (bytes.fromhex("800000000000000000000000"), far.targets[0]),
        (bytes.fromhex("80c9000100000000"), far.targets[1]),
    ]
    with ExitStack() as stack:
        deaf = Far(stack, 1)
        deaf.sockets[1].close()
        deaf.near.expect(deaf.ports)
        deaf.send(0, packet(7))
        assert deaf.read() == frame(0, packet(7))


def test_ports_of_a_refused_track_are_closed(far: Far) -> None:
    """What the camera does not send is not waited for; 0 leaves the port to any of the camera's."""
    far.near.expect([(0, 0)])
    assert len(far.near.ports) == 1
    far.send(0, packet(1))
    assert far.read() == frame(0, packet(1))


@settings(max_examples=60)
@given(first=st.integers(0, 0xFFFF), seed=st.integers(0, 10**6), lost=st.sets(st.integers(0, 99), max_size=20))
def test_packets_come_in_the_order_of_their_numbers(first: int, seed: int, lost: set[int]) -> None:
    """However the network shuffles and loses them within its reach, and wherever the numbers wrap."""
    numbers = [number for number in range(100) if number not in lost]
    shuffled = sorted(numbers, key=lambda n: n + random.Random(seed + n).uniform(0, REORDER_MAX / 4))  # noqa: S311 - a network
    with ExitStack() as stack:
        far = Far(stack, 1)
        for number in shuffled:
            far.send(0, packet(first + number, bytes([number]) * (20 + number)))
        expected = (frame(0, packet(first + number, bytes([number]) * (20 + number))) for number in numbers)
        assert far.read() == b"".join(expected)


def test_a_new_numbering_is_not_sorted_into_the_old_one(far: Far) -> None:
    """A camera that begins to count anew is passed on as it comes, and so is a packet that comes twice."""
    sequences = [40_000, 40_001, 40_001, 5, 6, 40_002]
    for sequence in sequences:
        far.send(0, packet(sequence))
    assert far.read() == b"".join(frame(0, packet(sequence)) for sequence in sequences)


@pytest.mark.parametrize("octets", [b"", b"\x80", b"\x00" * 100, b"RTSP/1.0 200 OK", packet(1)[:7]])
def test_what_is_no_rtp_is_dropped(far: Far, octets: bytes) -> None:
    """Empty, short and foreign datagrams end nothing, and neither does what comes after them."""
    for channel in range(4):
        far.send(channel, octets)
    far.send(0, packet(1))
    assert far.read() == frame(0, packet(1))


def test_the_longest_datagram_fits_and_rooms_are_never_overrun(far: Far) -> None:
    """What a room cannot hold stays in the kernel for the next call."""
    longest = packet(1, bytes(65_507 - 12))
    for number in range(3):
        far.send(0, packet(number) + longest[12:-20])
    rooms = [far.read(DATAGRAM_FRAME_BYTES_MAX) for _ in range(4)]
    assert [len(room) for room in rooms] == [4 + 65_507] * 3 + [0]
    assert far.read(DATAGRAM_FRAME_BYTES_MAX - 1) == b""


def test_one_call_has_an_end(far: Far) -> None:
    """A camera that floods one port is read so many datagrams at once, and its other ports are read too."""
    for number in range(DATAGRAMS_MAX + 10):
        far.send(0, packet(number, b""))
    far.send(2, packet(1))
    assert far.read() == b"".join(frame(0, packet(n, b"")) for n in range(DATAGRAMS_MAX)) + frame(2, packet(1))
    assert far.read() == b"".join(frame(0, packet(n, b"")) for n in range(DATAGRAMS_MAX, DATAGRAMS_MAX + 10))


def test_what_the_kernel_drops_is_counted(far: Far) -> None:
    """Whoever looks too seldom sees how much that cost."""
    assert far.near.drops() == 0
    far.near._sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for number in range(100):
        far.send(0, packet(number, bytes(1000)))
    count = far.read().count(b"\x24\x00\x03\xf4\x80")
    assert 0 < count < 100
    assert far.near.drops() == 100 - count


def test_ipv6_and_names() -> None:
    """IPv6 works the same; a name is refused, as everywhere."""
    with ExitStack() as stack:
        near = RtspDialer().open_ports("::1", 1)
        stack.callback(near.close)
        camera = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        camera.sendto(packet(1), ("::1", near.ports[0][0]))
        room = memoryview(bytearray(100_000))
        assert bytes(room[: near.receive_into(room)]) == frame(0, packet(1))
    with pytest.raises(ConfigurationError):
        RtspDialer().open_ports("camera.example", 1)
    with pytest.raises(UnavailableError, match="UDP ports"):
        Datagrams(socket.AF_INET, "255.255.255.255", 1)
