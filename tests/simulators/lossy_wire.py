"""A wire between the recorder and a camera that leaves out some of the camera's RTP packets, frame and all."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Final

from tests.simulators.loopback_wire import LoopbackWire

_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class LossyWire(LoopbackWire):
    """Forwards loopback TCP to `port`; every `lost_every`th frame of video is lost, unless it ends a picture."""

    def __init__(self, port: int, lost_every: int) -> None:
        self.packets = self.lost = 0  # of video, passed on and left out
        self.carried = 0  # bytes from the camera that were passed on
        super().__init__(port)
        self._lost_every = lost_every

    def carry_out(self, near: socket.socket, far: socket.socket) -> None:
        """Carry what the recorder asks."""
        with near, far, contextlib.suppress(OSError):
            while piece := near.recv(16_384):
                far.sendall(piece)
            far.shutdown(socket.SHUT_RDWR)

    def carry_back(self, near: socket.socket, far: socket.socket) -> None:
        """Carry what the camera sends, but for what is lost."""
        received = b""
        with contextlib.suppress(OSError):
            while piece := far.recv(65_536):
                received += piece
                while (end := _unit_end(received)) and end <= len(received):
                    unit, received = received[:end], received[end:]
                    if not self._is_lost(unit):
                        near.sendall(unit)
                        self.carried += len(unit)
            near.shutdown(socket.SHUT_RDWR)

    def _is_lost(self, unit: bytes) -> bool:
        if unit[:2] != b"$\0":
            return False
        is_inner = not unit[5] & 0x80  # no marker: another packet of the picture follows
        if is_inner and (self.packets + self.lost) % self._lost_every == self._lost_every - 1:
            self.lost += 1
            return True
        self.packets += 1
        return False


def _unit_end(octets: bytes) -> int:
    """Return where the first frame or message ends; 0 if that cannot be told yet."""
    if octets[:1] == b"$":
        return 4 + int.from_bytes(octets[2:4]) if len(octets) >= 4 else 0
    head, blank, _ = octets.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    return len(head) + 4 + (int(found[1]) if found else 0) if blank else 0
