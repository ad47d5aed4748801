"""Connections that never block, against real sockets."""

from __future__ import annotations

import socket

import pytest

from agent.clock import Instant
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.rtsp_sockets import PARTING_MS, SEND_QUEUE_BYTES_MAX, RtspDialer, RtspLink
from tests.simulators.eventually import until


def connected() -> tuple[RtspLink, socket.socket]:
    """Connect a link with a server's socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = RtspDialer().dial("127.0.0.1", server.getsockname()[1])
        far, _ = server.accept()
    until(link.is_open)
    return link, far


def test_bytes_go_both_ways_and_nothing_waits() -> None:
    """Reading where nothing is gives 0 at once; the camera's end is an UnavailableError."""
    link, far = connected()
    room = memoryview(bytearray(100))
    assert link.receive_into(room) == 0
    link.send(b"hello")
    assert far.recv(100) == b"hello"
    far.sendall(b"answer")
    until(lambda: link.receive_into(room) == 6)
    far.close()
    with pytest.raises(UnavailableError, match="closed"):
        until(lambda: link.receive_into(room))
    link.close()


def test_refused_connection_is_unavailable() -> None:
    """A port where nobody listens is noticed without waiting for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    link = RtspDialer().dial("127.0.0.1", port)
    with pytest.raises(UnavailableError, match="refused"):
        until(link.is_open)
    link.close()


@pytest.mark.parametrize("host", ["camera.example", "", "127.1", "1.2.3.4.5"])
def test_names_are_refused(host: str) -> None:
    """Looking a name up could block all cameras: addresses must be IP addresses."""
    with pytest.raises(ConfigurationError):
        RtspDialer().dial(host, 554)


def test_send_queue_is_bounded() -> None:
    """A camera that does not read is given up instead of filling the memory."""
    link, far = connected()

    def send_for_ever() -> None:
        for _ in range(10_000):
            link.send(bytes(SEND_QUEUE_BYTES_MAX // 2))

    with pytest.raises(UnavailableError, match="does not read"):
        send_for_ever()
    link.close()
    far.close()


def test_parting_lets_the_camera_read_the_goodbye() -> None:
    """Unread media does not reset the connection before the goodbye is read; half a second is the limit."""
    dialer = RtspDialer()
    link, far = connected()
    far.sendall(bytes(100_000))
    link.send(b"TEARDOWN")
    dialer.part_from(link, Instant(0))
    assert dialer.close_parted(Instant(1))
    assert far.recv(100) == b"TEARDOWN"
    far.close()
    until(lambda: not dialer.close_parted(Instant(2)))
    link, far = connected()
    dialer.part_from(link, Instant(0))
    assert not dialer.close_parted(Instant(PARTING_MS * 1_000_000))
    far.close()
