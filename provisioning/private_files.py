"""Small files that only the hub's own user may read, each written so that a power cut leaves it old or new, never torn.

Rules of this file: 0600 and nothing else; whole, synced, renamed, and the folder synced after it. Raises
UnavailableError for a failing disk, ConfigurationError for a file that others can read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from provisioning.errors import ConfigurationError, UnavailableError

FILE_BYTES_MAX: Final = 512 * 1024


def read_private(path: Path) -> bytes | None:
    """Read a file (at most 512 KiB of it), None if there is none."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigurationError(f"{path.name} is open to other users", cure=f"chmod 600 {path}")
            return file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"cannot read {path.name}: {error.strerror}") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file; it is on the disk when this returns."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rename_private(unfinished, path)
    except OSError as error:
        raise UnavailableError(f"cannot write {path.name}: {error.strerror}") from error


def rename_private(old: Path, new: Path) -> None:
    """Put one file in another's place, at once and for good."""
    try:
        old.replace(new)
        _sync_folder(new.parent)
    except OSError as error:
        raise UnavailableError(f"cannot write {new.name}: {error.strerror}") from error


def remove_private(*paths: Path) -> None:
    """Remove files of one folder, in this order; what is not there is no matter."""
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        _sync_folder(paths[0].parent)
    except OSError as error:
        raise UnavailableError(f"cannot remove {paths[0].name}: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
