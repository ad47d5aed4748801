"""A server on loopback with a thread for each connection, that ends with the test and leaves no thread behind."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class ThreadedServer:
    """Takes connections until its end, and counts them as `sessions`; a context manager."""

    def __init__(self) -> None:
        self.sessions = 0
        self.stopped = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        """Where it takes connections."""
        return int(self._server.getsockname()[1])

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in list(self._threads):
            thread.join()
        self._server.close()

    def serve(self, client: socket.socket) -> None:
        """Serve one connection in its thread and close it, at `stopped` at the latest."""
        raise NotImplementedError

    def _accept(self) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._server.accept()
                self.sessions += 1
                thread = threading.Thread(target=self.serve, args=(client,))
                self._threads.append(thread)
                thread.start()
