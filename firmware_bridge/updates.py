"""May this bundle be installed? It must be where bundles are, signed, and no older than what once worked here.

Rules of this file: the floor rises when a firmware is marked good and is never lowered; it is on disk before it counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware_bridge.backend import Updater
from firmware_bridge.errors import BadInputError, ConfigurationError, UnavailableError
from firmware_bridge.messages import Progress, Refused, Slot
from firmware_bridge.versions import VERSION_CHARACTERS_MAX, is_allowed, parse_version

FLOOR_FILE: Final = "version_floor"


class Updates:
    """The bridge's policy around an updater; `state` holds the floor, `bundles` is where bundles may lie."""

    def __init__(self, updater: Updater, *, state: Path, bundles: Path) -> None:
        self._updater = updater
        self._floor_path = state / FLOOR_FILE
        self._bundles = bundles
        self._is_installing = False

    async def slots(self) -> list[Slot]:
        """Return every slot."""
        return await self._updater.slots()

    async def install(self, bundle: str, progress: Callable[[Progress], None]) -> str | Refused:
        """Install a bundle; return its version, or why not."""
        if self._is_installing:
            return Refused("another installation is running")
        self._is_installing = True
        try:
            # 1. It lies where bundles lie: RAUC runs as root and would open any path, or fetch any URL.
            path = self._checked_path(bundle)
            # 2. It is signed, and says which version it is.
            inspected = await self._updater.inspect(path)
            # 3. It is no older than what was once marked good.
            floor = self._floor()
            if not is_allowed(inspected.version, floor):
                return Refused(f"{inspected.version} is older than {floor}, which has worked on this hub")
            # 4. Exactly that bundle is installed.
            await self._updater.install(path, inspected.manifest_hash, progress)
        finally:
            self._is_installing = False
        return inspected.version

    async def mark_good(self) -> str:
        """Keep the running firmware; return the floor from now on, empty while there is none."""
        version = await self._updater.mark_good()
        floor = self._floor()
        if version and is_allowed(version, floor):
            self._raise_floor(version)
            return version
        return floor or ""

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
        unfinished = self._floor_path.with_name(f".{FLOOR_FILE}.unfinished")
        try:
            with unfinished.open("w") as file:
                file.write(version)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._floor_path)
        except OSError as error:
            raise UnavailableError(f"cannot store the version floor: {error.strerror}") from error
