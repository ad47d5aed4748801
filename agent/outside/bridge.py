"""The firmware bridge, asked for the little that the agent needs of the hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.audit_watch import FirmwareSlot
from agent.errors import UnavailableError
from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BridgeError

ANSWER_S_MAX: Final = 1.0


def seconds_since_press(socket: Path) -> float | None:
    """Return how long ago the hub's button was pressed; None if it was not, or the bridge does not answer."""
    try:
        return BridgeClient(socket, deadline_s=ANSWER_S_MAX).pressed_s_ago()
    except BridgeError:
        return None


def keep_firmware(socket: Path) -> str:
    """Keep the firmware that runs, return the version floor from now on; waits for RAUC. Raises UnavailableError."""
    try:
        return BridgeClient(socket).mark_good()
    except BridgeError as error:
        raise UnavailableError(f"the firmware that runs is not kept: {error}") from error


def firmware_slots(socket: Path) -> list[FirmwareSlot]:
    """Ask which firmware is where; waits for RAUC, so call it in a thread. Raises UnavailableError."""
    try:
        slots = BridgeClient(socket).slots()
    except BridgeError as error:
        raise UnavailableError(f"the firmware bridge does not say which firmware runs: {error}") from error
    return [FirmwareSlot(slot.name, slot.state, slot.boot_status, slot.version) for slot in slots]
