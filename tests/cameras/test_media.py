"""A camera's media out of a real socket: all of it, in pieces, and never more than its share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.acquire.reader import Reader
from agent.cameras.connection import CameraConnection
from agent.cameras.figures import CameraFigures
from agent.cameras.media import READ_BYTES_MAX, READ_BYTES_MIN, READ_BYTES_PER_TICK, CameraMedia, Tick
from agent.clock import SECOND_NS, Instant, WallTime
from agent.outside.rtsp_sockets import RtspDialer
from tests.simulators.eventually import until
from tests.simulators.reader_talk import Talk
from tests.simulators.ring_content import StillClock
from tests.simulators.rtsp_camera import rtp_frame

NOW = Tick(Instant(0), WallTime(SECOND_NS), SECOND_NS)
FRAME = rtp_frame(0, 1, 0, b"\x65" + bytes(1000), marker=True)


@dataclass
class Source:
    """A camera that plays, and its media on this side of the socket."""

    media: CameraMedia
    reader: Reader
    figures: CameraFigures
    clock: StillClock
    far: socket.socket

    def read(self, took_s: float = 0.0) -> int:
        """Read one share, each piece of which takes so long; return the bytes."""
        before = self.figures.bytes_received
        for events in self.media.pieces(self.reader, NOW):
            list(events)
            self.clock.wall = WallTime(self.clock.wall + round(took_s * SECOND_NS))
        return self.figures.bytes_received - before


@contextmanager
def source() -> Iterator[Source]:
    """Connect to a camera that sends what the test says."""
    dialer, figures, clock, talk = RtspDialer(), CameraFigures(), StillClock(), Talk()
    talk.play()
    connection = CameraConnection(dialer, "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection.dial(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", NOW.instant)
        far, _ = server.accept()
    until(lambda: connection.is_open(NOW.instant))
    with far:
        yield Source(CameraMedia(connection, figures, clock), talk.reader, figures, clock, far)
        connection.leave([], NOW.instant)
        dialer.close_parted(Instant(60 * SECOND_NS))


@contextmanager
def flood(one: Source) -> Iterator[None]:
    """Let the camera send as fast as it can."""

    def send() -> None:
        try:
            while True:
                one.far.sendall(FRAME * 1000)
        except OSError:
            return  # it was shut down

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        one.far.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_all_that_came_is_read_counted_and_dated() -> None:
    """In however many pieces it came; where nothing is, nothing waits."""
    with source() as one:
        assert one.read() == 0
        one.far.sendall(FRAME * 20)
        until(lambda: one.read() or one.figures.bytes_received == 20 * len(FRAME))
        until(lambda: not one.read() and one.figures.bytes_received == 20 * len(FRAME))
        assert one.reader.counts.pictures == 20
        assert one.figures.last_byte == (one.clock.wall, NOW.instant)
        one.media.begin_tick()
        assert not one.media.is_brisk


def test_a_camera_has_its_share_of_bytes_and_then_waits_for_the_next_tick() -> None:
    """However fast it sends; that is noticed, so that it is looked at between the ticks."""
    with source() as one, flood(one):
        until(lambda: not one.read() and one.figures.bytes_received >= READ_BYTES_PER_TICK)
        assert one.figures.bytes_received < READ_BYTES_PER_TICK + READ_BYTES_MAX
        one.media.begin_tick()
        assert one.media.is_brisk
        until(one.read)


def test_a_camera_whose_bytes_take_long_is_read_in_ever_smaller_pieces() -> None:
    """One piece is read in any case, and after it the share of time is over."""
    with source() as one, flood(one):
        pieces = []
        while READ_BYTES_MIN not in pieces:
            pieces.append(one.read(took_s=2))
            one.media.begin_tick()
        most = READ_BYTES_MAX
        for piece in pieces:
            assert piece <= most
            most = max(READ_BYTES_MIN, most // 2) if piece == most else most  # else it was all that had come
        until(lambda: one.read(took_s=0.001) > READ_BYTES_MIN)
