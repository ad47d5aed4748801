"""A D-Bus of our own, and a service on it that owns a name."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from types import TracebackType
from typing import Self

from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface


class PrivateBus:
    """A session bus of our own, from dbus-daemon; use as a context manager."""

    def __enter__(self) -> Self:
        self._daemon = subprocess.Popen(
            ["dbus-daemon", "--session", "--print-address", "--nofork", "--address=unix:tmpdir=/tmp"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._daemon.stdout is not None
        self.address = self._daemon.stdout.readline().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert self._daemon.stdout is not None
        self._daemon.stdout.close()

    def stop(self) -> None:
        """Take the bus away from everybody."""
        self._daemon.terminate()
        self._daemon.wait(10)


class OwnedName:
    """Owns a name on a bus, with one object, in a thread of its own; use as a context manager."""

    def __init__(self, address: str, name: str, path: str, interface: ServiceInterface) -> None:
        self._address, self._name, self._path, self._interface = address, name, path, interface
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    def leave(self) -> None:
        """Go away from the bus; called in the service's own thread."""
        self._bus.disconnect()

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._bus = await MessageBus(self._address).connect()
        self._bus.export(self._path, self._interface)
        await self._bus.request_name(self._name)
        self._ready.set()
        await self._done.wait()
        self._bus.disconnect()
