"""The way to one camera: its RTSP connection, its certificate, and UDP ports where it needs them.

Rules of this file: no call waits; nothing is sent before the camera's certificate was compared with the pin; every
failure is an UnavailableError, or a ConfigurationError where a person must act.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from agent.acquire.stream_url import is_tls
from agent.cameras.link import DATAGRAM_FRAME_BYTES_MAX, CameraDialer, CameraLink, DatagramLink
from agent.clock import SECOND_NS, Instant
from agent.errors import ConfigurationError, UnavailableError

RTSP_PORT: Final = 554
RTSPS_PORT: Final = 322  # IANA's; RFC 7826 section 19
DIAL_S_MAX: Final = 10  # for the connection and its TLS handshake
CONTROL_BYTES_MAX: Final = 16 * 1024  # of RTSP messages beside UDP, in one tick


class CertificateRefusedError(UnavailableError):
    """The camera is not who it was: nothing was sent to it, and only a person knows why."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, so it was sent no login",
            cure="if it was replaced or reset, `transom cameras forget` it; if not, find out who answers in its place",
        )


class CameraConnection:
    """One connection after the other to one camera.

    `pin` is the certificate (SHA-256, hex) that the camera must show; an empty one is set by the first that it shows.
    """

    def __init__(self, dialer: CameraDialer, pin: str) -> None:
        self.pin = pin
        self._dialer, self._url = dialer, ""
        self._link: CameraLink | None = None
        self._ports: DatagramLink | None = None
        self._due = Instant(0)
        self._is_deaf = False  # UDP was expected from the camera's ports, and nothing has come yet
        self._is_any_port = False
        self._dropped = 0  # datagrams, of the connections that are over

    @property
    def has_begun(self) -> bool:
        """Whether there is a connection, or one on its way."""
        return self._link is not None

    @property
    def has_ports(self) -> bool:
        """Whether media comes by UDP."""
        return self._ports is not None

    @property
    def is_hasty(self) -> bool:
        """Whether media is lost that is not read between the ticks too."""
        return self._ports is not None and not self._ports.is_roomy

    @property
    def window_bytes(self) -> int:
        """How much of the media the kernel keeps until it is read."""
        return self._link.window_bytes if self._link else 0

    @property
    def read_bytes_min(self) -> int:
        """How much room `receive_into` needs at least; with less than this left, there may be more to read."""
        return DATAGRAM_FRAME_BYTES_MAX if self._ports else 1

    def dial(self, url: str, now: Instant) -> None:
        """Begin a connection to where a stream is."""
        is_secure = is_tls(url)
        try:
            address = urlsplit(url)
            host, port = address.hostname or "", address.port or (RTSPS_PORT if is_secure else RTSP_PORT)
        except ValueError as error:
            raise ConfigurationError("the camera's stream address cannot be read") from error
        if self.pin and not is_secure:
            raise CertificateRefusedError("the camera was recorded over TLS before and now offers its stream without")
        self._url, self._due = url, Instant(now + DIAL_S_MAX * SECOND_NS)
        self._link = self._dialer.dial(host, port, is_secure=is_secure)

    def is_open(self, now: Instant) -> bool:
        """Whether the camera took the connection and is the one it was; False while that is on its way."""
        link = self._opened()
        if not link.is_open():
            if now >= self._due:
                raise UnavailableError(
                    f"the camera did not answer within {DIAL_S_MAX} s", cure="check its power and cable"
                )
            return False
        if self.pin and link.certificate != self.pin:
            raise CertificateRefusedError("the camera shows another TLS certificate than before")
        self.pin = link.certificate
        return True

    def send(self, octets: bytes) -> None:
        """Queue bytes for the camera."""
        self._opened().send(octets)

    def receive_into(self, room: memoryview) -> int:
        """Read what is there of the media, as interleaved frames; 0 if there is nothing now."""
        if self._ports is None:
            return self._opened().receive_into(room)
        count = self._ports.receive_into(room)
        self._is_deaf = self._is_deaf and not count
        return count

    def receive_control(self) -> bytes:
        """Read the RTSP messages that come beside UDP."""
        room = bytearray(CONTROL_BYTES_MAX)
        return bytes(room[: self._opened().receive_into(memoryview(room))])

    def open_ports(self, tracks: int) -> tuple[tuple[int, int], ...]:
        """Open UDP ports for media that does not come over the connection; return their numbers."""
        self._close_ports()
        self._ports = self._dialer.open_ports(urlsplit(self._url).hostname or "", tracks)
        return self._ports.ports

    def expect(self, server_ports: Sequence[tuple[int, int]]) -> None:
        """Take media only from these ports of the camera.

        Some tell other ports than they send from: after a session in which nothing came, the next one takes any port.
        """
        if self._ports is not None:
            self._is_deaf = True
            self._ports.expect([(0, 0)] * len(server_ports) if self._is_any_port else server_ports)

    def dropped(self) -> int:
        """Count the datagrams that the kernel had no room for, of all connections so far."""
        return self._dropped + (self._ports.drops() if self._ports else 0)

    def leave(self, goodbye: Iterable[bytes], now: Instant) -> None:
        """Say goodbye if the camera still listens, and close. Raises UnavailableError if it did not."""
        self._close_ports()
        link, self._link = self._link, None
        if link is None:
            return
        try:
            for octets in goodbye:
                link.send(octets)
        except UnavailableError:
            link.close()
            raise
        self._dialer.part_from(link, now)

    def _close_ports(self) -> None:
        ports, self._ports = self._ports, None
        if ports is not None:
            self._dropped += ports.drops()
            self._is_any_port, self._is_deaf = self._is_any_port is not self._is_deaf, False
            ports.close()

    def _opened(self) -> CameraLink:
        if self._link is None:
            raise UnavailableError("there is no connection to the camera")
        return self._link
