"""A camera's media by UDP, for cameras that refuse to send it over the RTSP connection: datagrams in, frames out.

Rules of this file: no call waits, and each has an end however fast datagrams come; only the camera's address is heard;
a datagram is written as the frame that the camera would have sent over RTSP (RFC 2326 section 10.12), so that
everything behind is the same for both ways.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from agent.cameras.link import DATAGRAM_FRAME_BYTES_MAX
from agent.errors import UnavailableError

RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024  # asked for; the kernel gives `net.core.rmem_max` at most
# As the kernel counts, which is 2.3 KB for a packet of 1.4 KB. Measured with pictures of 16 Mbit/s that come in bursts
# of 100 Mbit/s: the stock 416 KiB lose half of them at ticks of 250 ms, 5 % at 50 ms and next to nothing at 20 ms;
# 4 MiB and more lose none.
ROOMY_BYTES: Final = 4 * 1024 * 1024
PORT_TRIES: Final = 64
TRACKS_MAX: Final = 2
DATAGRAMS_MAX: Final = 1024  # of one port in one call
_DOLLAR: Final = 0x24
_HEAD_BYTES: Final = 4  # "$", channel, 16-bit length
_RTP_BYTES_MIN: Final = 12
_RTCP_BYTES_MIN: Final = 8
_VERSION_2: Final = 0x80  # the upper two bits of RTP and of RTCP
REORDER_MAX: Final = 64  # packets; what is further behind is another numbering, not a late packet
_HEAD: Final = struct.Struct(">BBH")
_SO_MEMINFO: Final = 55  # Linux; `socket` has no name for it
_MEMINFO: Final = struct.Struct("=9I")  # the last one counts drops (SK_MEMINFO_DROPS)
# An empty packet of each kind opens the way back through a stateful firewall, as FFmpeg and live555 do it.
_OPENERS: Final = (bytes.fromhex("80 00 0000 00000000 00000000"), bytes.fromhex("80 c9 0001 00000000"))


class Datagrams:
    """The pairs of ports of one session; implements `DatagramLink`."""

    def __init__(
        self, family: socket.AddressFamily, host: str, tracks: int, buffer_bytes: int = RECEIVE_BUFFER_BYTES
    ) -> None:
        self._host = host
        self._sockets: list[socket.socket] = []  # RTP and RTCP of each track in turn: the place is the channel
        with ExitStack() as stack:
            try:
                local = _local_address(family, host)
                for _ in range(min(tracks, TRACKS_MAX)):
                    for one in _pair(family, local):
                        stack.callback(one.close)
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
                        self._connect(one, 0)
                        self._sockets.append(one)
            except OSError as error:
                raise UnavailableError(f"no UDP ports for the camera's media: {_reason(error)}") from error
            stack.pop_all()

    @property
    def ports(self) -> tuple[tuple[int, int], ...]:
        """The hub's port for RTP and the next one for RTCP, a pair for each track."""
        numbers = [int(one.getsockname()[1]) for one in self._sockets]
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))

    @property
    def is_roomy(self) -> bool:
        """Whether the kernel keeps what comes between two ticks."""
        return self._sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= ROOMY_BYTES

    def expect(self, server_ports: Sequence[tuple[int, int]]) -> None:
        """Take media from these ports of the camera only, track by track; 0 where it did not tell.

        Ports of further tracks are closed: the camera has refused to send those.
        """
        while len(self._sockets) > 2 * max(1, len(server_ports)):
            self._sockets.pop().close()
        for place, port in enumerate(port for pair in server_ports for port in pair):
            if place < len(self._sockets) and port:
                try:
                    self._connect(self._sockets[place], port)
                    self._sockets[place].send(_OPENERS[place % 2])
                except OSError as error:
                    raise UnavailableError(f"the camera's media cannot be reached: {_reason(error)}") from error

    def receive_into(self, room: memoryview) -> int:
        """Write what is there as frames, channel after channel; each channel's RTP in the order of its numbers."""
        at = 0
        for channel, one in enumerate(self._sockets):
            at = self._take(channel, one, room, at)
        return at

    def drops(self) -> int:
        """Count the datagrams that the kernel had no room for."""
        counts = (one.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size) for one in self._sockets)
        return sum(_MEMINFO.unpack(count)[-1] for count in counts if len(count) == _MEMINFO.size)

    def close(self) -> None:
        """Close the ports."""
        for one in self._sockets:
            one.close()

    def _take(self, channel: int, one: socket.socket, room: memoryview, at: int) -> int:
        """Write one port's datagrams from `at` on; return where they end."""
        begin, is_rtp, is_sorted = at, channel % 2 == 0, True
        bytes_min = _RTP_BYTES_MIN if is_rtp else _RTCP_BYTES_MIN
        newest, stop = 0, len(room) - DATAGRAM_FRAME_BYTES_MAX
        receive_into = one.recv_into
        for _ in range(DATAGRAMS_MAX):
            if at > stop:
                break
            body = at + _HEAD_BYTES
            try:
                count = receive_into(room[body:])
            except BlockingIOError:
                break
            except ConnectionRefusedError:  # an answer to what opened the way: the camera does not hear reports
                continue
            except OSError as error:
                raise UnavailableError(f"the camera's media cannot be received: {_reason(error)}") from error
            if count < bytes_min or room[body] & 0xC0 != _VERSION_2:
                continue
            _HEAD.pack_into(room, at, _DOLLAR, channel, count)
            if is_rtp:
                sequence = room[body + 2] << 8 | room[body + 3]
                if at > begin and _is_late(sequence, newest):
                    is_sorted = False
                else:
                    newest = sequence
            at = body + count
        if not is_sorted:
            _sort(room[begin:at])
        return at

    def _connect(self, one: socket.socket, port: int) -> None:
        """Hear only the camera (port 0: whichever port it sends from) and forget what others sent before."""
        one.connect((self._host, port))
        for _ in range(DATAGRAMS_MAX):
            try:
                one.recv(1)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue


def _is_late(sequence: int, newest: int) -> bool:
    """Whether a packet comes after one that was sent later; sequence numbers wrap."""
    return 0 < (newest - sequence) & 0xFFFF < REORDER_MAX


def _sort(frames: memoryview) -> None:
    """Put each frame of a channel that came late where its RTP sequence number belongs, in place."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(frames):
        end = at + _HEAD_BYTES + (frames[at + 2] << 8 | frames[at + 3])
        sequence, place = frames[at + 6] << 8 | frames[at + 7], len(found)
        while place and _is_late(sequence, found[place - 1][0]):
            place -= 1
        found.insert(place, (sequence, bytes(frames[at:end])))
        at = end
    frames[:] = b"".join(frame for _, frame in found)


def _pair(family: socket.AddressFamily, local: str) -> tuple[socket.socket, socket.socket]:
    """Bind an even port and the odd one after it (RFC 3550 section 11). Raises OSError if none is free."""
    for _ in range(PORT_TRIES):
        with ExitStack() as stack:
            first, second = (stack.enter_context(_socket(family)) for _ in range(2))
            first.bind((local, 0))
            port = first.getsockname()[1]
            try:
                second.bind((local, port ^ 1))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            stack.pop_all()
            return (second, first) if port % 2 else (first, second)
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _socket(family: socket.AddressFamily) -> socket.socket:
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _local_address(family: socket.AddressFamily, host: str) -> str:
    """Ask the routing table from which address of ours the camera is reached; nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "network failed"
