"""A RAUC that installs nothing, on a private bus: the D-Bus side of the real one, told in advance how to behave.

As the real 1.8 (tests/real/test_rauc.py) it answers nothing but properties while it installs, gives no reason when it
refuses to look at a bundle, and knows after an installation what is in the other slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from dbus_fast import DBusError, PropertyAccess, Variant
from dbus_fast.annotations import DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from tests.simulators.private_bus import OwnedName

FAILED: Final = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30"
BUSY: Final = "already processing a different method"
Dictionary = Annotated[dict[str, Variant], DBusSignature("a{sv}")]


@dataclass
class Behaviour:
    """What this RAUC knows and does."""

    bundles: dict[str, str] = field(default_factory=dict)
    """Version by bundle path; any other bundle has a bad signature."""
    result: int = 0
    last_error: str = ""
    percents: tuple[int, ...] = (0, 40, 100)
    is_leaving: bool = False
    """Goes away in the middle of an installation."""
    is_busy: bool = False
    """Installs something that nobody here began."""
    before_finishing: Callable[[], object] = lambda: None
    booted_version: str = "2026.10.1"
    other_version: str = ""
    """What was installed into the other slot."""
    installed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    marked: list[tuple[str, str]] = field(default_factory=list)


class RaucService(OwnedName):
    """Owns RAUC's name on a bus."""

    def __init__(self, address: str, behaviour: Behaviour, *, is_old: bool = False) -> None:
        interface = (_OldInstaller if is_old else _Installer)(behaviour, self.leave)
        super().__init__(address, "de.pengutronix.rauc", "/", interface)


class _OldInstaller(ServiceInterface):
    """RAUC 1.8: no InspectBundle."""

    def __init__(self, behaviour: Behaviour, leave: Callable[[], None]) -> None:
        super().__init__("de.pengutronix.rauc.Installer")
        self._does, self._leave = behaviour, leave
        self._progress: list[Any] = [0, "", 0]
        self._work: asyncio.Task[None] | None = None

    @property
    def _is_busy(self) -> bool:
        return self._does.is_busy or (self._work is not None and not self._work.done())

    def _refuse_if_busy(self) -> None:
        if self._is_busy:
            raise DBusError(FAILED, BUSY)

    @dbus_method(name="Info")
    def info(self, bundle: DBusStr) -> Annotated[tuple[str, str], DBusSignature("ss")]:
        if self._is_busy or bundle not in self._does.bundles:
            raise DBusError(FAILED, "rauc info error")  # in these words, whatever the reason
        return "transom-hub", self._does.bundles[bundle]

    @dbus_method(name="GetSlotStatus")
    def slot_status(self) -> Annotated[list[Any], DBusSignature("a(sa{sv})")]:
        self._refuse_if_busy()
        booted = {"state": "booted", "boot-status": "good", "bundle.version": self._does.booted_version}
        other: dict[str, str | int] = {"state": "inactive", "boot-status": "bad", "installed.count": 3}
        other |= {"bundle.version": self._does.other_version} if self._does.other_version else {}
        return [
            ["rootfs.0", {name: Variant("s", value) for name, value in booted.items()}],
            [
                "rootfs.1",
                {name: Variant("s" if isinstance(value, str) else "u", value) for name, value in other.items()},
            ],
        ]

    @dbus_method(name="GetPrimary")
    def primary(self) -> DBusStr:
        self._refuse_if_busy()
        return "rootfs.1" if self._does.other_version else "rootfs.0"

    @dbus_method(name="Mark")
    def mark(self, state: DBusStr, slot: DBusStr) -> Annotated[tuple[str, str], DBusSignature("ss")]:
        self._refuse_if_busy()
        self._does.marked.append((state, slot))
        return "rootfs.0", f"marked slot rootfs.0 as {state}"

    @dbus_method(name="InstallBundle")
    def install_bundle(self, source: DBusStr, args: Dictionary) -> Annotated[None, DBusSignature("")]:
        self._refuse_if_busy()
        self._does.installed.append((source, {name: value.value for name, value in args.items()}))
        self._work = asyncio.get_running_loop().create_task(self._install(source))

    async def _install(self, source: str) -> None:
        for percent in self._does.percents:
            self._progress = [percent, f"step at {percent}", 1]
            self.emit_properties_changed({"Progress": self._progress})
        await asyncio.to_thread(self._does.before_finishing)
        if self._does.is_leaving:
            self._leave()
        else:
            self._does.other_version = self._does.other_version if self._does.result else self._does.bundles[source]
            self._work = None
            self.completed(self._does.result)

    @dbus_signal(name="Completed")
    def completed(self, result: int) -> Annotated[int, DBusSignature("i")]:
        return result

    @dbus_property(name="Operation", access=PropertyAccess.READ)
    def operation(self) -> DBusStr:
        return "installing" if self._is_busy else "idle"

    @dbus_property(name="LastError", access=PropertyAccess.READ)
    def last_error(self) -> DBusStr:
        return self._does.last_error

    @dbus_property(name="Progress", access=PropertyAccess.READ)
    def progress(self) -> Annotated[list[Any], DBusSignature("(isi)")]:
        return self._progress


class _Installer(_OldInstaller):
    """RAUC 1.12 and later."""

    @dbus_method(name="InspectBundle")
    def inspect_bundle(self, source: DBusStr, _args: Dictionary) -> Dictionary:
        self._refuse_if_busy()
        if source not in self._does.bundles:
            raise DBusError(FAILED, "signature verification failed")
        update = {"compatible": Variant("s", "transom-hub"), "version": Variant("s", self._does.bundles[source])}
        return {"manifest-hash": Variant("s", "ab" * 32), "update": Variant("a{sv}", update)}
