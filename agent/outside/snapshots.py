"""Each camera's newest key picture as a JPEG file on a RAM disk, for the installer and the owner's page.

Rules of this file: nothing is written unless the configuration names a directory; whoever asks is told how old the
picture is, and an old one is not passed off as new.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.cut.look import SNAPSHOT_BYTES_MAX
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.outside.shown_file import hide, read_shown, show

OLD_S: Final = 300.0
DIRECTORY_MODE: Final = 0o750
_NAME: Final = re.compile(r"[a-z0-9-]{1,32}")
_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"  # JPEG's first and last marker (T.81, B.1.1.3)


def publisher(directory: Path | None) -> Callable[[CameraId, bytes], None] | None:
    """Return what writes a camera's snapshot, or removes it if it is empty; None without a directory.

    Pictures of an earlier run are removed. What is returned raises UnavailableError.
    """
    if directory is None:
        return None
    for old in directory.glob("*.jpg"):
        hide(old)

    def publish(camera: CameraId, jpeg: bytes) -> None:
        if not jpeg:
            hide(_path(directory, camera))
            return
        if not jpeg.startswith(_BEGIN) or not jpeg.endswith(_END):
            raise UnavailableError("a snapshot that is no JPEG")
        try:
            directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{directory} cannot be made: {error.strerror}") from error
        show(_path(directory, camera), jpeg)

    return publish


def read_snapshot(directory: Path | None, camera: str) -> bytes:
    """Return a camera's newest snapshot. Raises ConfigurationError if none are made or this camera has none."""
    if directory is None:
        raise ConfigurationError("this hub makes no snapshots", cure="set snapshot_dir in its configuration")
    path = _path(directory, camera)
    try:
        age_s = time.time() - path.stat().st_mtime
        jpeg = read_shown(path, SNAPSHOT_BYTES_MAX)
    except (OSError, UnavailableError) as error:
        known = ", ".join(sorted(one.stem for one in directory.glob("*.jpg"))) or "none yet"
        cure = f"there are: {known}; ask as root or in the group transom"
        raise ConfigurationError(f"there is no snapshot of camera {camera}", cure=cure) from error
    if age_s > OLD_S:
        raise UnavailableError(
            f"the newest snapshot of {camera} is {age_s / 60:.0f} minutes old", cure="see its status"
        )
    return jpeg


def _path(directory: Path, camera: str) -> Path:
    if not _NAME.fullmatch(camera):
        raise BadInputError(f"not a camera's name: {camera[:32]!r}")
    return directory / f"{camera}.jpg"
