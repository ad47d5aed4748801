"""Cameras that a person has added by address, in one small file that the daemon reads at every search.

Rules of this file: rewritten whole; what cannot be read is as if nobody had been added, and is said so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from agent.acquire.discovery import FoundCamera
from agent.acquire.stream import CameraId
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.folders import sync_folder

CAMERAS_MAX: Final = 64
FILE_BYTES_MAX: Final = 256 * 1024
_log: Final = logging.getLogger(__name__)
FILE: Final = "added-cameras.json"  # in data_dir


class AddedCameras:
    """The added cameras of one hub. Raises ConfigurationError (damaged, full) and UnavailableError (the disk)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[FoundCamera, ...]:
        """Return them all."""
        try:
            with self._path.open("rb") as stream:
                content = stream.read(FILE_BYTES_MAX)
            return msgspec.json.decode(content, type=tuple[FoundCamera, ...])[:CAMERAS_MAX]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{self._path} is damaged", cure="remove it and add the cameras again: transom cameras add ADDRESS"
            ) from error

    def beside(self, found: Sequence[FoundCamera]) -> list[FoundCamera]:
        """Return what a search found, and those added that it did not find: the network knows best where one is.

        The addresses of the configuration are part of the search. A camera is found by its name or at its address.
        """
        here = {camera.camera for camera in found} | {at for camera in found for at in camera.addresses}
        try:
            added = self.all()
        except (ConfigurationError, UnavailableError) as error:
            _log.warning("%s", error)
            added = ()
        return [*found, *(one for one in added if here.isdisjoint((one.camera, *one.addresses)))]

    def add(self, camera: FoundCamera) -> None:
        """Add one, or give it another address; it is on the disk when this returns."""
        others = [one for one in self.all() if one.camera != camera.camera]
        if len(others) >= CAMERAS_MAX:
            raise ConfigurationError(f"{CAMERAS_MAX} cameras are added already", cure="forget one that is gone")
        self._write([*others, camera])

    def remove(self, camera: CameraId) -> bool:
        """Take one out; False if it was not added."""
        everyone = self.all()
        others = [one for one in everyone if one.camera != camera]
        if len(others) == len(everyone):
            return False
        self._write(others)
        return True

    def _write(self, cameras: Sequence[FoundCamera]) -> None:
        unfinished = self._path.with_name(f"{self._path.name}.new")
        try:
            with unfinished.open("wb") as stream:
                if os.geteuid() == 0:  # the agent must be able to read what root has added
                    owner = self._path.parent.stat()
                    os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
                os.fchmod(stream.fileno(), 0o600)
                stream.write(msgspec.json.encode(cameras))
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise UnavailableError(
                f"{self._path} cannot be written: {error.strerror}", cure="run this as root or as the agent's user"
            ) from error
