"""One camera's media out of its connection into its session, piece by piece, as far as its share of a round goes.

Rules of this file: no call waits. A round reads at most the share, in bytes and in time; bytes that take long to read
(tiny frames) are read in ever smaller pieces, with a look at the clock after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from agent.acquire.reader import Reader, ReaderEvent
from agent.cameras.connection import CameraConnection
from agent.cameras.figures import CameraFigures
from agent.clock import Clock, Instant, WallTime

READ_BYTES_PER_TICK: Final = 4 * 1024 * 1024  # 64 Mbit/s; a camera that sends more waits for its turn
READ_BYTES_MAX: Final = 256 * 1024  # at once, then the clock is looked at
READ_BYTES_MIN: Final = 16 * 1024


class Tick(NamedTuple):
    """The time of one round, and for how long one camera may be read in it."""

    instant: Instant
    wall: WallTime
    share_ns: int


class CameraMedia:
    """`is_brisk`: the camera sends more in a tick than half of what the kernel keeps for us."""

    def __init__(self, connection: CameraConnection, figures: CameraFigures, clock: Clock) -> None:
        self._connection, self._figures, self._clock = connection, figures, clock
        self._piece_bytes = READ_BYTES_MAX
        self._left_bytes = READ_BYTES_PER_TICK  # of this tick and the looks after it
        self.is_brisk = False

    def begin_tick(self) -> None:
        """Give the camera its share in bytes anew."""
        spent, self._left_bytes = READ_BYTES_PER_TICK - self._left_bytes, READ_BYTES_PER_TICK
        self.is_brisk = spent > self._connection.window_bytes // 2

    def pieces(self, reader: Reader, now: Tick) -> Iterator[Iterable[ReaderEvent]]:
        """Read until there is nothing more or the camera has had its share; give what each piece means.

        What is done with a piece counts as the time of reading it. Raises as `CameraConnection.receive_into` does.
        """
        connection, has_ports = self._connection, self._connection.has_ports
        began = before = self._clock.instant()
        while self._left_bytes > 0:
            room = reader.room()
            size = min(len(room), max(self._piece_bytes, 2 * connection.read_bytes_min))
            count = connection.receive_into(room[:size])
            if count == 0:
                return
            self._left_bytes -= count
            self._figures.bytes_received += count
            wall = self._clock.now()  # after receiving: a slow tick must not date what comes last too early
            self._figures.last_byte = wall, now.instant
            yield reader.received(count, now.instant, wall)
            if size - count >= connection.read_bytes_min or connection.has_ports != has_ports:
                return  # that was all, or the media comes another way from now on
            after = self._clock.instant()
            if after - before > now.share_ns:
                self._piece_bytes = max(READ_BYTES_MIN, self._piece_bytes // 2)
            elif after - before < now.share_ns // 4:
                self._piece_bytes = min(READ_BYTES_MAX, self._piece_bytes * 2)
            if after - began > now.share_ns:
                return
            before = after
