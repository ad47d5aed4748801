"""The machine is restarted by systemd-logind, which asks polkit whether this user may; the bridge has no power itself.

Rules of this file: `interactive` is false, so that nobody is asked for a password; whoever is logged in, or holds an
inhibitor lock, stops the restart, since the rule that ships allows nothing beyond `org.freedesktop.login1.reboot`.
Interface: org.freedesktop.login1(5), method `Reboot`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from dbus_fast import Message, MessageType
from dbus_fast.errors import DBusFastError

from firmware_bridge.bus import open_bus
from firmware_bridge.errors import UnavailableError

LOGIND: Final = "org.freedesktop.login1"
CALL_S_MAX: Final = 30.0
TEXT_CHARACTERS_MAX: Final = 300


class LogindMachine:
    """Asks logind on the system bus, or on the bus at `address`."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    async def restart(self) -> None:
        """Begin the restart; logind answers before the first unit is told to stop."""
        message = Message(
            destination=LOGIND,
            path="/org/freedesktop/login1",
            interface=f"{LOGIND}.Manager",
            member="Reboot",
            signature="b",
            body=[False],
        )
        async with open_bus(self._address) as bus:
            try:
                async with asyncio.timeout(CALL_S_MAX):
                    reply = await bus.call(message)
            except (OSError, EOFError, DBusFastError, TimeoutError) as error:
                raise UnavailableError("logind does not answer", cure="is systemd-logind.service running?") from error
        if reply is None:
            raise UnavailableError("logind does not answer", cure="is systemd-logind.service running?")
        if reply.message_type is MessageType.ERROR:
            told = str(reply.body[0]) if reply.body else str(reply.error_name)
            raise UnavailableError(
                f"logind does not restart the machine: {told[:TEXT_CHARACTERS_MAX]}",
                cure="is somebody logged in? is transom's polkit rule installed, and polkit running?",
            )
