"""A D-Bus connection for one question, so that a bus that went away is an answer and not a state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

from firmware_bridge.errors import UnavailableError

CONNECT_S_MAX: Final = 5.0


@contextlib.asynccontextmanager
async def open_bus(address: str | None) -> AsyncIterator[MessageBus]:
    """Connect to the system bus, or to the bus at `address`. Raises UnavailableError."""
    try:
        bus = MessageBus(address, bus_type=BusType.SYSTEM)
        async with asyncio.timeout(CONNECT_S_MAX):
            await bus.connect()
    except (OSError, EOFError, DBusFastError, TimeoutError) as error:
        raise UnavailableError("there is no D-Bus", cure="is dbus.service running?") from error
    try:
        yield bus
    finally:
        bus.disconnect()
        with contextlib.suppress(OSError, EOFError, DBusFastError):
            await disconnected(bus)


async def disconnected(bus: MessageBus) -> None:
    """Wait until the bus has gone."""
    # Shielded: the future behind it is the bus's own, and whoever stops waiting must not cancel it.
    await asyncio.shield(bus.wait_for_disconnect())  # type: ignore[no-untyped-call] # dbus-fast has no types here
