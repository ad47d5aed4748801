"""The audit log to somebody who reads it: a stretch at a time from either end, or all of it as one file.

Rules of this file: each call reads a bounded stretch of the file on the disk, with a descriptor of its own, and never
waits for who writes there. A place is the byte with which a line begins; places come back from browsers, so each is
looked at before it is believed.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import BadInputError, UnavailableError
from agent.evidence.audit import CHECKPOINTS_NAME, ENTRY_BYTES_MAX, LOG_NAME, decode_entry
from agent.evidence.stamp import STAMPS_NAME
from agent.evidence.witnessed import COSIGNATURES_NAME
from agent.outside.audit_file import AuditFile
from agent.page_ports import LogPage, PlacedEntry

PIECE_BYTES: Final = 64 * 1024
BESIDE_BYTES_MAX: Final = 2 * 1024 * 1024  # each of them keeps itself below 1 MiB
BESIDE: Final = (STAMPS_NAME, COSIGNATURES_NAME, CHECKPOINTS_NAME)
"""Read before the log, which goes on growing: what they sign is in the copy then."""


class AuditReader:
    """Reads the log that `audit` writes. Implements `page_ports.ReadableLog`."""

    def __init__(self, audit: AuditFile) -> None:
        self._audit = audit

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the tree's root as hex."""
        return self._audit.head()

    def checkpoint(self) -> str:
        """Sign the log as it is now. Raises UnavailableError."""
        return self._audit.checkpoint()

    def page(self, before: int | None, bytes_max: int) -> LogPage:
        """Read what lies in the last `bytes_max` bytes before a place. Raises BadInputError, UnavailableError."""
        path, size = self._audit.extent
        end = size if before is None else before
        stretch = max(bytes_max, ENTRY_BYTES_MAX + 1)
        start = max(0, end - stretch)
        octets = _read(path, start, _checked(path, end, size) - start)
        if start > 0:
            start += octets.find(b"\n") + 1
        placed = _placed(path, start, end - start)
        return LogPage(tuple(reversed(placed)), start if start > 0 else None)

    def entries_from(self, place: int, bytes_max: int) -> tuple[PlacedEntry, ...]:
        """Read entries from a place on, oldest first. Raises BadInputError, UnavailableError."""
        path, size = self._audit.extent
        start = _checked(path, place, size)
        return _placed(path, start, min(size - start, max(bytes_max, ENTRY_BYTES_MAX + 1)))

    def archive(self) -> Iterator[bytes]:
        """Write the log and what signs it as a tar file, piece by piece. Raises UnavailableError."""
        self._audit.checkpoint()  # at once: who cannot have it is told before anything of it has come
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        folder = self._audit.extent[0].parent
        for name in BESIDE:
            if (folder / name).exists():
                content = _read(folder / name, 0, BESIDE_BYTES_MAX)
                yield _tar_head(name, len(content)) + content + _padding(len(content))
        path, size = self._audit.extent
        yield _tar_head(LOG_NAME, size)
        for start in range(0, size, PIECE_BYTES):
            yield _read(path, start, min(PIECE_BYTES, size - start))
        yield _padding(size) + bytes(2 * tarfile.BLOCKSIZE)


def _checked(path: Path, place: int, size: int) -> int:
    if not 0 <= place <= size or (place > 0 and _read(path, place - 1, 1) != b"\n"):
        raise BadInputError("no entry of the log begins there", cure="go back to the newest entries")
    return place


def _placed(path: Path, start: int, length: int) -> tuple[PlacedEntry, ...]:
    found, place = [], start
    for line in _read(path, start, length).split(b"\n")[:-1]:
        found.append(PlacedEntry(place, decode_entry(line)))
        place += len(line) + 1
    return tuple(found)


def _read(path: Path, start: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, start)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnavailableError(
            f"the audit log cannot be read ({error.strerror})", cure="is the disk failing?"
        ) from error


def _tar_head(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(f"audit/{name}")
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
