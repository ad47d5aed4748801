"""The recorder's side of the conversation with the network: connections to cameras, and none of their calls waits.

Each protocol is implemented once in `outside/`; errors are as in `ports.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from agent.clock import Instant

DATAGRAM_FRAME_BYTES_MAX: Final = 4 + 0xFFFF


class CameraLink(Protocol):
    """One connection to a camera, plain or TLS; no call waits. Raises UnavailableError when camera or network fails."""

    @property
    def certificate(self) -> str:
        """SHA-256 of the camera's TLS certificate in hex, once the link is open; empty for a plain connection."""

    @property
    def window_bytes(self) -> int:
        """How much the kernel keeps until it is read; a camera that sends more must wait, or drops pictures."""

    def is_open(self) -> bool:
        """Whether the camera took the connection, with TLS whether both agreed; False while it is on its way."""

    def send(self, octets: bytes) -> None:
        """Queue bytes; the queue is bounded."""

    def receive_into(self, room: memoryview) -> int:
        """Read what is there into `room`; 0 if there is nothing now."""

    def close(self) -> None:
        """Close at once."""


class DatagramLink(Protocol):
    """UDP ports for one session's media, which nobody but the camera can reach; no call waits."""

    @property
    def ports(self) -> tuple[tuple[int, int], ...]:
        """The hub's port for RTP and the next one for RTCP, a pair for each track."""

    @property
    def is_roomy(self) -> bool:
        """Whether the kernel keeps what comes between two ticks; else it must be fetched more often."""

    def expect(self, server_ports: Sequence[tuple[int, int]]) -> None:
        """Take media from these ports of the camera only, track by track; 0 where it did not tell.

        The hub's ports for further tracks are closed.
        """

    def receive_into(self, room: memoryview) -> int:
        """Write the datagrams that are there as interleaved frames, channel 2n for track n; 0 if there are none now.

        It stops where `room` could not hold `DATAGRAM_FRAME_BYTES_MAX` more. Each track's RTP is in the order of its
        numbers.
        """

    def drops(self) -> int:
        """Count the datagrams that the kernel had no room for."""

    def close(self) -> None:
        """Close the ports."""


class CameraDialer(Protocol):
    """Begins connections to cameras."""

    def dial(self, host: str, port: int, *, is_secure: bool = False) -> CameraLink:
        """Begin a connection to an IP address without waiting. Raises ConfigurationError for a name."""

    def open_ports(self, host: str, tracks: int) -> DatagramLink:
        """Open UDP ports for the media of a camera at an IP address."""

    def part_from(self, link: CameraLink, now: Instant) -> None:
        """Take over a connection that was told goodbye: closed at once, it is reset before the camera reads that."""

    def close_parted(self, now: Instant) -> bool:
        """Close what the camera has closed, or half a second after parting; say whether any is left."""
