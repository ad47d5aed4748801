"""May the machine be restarted? Only into a firmware that was installed and waits, and once for each.

Rules of this file:
- Nobody restarts a hub by this that has nothing new to start: the agent, which talks to the network, least of all.
- Back from a firmware only as long as it has not been kept, and only if the machine was restarted into it from here.
- What the machine is restarted for is on the disk before it is. A firmware that was started once and does not run was
  given up by the bootloader, or by a person: it is not started again, so that no hub goes round for ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from firmware_bridge.backend import Machine, Updater
from firmware_bridge.errors import UnavailableError
from firmware_bridge.lasting_file import write_lasting
from firmware_bridge.messages import Refused
from firmware_bridge.updates import BOOTED

RESTART_FILE: Final = "restart"
FILE_BYTES_MAX: Final = 4096
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class _Restarted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    boot: str
    """The start of the machine in which it was asked for."""


def boot_id(environment: Mapping[str, str] = os.environ) -> str:
    """Name this start of the machine: by systemd's word, since the unit hides `/proc/sys`, or by the kernel's."""
    try:
        return environment.get("TRANSOM_BOOT") or _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


class Restarts:
    """The bridge's policy around restarting; `state` remembers the last one, `boot` names this start."""

    def __init__(self, updater: Updater, machine: Machine, *, state: Path, boot: str) -> None:
        self._updater, self._machine, self._path, self._boot = updater, machine, state / RESTART_FILE, boot

    async def restart(self) -> str | Refused:
        """Restart; return the version that starts. Raises UnavailableError."""
        # 1. Something else than what runs starts next.
        version = await self._updater.next_version()
        if version is None:
            return Refused("no other firmware waits to be started")
        # 2. It has not been started before, without staying.
        before = self._read()
        if before is not None and before.version == version and before.boot != self._boot:
            return Refused(
                f"{version or 'that firmware'} was started once and did not stay: order it again, or another"
            )
        # 3. That is remembered; then the machine goes down.
        try:
            write_lasting(self._path, msgspec.json.encode(_Restarted(version, self._boot)).decode())
        except OSError as error:
            raise UnavailableError(f"cannot remember the restart: {error.strerror}") from error
        await self._machine.restart()
        return version

    async def give_up(self) -> str | Refused:
        """Go back from a firmware that was restarted into and has not been kept; return its version.

        Raises UnavailableError.
        """
        # 1. The machine was restarted from here, into what runs now, and that was not kept since.
        before = self._read()
        if before is None or before.boot == self._boot:
            return Refused("the firmware that runs is not on trial")
        slots = await self._updater.slots()
        if before.version != next((slot.version or "" for slot in slots if slot.state == BOOTED), None):
            return Refused("the firmware that runs is not the one on trial")
        # 2. It is marked, then the machine goes down.
        # What is marked stays marked: should the machine not go down now, its next start goes back all the same.
        await self._updater.mark_bad()
        await self._machine.restart()
        return before.version

    def forget(self) -> None:
        """End the trial of what was kept, or let what is installed now be started. Raises UnavailableError."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot forget the last restart: {error.strerror}") from error

    def _read(self) -> _Restarted | None:
        try:
            return msgspec.json.decode(self._path.read_bytes()[:FILE_BYTES_MAX], type=_Restarted)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"cannot read what the machine was restarted for: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError):  # damaged: one restart more does no harm
            return None
