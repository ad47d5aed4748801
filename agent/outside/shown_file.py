"""A small file that others read while it is written anew every few seconds: whole at every moment, and never synced.

It belongs on a RAM disk (systemd's RuntimeDirectory), where writing costs no flash; after a power cut it is of no use.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from agent.errors import BadInputError, UnavailableError

MODE: Final = 0o640
"""The agent's group may read it, such as who asks for the status, or what collects metrics."""


def show(path: Path, content: bytes) -> None:
    """Replace the file by another one with this content. Raises UnavailableError."""
    new = path.with_name(f"{path.name}.new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        with os.fdopen(file, "wb") as stream:
            os.fchmod(file, MODE)  # whatever the umask says
            stream.write(content)
        new.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}", cure="check that its directory is there, and whose it is"
        ) from error


def hide(path: Path) -> None:
    """Remove the file, if it is there and can be."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it is stale in a moment, and says so itself


def read_shown(path: Path, bytes_max: int) -> bytes:
    """Read the file. Raises UnavailableError if it cannot be read, BadInputError if it is longer than `bytes_max`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(bytes_max + 1)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > bytes_max:
        raise BadInputError(f"{path} has more than {bytes_max} bytes")
    return content
