"""TCP connections to cameras that never block: the recorder's one thread serves all of them.

Rules of this file: no call waits; what the camera does not read is bounded; every failure is an UnavailableError.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final

from agent.cameras.link import CameraLink
from agent.clock import Instant
from agent.errors import ConfigurationError, UnavailableError
from agent.outside import datagrams

if TYPE_CHECKING:
    from agent.outside.camera_tls import CameraTls

RECEIVE_BUFFER_BYTES: Final = 2 * 1024 * 1024
SEND_QUEUE_BYTES_MAX: Final = 64 * 1024
DISCARD_BYTES: Final = 64 * 1024
DISCARDS_MAX: Final = 32
PARTING_MS: Final = 500
_IN_PROGRESS: Final = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})


class RtspDialer:
    """Begins and ends connections to cameras; implements `CameraDialer`. One thread uses it."""

    def __init__(self, datagram_buffer_bytes: int = datagrams.RECEIVE_BUFFER_BYTES) -> None:
        self._datagram_buffer_bytes = datagram_buffer_bytes
        self._parted: list[tuple[CameraLink, Instant]] = []
        self._room = memoryview(bytearray(DISCARD_BYTES))
        self._tls: CameraTls | None = None

    def dial(self, host: str, port: int, *, is_secure: bool = False) -> CameraLink:
        """Begin a connection to an IP address.

        Raises ConfigurationError for a name (looking it up could block every camera), UnavailableError if the network
        refuses at once.
        """
        link = socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            # Before connect, since it sets the window.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            refusal = link.connect_ex((host, port))
        except OSError as error:
            link.close()
            raise _unavailable(error.errno) from error
        if refusal and refusal not in _IN_PROGRESS:
            link.close()
            raise _unavailable(refusal)
        return self._secured(RtspLink(link)) if is_secure else RtspLink(link)

    def open_ports(self, host: str, tracks: int) -> datagrams.Datagrams:
        """Open UDP ports for the media of a camera at an IP address. Raises UnavailableError if there are none."""
        return datagrams.Datagrams(_family(host), host, tracks, self._datagram_buffer_bytes)

    def part_from(self, link: CameraLink, now: Instant) -> None:
        """Keep a connection until the camera closes it, or half a second: long enough for it to read the goodbye."""
        self._parted.append((link, Instant(now + PARTING_MS * 1_000_000)))

    def close_parted(self, now: Instant) -> bool:
        """Throw away what still comes and close what is over; say whether any is left."""
        for link, due in tuple(self._parted):
            try:
                is_over = now >= due
                for _ in range(DISCARDS_MAX):
                    if is_over or not link.receive_into(self._room):
                        break
            except UnavailableError:
                is_over = True
            if is_over:
                link.close()
                self._parted.remove((link, due))
        return bool(self._parted)

    def _secured(self, link: RtspLink) -> CameraLink:
        if self._tls is None:
            from agent.outside.camera_tls import CameraTls  # noqa: PLC0415 - a megabyte that most sites never need

            self._tls = CameraTls()
        return self._tls.begin(link)


class RtspLink:
    """One connection; implements `CameraLink`."""

    certificate: Final = ""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._queue = bytearray()
        self._is_open = False
        # The kernel tells twice what it granted, its own needs included.
        self.window_bytes: Final[int] = link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    def is_open(self) -> bool:
        """Whether the camera took the connection, False while it is on its way. Raises UnavailableError."""
        if self._is_open:
            return True
        if refusal := self._link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise _unavailable(refusal)
        try:
            self._link.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return False
            raise _unavailable(error.errno) from error
        self._is_open = True
        return True

    def send(self, octets: bytes) -> None:
        """Queue bytes and write what goes without waiting. Raises UnavailableError if the camera reads too little."""
        if len(self._queue) + len(octets) > SEND_QUEUE_BYTES_MAX:
            raise UnavailableError("the camera does not read what is sent to it")
        self._queue += octets
        self._flush()

    def receive_into(self, room: memoryview) -> int:
        """Read what is there into `room`; 0 if there is nothing. Raises UnavailableError when the camera closed."""
        if self._queue:
            self._flush()
        try:
            count = self._link.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise _unavailable(error.errno) from error
        if count == 0:
            raise UnavailableError("the camera closed the connection")
        return count

    def close(self) -> None:
        """Close the connection; what is queued and cannot go at once is lost."""
        self._link.close()

    def _flush(self) -> None:
        while self._queue:
            try:
                count = self._link.send(self._queue)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise _unavailable(error.errno) from error
            del self._queue[:count]


def _family(host: str) -> socket.AddressFamily:
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigurationError(
            "a camera's stream address must hold an IP address, not a name", cure="search for the camera again"
        ) from error
    return socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004 - IP version


def _unavailable(number: int | None) -> UnavailableError:
    reason = os.strerror(number) if number else "connection failed"
    return UnavailableError(f"the camera cannot be reached: {reason}", cure="check its power, cable and address")
