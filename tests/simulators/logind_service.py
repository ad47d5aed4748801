"""systemd-logind's one method that the bridge asks for, on a private bus; it restarts nothing.

As the real one (org.freedesktop.login1(5)) it takes `Reboot(b)` on the Manager object, and refuses in polkit's words.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Annotated, Final, Self

from dbus_fast import DBusError
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusSignature
from dbus_fast.service import ServiceInterface, dbus_method

DENIED: Final = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"


class LogindService:
    """Owns logind's name on a bus, in a thread of its own; use as a context manager."""

    def __init__(self, address: str) -> None:
        self._address, self.restarts = address, 0
        self.is_denied = False
        """Somebody is logged in, or polkit knows no rule."""
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

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        bus = await MessageBus(self._address).connect()
        bus.export("/org/freedesktop/login1", _Manager(self))
        await bus.request_name("org.freedesktop.login1")
        self._ready.set()
        await self._done.wait()
        bus.disconnect()


class _Manager(ServiceInterface):
    def __init__(self, service: LogindService) -> None:
        super().__init__("org.freedesktop.login1.Manager")
        self._service = service

    @dbus_method(name="Reboot")
    def reboot(self, interactive: DBusBool) -> Annotated[None, DBusSignature("")]:
        if self._service.is_denied or interactive:
            raise DBusError(DENIED, "Interactive authentication required.")
        self._service.restarts += 1
