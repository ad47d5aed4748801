"""Which marks belong to which camera, in one file that a power cut leaves as it was or as it should be.

Rules of this file: small and rewritten whole; a file that is damaged costs only that cameras are recognised anew,
by the same endpoint references.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from agent.acquire.identity import Known
from agent.acquire.stream import CameraId
from agent.errors import UnavailableError
from agent.outside.folders import sync_folder

CAMERAS_MAX: Final = 256  # those that were replaced over the years too; the oldest go first
FILE_BYTES_MAX: Final = 1024 * 1024


class IdentityFile:
    """The identities of all cameras this hub has recorded (`ports.IdentityBook`); for any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version = _version(path)
        self._known = {one.camera: one for one in _read(path) or ()}

    def identities(self) -> dict[CameraId, Known]:
        """Return them all, in the order in which they were first known; what another process changed is noticed."""
        with self._lock:
            self._refresh()
            return dict(self._known)

    def put_identity(self, known: Known) -> None:
        """Store one; it is on the disk when this returns. Raises UnavailableError if the disk fails."""
        with self._lock:
            self._refresh()
            if self._known.get(known.camera) == known:
                return
            self._known[known.camera] = known
            for oldest in list(self._known)[:-CAMERAS_MAX]:
                del self._known[oldest]
            self._write()

    def forget_identity(self, camera: CameraId) -> bool:
        """Forget one: its marks are nobody's from now on. False if it was not known. Raises UnavailableError."""
        with self._lock:
            self._refresh()
            if self._known.pop(camera, None) is None:
                return False
            self._write()
            return True

    def _refresh(self) -> None:
        """Take what another process has written; a file that is gone or damaged meanwhile says nothing."""
        version = _version(self._path)
        if version in (None, self._version):
            return
        self._version, told = version, _read(self._path)
        if told is not None:
            self._known = {one.camera: one for one in told}

    def _write(self) -> None:
        text = msgspec.json.format(msgspec.json.encode(list(self._known.values())))
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(new, "wb", opener=_private) as file:
                if os.geteuid() == 0:  # the agent must be able to read what root has written
                    owner = self._path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise UnavailableError(f"{self._path}: {error.strerror}", cure="make room on the disk") from error
        self._version = _version(self._path)


def _version(path: Path) -> tuple[int, int, int] | None:
    """Return what changes with each writing; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _read(path: Path) -> list[Known] | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(FILE_BYTES_MAX), type=list[Known])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
