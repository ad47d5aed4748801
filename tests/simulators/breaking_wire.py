"""A wire between a client and a server that breaks when it has carried so many bytes, as uplinks do."""

from __future__ import annotations

import contextlib
import socket
import struct

from tests.simulators.loopback_wire import LoopbackWire

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close means RST


class BreakingWire(LoopbackWire):
    """Forwards loopback TCP to `port`; breaks at each of `breaks` (bytes towards the server since the start)."""

    def __init__(self, port: int, breaks: list[int]) -> None:
        super().__init__(port)
        self.carried, self._breaks = 0, list(breaks)

    @property
    def breaks_left(self) -> int:
        """Count the breaks that are still to come."""
        return len(self._breaks)

    def break_at(self, *breaks: int) -> None:
        """Break at each of these, too."""
        self._breaks += breaks

    def carry_out(self, near: socket.socket, far: socket.socket) -> None:
        """Carry the client's bytes as far as the next break."""
        with near, far, contextlib.suppress(OSError):
            while piece := near.recv(16_384):
                self.carried += len(piece)
                if self._breaks and self.carried >= self._breaks[0]:
                    self._breaks.pop(0)
                    for end in (near, far):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)
                    return
                far.sendall(piece)
            far.shutdown(socket.SHUT_WR)

    def carry_back(self, near: socket.socket, far: socket.socket) -> None:
        """Carry the server's bytes."""
        with contextlib.suppress(OSError):
            while piece := far.recv(16_384):
                near.sendall(piece)
            near.shutdown(socket.SHUT_RDWR)
