"""The firmware bridge, asked for the little that the agent needs of the hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.errors import BadInputError, UnavailableError
from agent.trust.audit_watch import FirmwareSlot
from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BridgeError
from firmware_bridge.messages import Refused

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


def restart_machine(socket: Path) -> str:
    """Restart the machine into the firmware that waits; return its version. Asks RAUC and logind.

    Raises UnavailableError if the machine may not go down now, BadInputError if there is nothing to start.
    """
    try:
        answer = BridgeClient(socket).restart()
    except BridgeError as error:
        raise UnavailableError(f"the firmware bridge does not restart the machine: {error}") from error
    if isinstance(answer, Refused):
        raise BadInputError(answer.text)
    return answer.version


def give_firmware_up(socket: Path) -> str:
    """Go back from the firmware that runs, if it is on trial; return its version.

    Raises UnavailableError if that cannot be had now, BadInputError if it is not on trial.
    """
    try:
        answer = BridgeClient(socket).give_up()
    except BridgeError as error:
        raise UnavailableError(f"the firmware bridge does not go back from this firmware: {error}") from error
    if isinstance(answer, Refused):
        raise BadInputError(answer.text)
    return answer.version


def firmware_slots(socket: Path) -> list[FirmwareSlot]:
    """Ask which firmware is where; waits for RAUC, so call it in a thread. Raises UnavailableError."""
    try:
        slots = BridgeClient(socket).slots()
    except BridgeError as error:
        raise UnavailableError(f"the firmware bridge does not say which firmware runs: {error}") from error
    return [FirmwareSlot(slot.name, slot.state, slot.boot_status, slot.version) for slot in slots]
