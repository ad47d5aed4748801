"""A file that only grows, by whole synced records: the ground under the audit log.

Rules of this file: a record is there whole or not at all; what a failed write left behind is cut off before the next.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.outside.folders import sync_folder

_TAIL_BYTES: Final = 256 * 1024  # what `last_lines` reads at a time


class AppendedFile:
    """The file at `path`, made with mode 0600 if it is not there, and locked.

    Raises UnavailableError if the disk fails, ConfigurationError if another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_new = not path.exists()
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(f"{path} cannot be opened ({error.strerror})") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ConfigurationError(f"{path} is in use by another process", cure="stop the other agent") from None
        if is_new:
            sync_folder(path.parent)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        """Bytes of whole records."""
        return self._size

    def replace(self, content: bytes) -> None:
        """Put another file in the place of this one, whole or not at all. Raises UnavailableError."""
        unfinished = self.path.with_name(self.path.name + ".new")
        try:
            unfinished.unlink(missing_ok=True)
            new = AppendedFile(unfinished)
            try:
                new.append(content)
                unfinished.rename(self.path)
            except BaseException:
                new.close()
                raise
            self._descriptor, old = new._descriptor, self._descriptor
            self._size = new.size
            os.close(old)
            sync_folder(self.path.parent)
        except OSError as error:
            raise UnavailableError(f"{self.path} cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def append(self, record: bytes) -> None:
        """Write and sync one record. Raises UnavailableError, and then it is as if it had never been written."""
        try:
            if os.fstat(self._descriptor).st_size != self._size:
                os.ftruncate(self._descriptor, self._size)  # what a failed write left
            written = os.write(self._descriptor, record)
            if written != len(record):
                raise UnavailableError(f"the disk took only a piece of a record for {self.path}")
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise UnavailableError(f"{self.path} cannot be written ({error.strerror})") from error
        self._size += len(record)

    def cut_torn_line(self) -> int:
        """Cut off what follows the last line break; return how many bytes that was."""
        whole, position = 0, self._size
        while position > 0 and not whole:
            start = max(0, position - _TAIL_BYTES)
            whole = os.pread(self._descriptor, position - start, start).rfind(b"\n") + 1
            whole += start if whole else 0
            position = start
        return self.cut(whole)

    def cut(self, size: int) -> int:
        """Shorten the file to `size` bytes; return by how many."""
        torn = self._size - size
        if torn:
            os.ftruncate(self._descriptor, size)
            os.fdatasync(self._descriptor)
            self._size = size
        return torn

    def content(self, bytes_max: int) -> bytes:
        """Return all of it. Raises BadInputError if that is more than `bytes_max`."""
        if self._size > bytes_max:
            raise BadInputError(f"{self.path.name} has more than {bytes_max} bytes")
        return os.pread(self._descriptor, self._size, 0)

    def lines(self, bytes_max: int) -> Iterator[bytes]:
        """Read the lines from the first one, without their line breaks, each cut behind `bytes_max`."""
        with self.path.open("rb") as file:
            while line := file.readline(bytes_max + 2):
                yield line.removesuffix(b"\n")

    def last_lines(self, count_max: int) -> list[bytes]:
        """Return the newest lines, newest first."""
        position, block = self._size, b""
        while position > 0 and block.count(b"\n") <= count_max:
            start = max(0, position - _TAIL_BYTES)
            block = os.pread(self._descriptor, position - start, start) + block
            position = start
        newest_first = block.split(b"\n")[-2::-1]  # behind the last line break there is nothing
        if position > 0:
            newest_first.pop()  # the oldest one may be a piece of a line
        return newest_first[:count_max]
