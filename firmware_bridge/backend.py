"""What the bridge asks of a box and of its updater, on one page; each has one real implementation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from firmware_bridge.messages import HealthReading, Led, Progress, Slot


class Hardware(Protocol):
    """The box: sensors, button, alarm input, LED. Calls take milliseconds. Raises UnavailableError."""

    def health(self) -> HealthReading:
        """Read storage wear, temperatures and free disk space."""

    def poll_button(self, now_s: float) -> None:
        """Notice a press; called a few times a second."""

    def pressed_s_ago(self, now_s: float) -> float | None:
        """Return the seconds since the button was last pressed, None if it was not; `now_s` is monotonic."""

    def is_alarm_closed(self) -> bool | None:
        """Return the alarm input's state, None if there is no such input."""

    def set_led(self, state: Led) -> None:
        """Show a state."""


class Bundle(NamedTuple):
    """What a signed bundle says about itself, after its signature was checked."""

    version: str
    manifest_hash: str | None
    """Names these contents, so that the file cannot be swapped before it is installed; None from an old RAUC."""


class Updater(Protocol):
    """A/B updates. Raises UnavailableError, or BadInputError if the bundle is no good."""

    async def slots(self) -> list[Slot]:
        """Return every slot."""

    async def inspect(self, bundle: Path) -> Bundle:
        """Check the bundle's signature and read its version."""

    async def install(self, bundle: Path, manifest_hash: str | None, progress: Callable[[Progress], None]) -> None:
        """Install into the slot that is not running; returns when it is done."""

    async def take_back(self) -> None:
        """Have the next boot start the slot that runs now, and no boot the other one."""

    async def next_version(self) -> str | None:
        """Return the version in the slot that starts next, empty if unknown; None if that is the one that runs."""

    async def mark_bad(self) -> None:
        """Have the next boot start another slot than the one that runs."""

    async def mark_good(self) -> str:
        """Keep the running slot; return the version it was installed from, empty if unknown."""


class Machine(Protocol):
    """The machine as a whole. Raises UnavailableError if it is not to be restarted now."""

    async def restart(self) -> None:
        """Begin to shut down and start again; returns when that has begun."""
