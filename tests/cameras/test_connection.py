"""The way to one camera: what is dialed, what is compared, and what is left behind."""

from __future__ import annotations

import socket

import pytest

from agent.cameras.connection import DIAL_S_MAX, CameraConnection, CertificateRefusedError
from agent.cameras.link import DATAGRAM_FRAME_BYTES_MAX
from agent.clock import SECOND_NS, Instant
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.rtsp_sockets import PARTING_MS, RtspDialer

NOW = Instant(0)


def served(connection: CameraConnection) -> socket.socket:
    """Let a server take the connection; return its side of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection.dial(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", NOW)
        far, _ = server.accept()
    while not connection.is_open(NOW):
        pass
    return far


@pytest.mark.parametrize(
    "url", ["rtsp://camera.example/", "rtsp:///", "rtsp://127.0.0.1:x/", "rtsp://127.0.0.1:99999/", "rtsp://[::1/", ""]
)
def test_what_cannot_be_dialed_is_a_persons_to_mend(url: str) -> None:
    """Names, missing hosts and broken ports are told as such; nothing is left open."""
    connection = CameraConnection(RtspDialer(), "")
    with pytest.raises(ConfigurationError):
        connection.dial(url, NOW)
    assert not connection.has_begun


def test_a_pin_is_asked_for_before_anything_is_dialed() -> None:
    """A camera that had TLS is not even connected to without."""
    connection = CameraConnection(RtspDialer(), "ab" * 32)
    with pytest.raises(CertificateRefusedError, match="without"):
        connection.dial("rtsp://127.0.0.1:1/", NOW)
    assert not connection.has_begun


def test_a_camera_that_takes_no_connection_is_given_up_in_time() -> None:
    """Ten seconds for the connection, and for the handshake of TLS in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        dialer = RtspDialer()
        connection = CameraConnection(dialer, "")
        connection.dial(f"rtsps://127.0.0.1:{server.getsockname()[1]}/", NOW)
        assert not connection.is_open(Instant(DIAL_S_MAX * SECOND_NS - 1))
        with pytest.raises(UnavailableError, match="did not answer within 10 s"):
            connection.is_open(Instant(DIAL_S_MAX * SECOND_NS))
        connection.leave([], NOW)
        assert not dialer.close_parted(Instant(PARTING_MS * 1_000_000))


def test_goodbye_is_read_and_ports_are_closed_at_once() -> None:
    """The connection goes to the dialer, the UDP ports are free again, and what they lost is not forgotten."""
    dialer = RtspDialer(datagram_buffer_bytes=4096)
    connection = CameraConnection(dialer, "")
    far = served(connection)
    assert (connection.has_ports, connection.is_hasty, connection.read_bytes_min) == (False, False, 1)
    ((rtp, rtcp),) = connection.open_ports(1)
    assert (connection.is_hasty, connection.read_bytes_min) == (True, DATAGRAM_FRAME_BYTES_MAX)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(50):
            sender.sendto(b"\x80" + bytes(1000), ("127.0.0.1", rtp))
    dropped = connection.dropped()
    assert 0 < dropped < 50
    connection.leave([b"TEARDOWN"], NOW)
    assert (connection.has_begun, connection.has_ports, connection.dropped()) == (False, False, dropped)
    assert far.recv(100) == b"TEARDOWN"
    for port in (rtp, rtcp):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))
    far.close()
    assert not dialer.close_parted(Instant(PARTING_MS * 1_000_000))


def test_messages_beside_udp_are_read_apart() -> None:
    """What comes over the RTSP connection is no media then; its end is told."""
    connection = CameraConnection(RtspDialer(), "")
    far = served(connection)
    connection.open_ports(2)
    connection.expect([(0, 0)])
    far.sendall(b"RTSP/1.0 200 OK\r\n\r\n")
    far.close()
    assert connection.receive_into(memoryview(bytearray(100_000))) == 0
    assert connection.receive_control() == b"RTSP/1.0 200 OK\r\n\r\n"
    with pytest.raises(UnavailableError, match="closed"):
        connection.receive_control()
    with pytest.raises(UnavailableError):
        connection.leave([b"x" * 100_000], NOW)


def test_a_camera_that_tells_other_ports_than_it_sends_from_is_heard_the_second_time() -> None:
    """A session that heard nothing is followed by one that takes any port of the camera, and that is kept."""
    dialer = RtspDialer()
    connection, room = CameraConnection(dialer, ""), memoryview(bytearray(DATAGRAM_FRAME_BYTES_MAX))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as told,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as true,
    ):
        told.bind(("127.0.0.1", 0))
        heard = []
        for _ in range(4):
            far = served(connection)
            ((rtp, _rtcp),) = connection.open_ports(1)
            connection.expect([(told.getsockname()[1], 0)])
            true.sendto(b"\x80" + bytes(20), ("127.0.0.1", rtp))
            heard.append(connection.receive_into(room))
            connection.leave([], NOW)
            far.close()
            assert not dialer.close_parted(Instant(PARTING_MS * 1_000_000))
    assert heard == [0, 25, 25, 25]
