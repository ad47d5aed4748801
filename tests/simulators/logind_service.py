"""systemd-logind's one method that the bridge asks for, on a private bus; it restarts nothing.

As the real one (org.freedesktop.login1(5)) it takes `Reboot(b)` on the Manager object, and refuses in polkit's words.
"""

from __future__ import annotations

from typing import Annotated, Final

from dbus_fast import DBusError
from dbus_fast.annotations import DBusBool, DBusSignature
from dbus_fast.service import ServiceInterface, dbus_method

from tests.simulators.private_bus import OwnedName

DENIED: Final = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"


class LogindService(OwnedName):
    """Owns logind's name on a bus."""

    def __init__(self, address: str) -> None:
        self.restarts = 0
        self.is_denied = False
        """Somebody is logged in, or polkit knows no rule."""
        super().__init__(address, "org.freedesktop.login1", "/org/freedesktop/login1", _Manager(self))


class _Manager(ServiceInterface):
    def __init__(self, service: LogindService) -> None:
        super().__init__("org.freedesktop.login1.Manager")
        self._service = service

    @dbus_method(name="Reboot")
    def reboot(self, interactive: DBusBool) -> Annotated[None, DBusSignature("")]:
        if self._service.is_denied or interactive:
            raise DBusError(DENIED, "Interactive authentication required.")
        self._service.restarts += 1
