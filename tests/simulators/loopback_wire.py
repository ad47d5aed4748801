"""A wire on the loopback between a client and a server: what it does to the bytes on their way is told elsewhere."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class LoopbackWire:
    """Forwards TCP to `port`; one thread each way carries a connection's bytes."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]

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

    def carry_out(self, near: socket.socket, far: socket.socket) -> None:
        """Carry the client's bytes to the server, and close both ends at the end."""
        raise NotImplementedError

    def carry_back(self, near: socket.socket, far: socket.socket) -> None:
        """Carry the server's bytes to the client."""
        raise NotImplementedError

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self.connections += 1
                for carry in (self.carry_out, self.carry_back):
                    self._threads.append(threading.Thread(target=carry, args=(near, far)))
                    self._threads[-1].start()
