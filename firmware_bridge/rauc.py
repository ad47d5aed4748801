"""RAUC over D-Bus: checks, installs and keeps signed bundles; the bridge only ever asks it to.

Rules of this file: one bus connection per question, so that a bus or a RAUC that went away is an answer and not a
state; a signal counts only if it comes from the connection that owns RAUC's name.
Interface: RAUC manual, section "D-Bus API"; works with RAUC 1.8 (Debian 12) and later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError
from dbus_fast.unpack import unpack_variants

from firmware_bridge.backend import Bundle
from firmware_bridge.bus import disconnected, open_bus
from firmware_bridge.errors import BadInputError, UnavailableError
from firmware_bridge.messages import Progress, Slot

RAUC: Final = "de.pengutronix.rauc"
INSTALLER: Final = "de.pengutronix.rauc.Installer"
CALL_S_MAX: Final = 30.0
INSPECT_S_MAX: Final = 5 * 60.0
"""Checking the signature of a plain bundle reads all of it: 2 GiB from a slow card."""
IDLE_S_MAX: Final = 10 * 60.0
"""How long an installation that another life of this bridge began is waited for."""
IDLE_POLL_S: Final = 0.25
INSTALL_S_MAX: Final = 30 * 60.0
SLOTS_MAX: Final = 32
TEXT_CHARACTERS_MAX: Final = 300

_BUS: Final = "org.freedesktop.DBus"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_GONE: Final = {f"{_BUS}.Error.ServiceUnknown", f"{_BUS}.Error.NameHasNoOwner", f"{_BUS}.Error.NoReply"}
_UNKNOWN_METHOD: Final = f"{_BUS}.Error.UnknownMethod"
_BUSY: Final = "already processing a different method"
_NO_REASON: Final = "rauc info error"
_Shape = TypeVar("_Shape")


class RaucUpdater:
    """Talks to RAUC on the system bus, or on the bus at `address`."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    async def slots(self) -> list[Slot]:
        """Return every slot that RAUC knows."""
        async with open_bus(self._address) as bus:
            return await _slots(bus)

    async def inspect(self, bundle: Path) -> Bundle:
        """Have RAUC check the bundle's signature, and read its version; waits while RAUC installs another one.

        Raises BadInputError if RAUC refuses it.
        """
        async with open_bus(self._address) as bus:
            # A bridge that died left its installation to RAUC, which looks at no bundle meanwhile, and does not say so.
            await _until_idle(bus)
            try:
                reply = await _call(bus, "InspectBundle", "sa{sv}", str(bundle), {}, within_s=INSPECT_S_MAX)
            except _UnknownMethodError:  # before RAUC 1.9
                return Bundle(await _version_by_info(bus, bundle), None)
        told = _shaped(reply, tuple[dict[str, Any]])[0]
        version = _shaped(told, _Inspected).update.get("version")
        if not isinstance(version, str):
            raise BadInputError("the bundle names no version", cure="build it again with a version in its manifest")
        manifest_hash = told.get("manifest-hash")
        return Bundle(version, manifest_hash if isinstance(manifest_hash, str) else None)

    async def install(self, bundle: Path, manifest_hash: str | None, progress: Callable[[Progress], None]) -> None:
        """Install a bundle and wait for RAUC's verdict."""
        arguments = {"require-manifest-hash": Variant("s", manifest_hash)} if manifest_hash else {}
        async with open_bus(self._address) as bus:
            finished = await _watch(bus, progress)
            await _call(bus, "InstallBundle", "sa{sv}", str(bundle), arguments)
            gone = asyncio.ensure_future(disconnected(bus))
            ends: list[asyncio.Future[Any]] = [finished, gone]
            try:
                await asyncio.wait(ends, timeout=INSTALL_S_MAX, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
            if not finished.done() or finished.result() is None:
                raise UnavailableError(
                    "RAUC did not say how the installation ended", cure="ask for the slots, then try again"
                )
            if finished.result() != 0:
                raise BadInputError(
                    f"RAUC could not install the bundle: {await _last_error(bus)}",
                    cure="is it built for this kind of hub? What RAUC did is in its log: journalctl -u rauc",
                )

    async def take_back(self) -> None:
        """Activate the booted slot, and mark the other one bad."""
        async with open_bus(self._address) as bus:
            await _call(bus, "Mark", "ss", "active", "booted")
            with contextlib.suppress(BadInputError):  # with more than two slots RAUC knows no "other"
                await _call(bus, "Mark", "ss", "bad", "other")

    async def next_version(self) -> str | None:
        """Ask the bootloader's side of RAUC which slot starts next."""
        async with open_bus(self._address) as bus:
            primary = _shaped(await _call(bus, "GetPrimary", ""), tuple[str])[0]
            following = next((slot for slot in await _slots(bus) if slot.name == primary), None)
        if following is None or following.state == "booted":
            return None
        return following.version or ""

    async def mark_bad(self) -> None:
        """Mark the booted slot bad, and activate the other one."""
        async with open_bus(self._address) as bus:
            await _call(bus, "Mark", "ss", "active", "other")
            await _call(bus, "Mark", "ss", "bad", "booted")

    async def mark_good(self) -> str:
        """Mark the booted slot good; return the version it was installed from, or an empty text."""
        async with open_bus(self._address) as bus:
            name, _ = _shaped(await _call(bus, "Mark", "ss", "good", "booted"), tuple[str, str])
            return next((slot.version or "" for slot in await _slots(bus) if slot.name == name), "")


class _UnknownMethodError(Exception):
    """This RAUC is too old for the method."""


class _Inspected(msgspec.Struct):
    update: dict[str, Any]


async def _until_idle(bus: MessageBus) -> None:
    try:
        async with asyncio.timeout(IDLE_S_MAX):
            while not await _is_idle(bus):  # noqa: ASYNC110 - RAUC may have ended before we could listen
                await asyncio.sleep(IDLE_POLL_S)
    except TimeoutError as error:
        raise _busy() from error


async def _version_by_info(bus: MessageBus, bundle: Path) -> str:
    """Ask a RAUC before 1.9, which refuses every bundle in the same words, and every question while it installs."""
    try:
        reply = await _call(bus, "Info", "s", str(bundle), within_s=INSPECT_S_MAX)
    except BadInputError as error:
        if not await _is_idle(bus):
            raise _busy() from error
        if _NO_REASON not in error.what:
            raise
        raise BadInputError(
            "RAUC refuses the bundle: damaged, not signed by a key of this hub's keyring, "
            "or by a certificate that is out of date for this machine's clock",
            cure="RAUC's log says which: journalctl -u rauc",
        ) from error
    return _shaped(reply, tuple[str, str])[1]


async def _is_idle(bus: MessageBus) -> bool:
    reply = await _ask(bus, RAUC, "/", _PROPERTIES, "Get", "ss", INSTALLER, "Operation")
    return _shaped(reply, tuple[str])[0] == "idle"


async def _slots(bus: MessageBus) -> list[Slot]:
    rows = _shaped(await _call(bus, "GetSlotStatus", ""), tuple[list[tuple[str, dict[str, Any]]]])[0]
    return [
        Slot(
            name=name[:TEXT_CHARACTERS_MAX],
            state=_text(status, "state") or "",
            boot_status=_text(status, "boot-status"),
            version=_text(status, "bundle.version"),
        )
        for name, status in rows[:SLOTS_MAX]
    ]


async def _watch(bus: MessageBus, progress: Callable[[Progress], None]) -> asyncio.Future[int | None]:
    """Subscribe to RAUC's signals; the future gets its result code, or None if RAUC goes away."""
    owner = _shaped(await _ask(bus, _BUS, "/org/freedesktop/DBus", _BUS, "GetNameOwner", "s", RAUC), tuple[str])[0]
    for rule in (
        f"type='signal',sender='{RAUC}',path='/'",
        f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{RAUC}'",
    ):
        await _ask(bus, _BUS, "/org/freedesktop/DBus", _BUS, "AddMatch", "s", rule)
    finished: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def heard(message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL or finished.done():
            return
        match message.sender, message.member, unpack_variants(message.body):
            case sender, "Completed", [int(code)] if sender == owner:
                finished.set_result(code)
            case sender, "PropertiesChanged", [_, {"Progress": [int(percent), str(step), *_]}, *_] if sender == owner:
                progress(Progress(min(max(percent, 0), 100), step[:TEXT_CHARACTERS_MAX]))
            case "org.freedesktop.DBus", "NameOwnerChanged", [str(name), *_] if name == RAUC:
                finished.set_result(None)

    bus.add_message_handler(heard)
    return finished


async def _last_error(bus: MessageBus) -> str:
    reply = await _ask(bus, RAUC, "/", _PROPERTIES, "Get", "ss", INSTALLER, "LastError")
    return _shaped(reply, tuple[str])[0][:TEXT_CHARACTERS_MAX]


async def _call(bus: MessageBus, member: str, signature: str, *body: object, within_s: float = CALL_S_MAX) -> list[Any]:
    return await _ask(bus, RAUC, "/", INSTALLER, member, signature, *body, within_s=within_s)


async def _ask(
    bus: MessageBus,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str,
    *body: object,
    within_s: float = CALL_S_MAX,
) -> list[Any]:
    message = Message(
        destination=destination, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )
    try:
        async with asyncio.timeout(within_s):
            reply = await bus.call(message)
    except (OSError, EOFError, DBusFastError, TimeoutError) as error:
        raise UnavailableError("RAUC does not answer", cure="is rauc.service running?") from error
    if reply is None:
        raise UnavailableError("RAUC does not answer", cure="is rauc.service running?")
    if reply.message_type is not MessageType.ERROR:
        unpacked: list[Any] = unpack_variants(reply.body)
        return unpacked
    if reply.error_name == _UNKNOWN_METHOD:
        raise _UnknownMethodError
    if reply.error_name in _GONE:
        raise UnavailableError("RAUC is not running", cure="is rauc.service installed and enabled?")
    text = str(reply.body[0]) if reply.body else str(reply.error_name)
    if _BUSY in text.lower():
        raise _busy()
    raise BadInputError(f"RAUC refuses: {text[:TEXT_CHARACTERS_MAX]}", cure="RAUC's log says more: journalctl -u rauc")


def _busy() -> UnavailableError:
    return UnavailableError("RAUC is busy with an installation", cure="wait until it has ended, then try again")


def _shaped(value: object, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(value, shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnavailableError("RAUC answered in an unknown form", cure="which RAUC is this?") from error


def _text(status: dict[str, Any], key: str) -> str | None:
    value = status.get(key)
    return value[:TEXT_CHARACTERS_MAX] if isinstance(value, str) else None
