"""May this bundle be installed? It must be where bundles are, signed, and no older than what once worked here.

Rules of this file:
- The floor rises when a firmware is marked good and is never lowered; it is on disk before it counts.
- One installation at a time, which ends whoever leaves; who asks for the same bundle meanwhile hears its end too.
- What runs is not installed again: that would overwrite the slot that the hub falls back to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from firmware_bridge.backend import Updater
from firmware_bridge.errors import BadInputError, ConfigurationError, UnavailableError
from firmware_bridge.lasting_file import write_lasting
from firmware_bridge.messages import Installed, Progress, Refused, Slot
from firmware_bridge.versions import VERSION_CHARACTERS_MAX, is_allowed, parse_version

FLOOR_FILE: Final = "version_floor"
BOOTED: Final = "booted"


class Updates:
    """The bridge's policy around an updater; `state` holds the floor, `bundles` is where bundles may lie."""

    def __init__(self, updater: Updater, *, state: Path, bundles: Path) -> None:
        self._updater = updater
        self._floor_path = state / FLOOR_FILE
        self._bundles = bundles
        self._running: _Installation | None = None

    @property
    def is_installing(self) -> bool:
        """Whether an installation runs now."""
        return self._running is not None

    async def slots(self) -> list[Slot]:
        """Return every slot."""
        return await self._updater.slots()

    async def install(self, bundle: str, progress: Callable[[Progress], None]) -> Installed | Refused:
        """Install a bundle, or join its installation if it runs already."""
        # 1. It lies where bundles lie: RAUC runs as root and would open any path, or fetch any URL.
        path = self._checked_path(bundle)
        if self._running is None:
            listeners: list[Callable[[Progress], None]] = []
            task = asyncio.create_task(self._carry_out(path, listeners))
            self._running = _Installation(path, task, listeners)
            task.add_done_callback(lambda _: self._forget())
        elif self._running.bundle != path:
            return Refused("another installation is running: order this one again when it has ended")
        self._running.listeners.append(progress)
        return await asyncio.shield(self._running.task)

    async def stop(self) -> None:
        """Leave an installation to RAUC, which ends it without us."""
        if self._running is not None:
            self._running.task.cancel()
            await asyncio.gather(self._running.task, return_exceptions=True)

    async def mark_good(self) -> str:
        """Keep the running firmware; return the floor from now on, empty while there is none."""
        version = await self._updater.mark_good()
        floor = self._floor()
        try:
            is_floor = is_allowed(version, floor)
        except BadInputError:  # an image from the factory, a name without an order: it is kept, but nothing is below it
            is_floor = False
        if is_floor:
            self._raise_floor(version)
            return version
        return floor or ""

    async def _carry_out(self, path: Path, listeners: Sequence[Callable[[Progress], None]]) -> Installed | Refused:
        def tell(progress: Progress) -> None:
            for listener in listeners:
                listener(progress)

        # 2. It is signed, and says which version it is.
        inspected = await self._updater.inspect(path)
        # 3. It is no older than what was once marked good.
        floor = self._floor()
        if not is_allowed(inspected.version, floor):
            return Refused(
                f"{inspected.version} is older than {floor}, which has worked on this hub: offer a newer one"
            )
        # 4. It does not run already, as it does when the power went between its first boot and the last word about it.
        slots = await self._updater.slots()
        if any(slot.state == BOOTED and _is_same(slot.version, inspected.version) for slot in slots):
            return Installed(inspected.version, is_running=True)
        # 5. Exactly that bundle is installed.
        await self._updater.install(path, inspected.manifest_hash, tell)
        # 6. A RAUC that took no hash may have read another file than it was shown: what it wrote is looked at.
        if inspected.manifest_hash is None and not await self._has_written(inspected.version):
            await self._updater.take_back()
            return Refused("the bundle was exchanged while it was installed: who can write where bundles lie?")
        return Installed(inspected.version, is_running=False)

    async def _has_written(self, version: str) -> bool:
        """Say whether a slot holds it now; True too where RAUC notes no versions (without `statusfile`)."""
        noted = [slot.version for slot in await self._updater.slots() if slot.state != BOOTED and slot.version]
        return not noted or any(_is_same(one, version) for one in noted)

    def _forget(self) -> None:
        self._running = None

    def _checked_path(self, bundle: str) -> Path:
        try:
            path = Path(bundle).resolve(strict=True)
            is_inside = path.is_relative_to(self._bundles.resolve(strict=True)) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # ValueError: a NUL byte; RuntimeError: a loop of links
            is_inside = False
        if not is_inside:
            raise BadInputError("no such bundle", cure=f"bundles lie in {self._bundles}")
        return path

    def _floor(self) -> str | None:
        try:
            floor = self._floor_path.read_bytes()[: VERSION_CHARACTERS_MAX + 1].decode().strip()
            parse_version(floor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"cannot read the version floor: {error.strerror}") from error
        except (UnicodeDecodeError, BadInputError) as error:
            raise ConfigurationError("the version floor is damaged", cure=f"restore {self._floor_path}") from error
        return floor

    def _raise_floor(self, version: str) -> None:
        try:
            write_lasting(self._floor_path, version)
        except OSError as error:
            raise UnavailableError(f"cannot store the version floor: {error.strerror}") from error


class _Installation(NamedTuple):
    """The one that runs, and who hears of it."""

    bundle: Path
    task: asyncio.Task[Installed | Refused]
    listeners: list[Callable[[Progress], None]]


def _is_same(version: str | None, other: str) -> bool:
    try:
        return parse_version(version or "") == parse_version(other)
    except BadInputError:
        return False
