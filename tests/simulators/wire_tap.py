"""A wire to a camera that keeps a copy of what it says, and may ask it for something else than the client did."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class WireTap:
    """Forwards loopback TCP to `port`; `heard` has what the server sent on each connection, by its first request.

    In what the client sends, each key of `instead` is replaced by its value.
    """

    def __init__(self, port: int, instead: dict[bytes, bytes] | None = None) -> None:
        self._instead = instead or {}
        self.heard: dict[str, bytearray] = {}
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def url(self, name: str) -> str:
        """Return a stream's address on this side."""
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            first = client.recv(65_536)
            server.sendall(first)
            heard = self.heard.setdefault(first.split(b"\r\n", 1)[0].decode(), bytearray())
            self._ends += [client, server]
            for carry, arguments in ((self._ask, (client, server)), (self._answer, (server, client, heard))):
                self._threads.append(threading.Thread(target=carry, args=arguments))
                self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := client.recv(65_536):  # a whole request: each is sent at once and is small
                for asked, instead in self._instead.items():
                    octets = octets.replace(asked, instead)
                server.sendall(octets)
            server.shutdown(socket.SHUT_WR)

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket, heard: bytearray) -> None:
        with contextlib.suppress(OSError):
            while octets := server.recv(65_536):
                heard += octets
                client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
