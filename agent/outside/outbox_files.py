"""The outbox: sealed files waiting for the store, written once and never changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from agent.errors import UnavailableError
from agent.outside.folders import sync_folder
from agent.ports import OutboxFullError

OUTBOX_BYTES_MAX: Final = 2 * 1024**3
"""What may wait here while the store is away; after that new parts wait in the ring."""

LIVE_BYTES: Final = 128 * 1024**2
"""At most so much of it is for what is happening now: half a minute of eight cameras."""

SPARED_BYTES: Final = 32 * 1024**2
"""The disk keeps this much for the journal and the audit log: without them nothing may be decided, and nothing sent."""
UNFINISHED: Final = ".unfinished"

_Result = TypeVar("_Result")


class OutboxFiles:
    """A directory of finished files; what was not finished before a crash is removed at the next start."""

    def __init__(self, directory: Path, bytes_max: int = OUTBOX_BYTES_MAX) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._bytes_max = bytes_max
        for unfinished in directory.glob(f"*{UNFINISHED}"):
            unfinished.unlink()

    def write(self, name: str, fill: Callable[[Callable[[bytes], object]], _Result], spare_bytes: int = 0) -> _Result:
        """Make the file `name` from what `fill` appends; it exists whole and synced when this returns, or not at all.

        Raises OutboxFullError when the outbox or the disk is full. `spare_bytes`, of `SPARED_BYTES`, may go beyond.
        """
        unfinished = self._directory / f"{name}{UNFINISHED}"
        left = self.room(is_live=True) + spare_bytes

        def append(content: bytes) -> None:
            nonlocal left
            left -= len(content)
            if left < 0:
                raise OutboxFullError(f"the outbox is full (limit {self._bytes_max} bytes), or its disk nearly is")
            file.write(content)

        try:
            with open(unfinished, "xb", opener=_private) as file:
                try:
                    result = fill(append)
                    file.flush()
                    os.fsync(file.fileno())
                    unfinished.rename(self._directory / name)
                finally:
                    unfinished.unlink(missing_ok=True)  # ours only: another's is still being written
            sync_folder(self._directory)
        except OSError as error:
            raise OutboxFullError(f"the outbox cannot be written: {error.strerror}") from error
        return result

    @property
    def bytes_max(self) -> int:
        """How much may wait here."""
        return self._bytes_max

    def room(self, *, is_live: bool) -> int:
        """Say how many bytes it can take, by its own limit and the disk's.

        Some of it is kept for what is happening now, however much of yesterday waits.
        """
        with _known_errors("read"):
            disk, used = os.statvfs(self._directory), self.bytes_used()
        left = min(self._bytes_max - used, disk.f_bavail * disk.f_frsize - SPARED_BYTES)
        return left if is_live else left - min(LIVE_BYTES, (used + left) // 8)

    def path(self, name: str) -> Path:
        """Say where a finished file lies."""
        return self._directory / name

    def discard(self, name: str) -> None:
        """Remove a file that the store holds, or that may not go any more."""
        with _known_errors("removed"):
            (self._directory / name).unlink(missing_ok=True)

    def names(self) -> frozenset[str]:
        """Name all finished files."""
        with _known_errors("read"):
            return frozenset(path.name for path in self._directory.iterdir() if path.suffix != UNFINISHED)

    def bytes_used(self) -> int:
        """Say how much waits here, unfinished files included."""
        used = 0
        with _known_errors("read"):
            for path in self._directory.iterdir():
                with contextlib.suppress(FileNotFoundError):  # sent and removed meanwhile
                    used += path.stat().st_size
        return used


@contextlib.contextmanager
def _known_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = "is the disk failing?"
        raise UnavailableError(f"the outbox cannot be {what} ({error.strerror})", cure=cure) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
