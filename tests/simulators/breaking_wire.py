"""A wire between a client and a server that breaks when it has carried so many bytes, as uplinks do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close means RST


class BreakingWire:
    """Forwards loopback TCP to `port`; breaks at each of `breaks` (bytes towards the server since the start)."""

    def __init__(self, port: int, breaks: list[int]) -> None:
        self.carried, self.connections, self._breaks, self._target = 0, 0, list(breaks), port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def breaks_left(self) -> int:
        """Count the breaks that are still to come."""
        return len(self._breaks)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self.connections += 1
                for forward in (self._out, self._back):
                    self._threads.append(threading.Thread(target=forward, args=(near, far)))
                    self._threads[-1].start()

    def _out(self, near: socket.socket, far: socket.socket) -> None:
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

    def _back(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := far.recv(16_384):
                near.sendall(piece)
            near.shutdown(socket.SHUT_RDWR)
