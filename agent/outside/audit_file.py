"""The audit log on disk: one line per decision, synced before the decision takes effect, under signed checkpoints.

Rules of this file: `append` returns only after the line is on the disk. A line without its line break was being written
when the power went, so nobody was told of it: it is cut off. A line that is not as a signed checkpoint says it was
stops the log: a person must look.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import Clock
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.evidence.audit import (
    CHECKPOINTS_BYTES_MAX,
    CHECKPOINTS_NAME,
    ENTRY_BYTES_MAX,
    LOG_NAME,
    Checkpoint,
    Entry,
    Fault,
    decode_entry,
    encode_entry,
    make_entry,
    open_checkpoint,
    replay,
    sign_checkpoint,
    split_checkpoints,
)
from agent.evidence.merkle import leaf_hash
from agent.evidence.note import verifier_of
from agent.outside.folders import sync_folder

_TAIL_BYTES: Final = 256 * 1024  # what `latest` reads at a time


class ChangedLogError(ConfigurationError):
    """What the signed checkpoints cover is not what the log holds: somebody or a dying disk has changed it."""


def open_audit(folder: Path, origin: str, key: Ed25519PrivateKey, clock: Clock) -> AuditFile:
    """Open the log in `folder`; a changed one is kept aside for whoever examines it, and a new one begins with that.

    So a hub whose log was tampered with goes on recording, and everybody who has an old checkpoint can tell.
    """
    try:
        return AuditFile(folder / LOG_NAME, origin, key, clock)
    except ChangedLogError as error:
        aside = folder.with_name(f"{folder.name}.changed-{clock.now()}")
        folder.rename(aside)
        log = AuditFile(folder / LOG_NAME, origin, key, clock)
        log.append("log_changed", "", {"why": str(error)[:200], "kept": aside.name})
        return log


class AuditFile:
    """The log at `path`, with its checkpoints in a file `checkpoints` beside it. Implements `ports.Audit`.

    `origin` names the log in its checkpoints (the hub's id). Raises ConfigurationError if the log was changed or is
    in use by another process, UnavailableError if the disk fails.
    """

    def __init__(self, path: Path, origin: str, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._origin = origin
        self._key = key
        self._clock = clock
        self._lock = Lock()
        self._log = _AppendedFile(path)
        try:
            self._checkpoints = _AppendedFile(path.with_name(CHECKPOINTS_NAME))
        except BaseException:
            self._log.close()
            raise
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.healed_bytes = self._log.cut_torn_line()
        cure = f"keep {self._log.path.parent} as it is for whoever examines it, and start with an empty folder"
        try:
            notes, whole = split_checkpoints(self._checkpoints.content(CHECKPOINTS_BYTES_MAX))
            checkpoints = [open_checkpoint(note, verifier_of(self._origin, self._key)) for note in notes]
        except BadInputError as error:
            raise ChangedLogError(f"the audit log's checkpoints are damaged: {error}", cure=cure) from error
        self.healed_bytes += self._checkpoints.cut(whole)
        tree = replay(self._log.lines(), checkpoints)
        if isinstance(tree, Fault):
            raise ChangedLogError(f"the audit log was changed: {tree}", cure=cure)
        self._tree = tree
        self._size_signed = checkpoints[-1].size if checkpoints else 0

    def append(self, kind: str, ref: str, detail: Mapping[str, str | int]) -> None:
        """Write one entry with the time of now; it is on the disk when this returns. Raises UnavailableError."""
        with self._lock:
            line = encode_entry(make_entry(self._clock.now(), kind, ref, detail))
            self._log.append(line + b"\n")
            self._tree.append(leaf_hash(line))

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the tree's root as hex."""
        with self._lock:
            return self._tree.size, self._tree.root().hex()

    def checkpoint(self) -> str:
        """Sign the log as it is now, store the note beside it and return it. Raises UnavailableError."""
        with self._lock:
            note = sign_checkpoint(Checkpoint(self._origin, self._tree.size, self._tree.root()), self._key)
            if self._tree.size > self._size_signed:
                record = note.encode() + b"\n"
                if self._checkpoints.size + len(record) > CHECKPOINTS_BYTES_MAX:
                    self._thin_checkpoints()
                self._checkpoints.append(record)
                self._size_signed = self._tree.size
            return note

    def _thin_checkpoints(self) -> None:
        """Keep every second checkpoint, the newest among them: what they prove is the same, in wider steps."""
        notes, _ = split_checkpoints(self._checkpoints.content(CHECKPOINTS_BYTES_MAX))
        self._checkpoints.replace("".join(f"{note}\n" for note in notes[(len(notes) + 1) % 2 :: 2]).encode())

    def latest(self, count_max: int) -> list[Entry]:
        """Return the newest entries, newest first."""
        with self._lock:
            return [decode_entry(line) for line in self._log.last_lines(count_max)]

    def close(self) -> None:
        """Let go of both files."""
        self._log.close()
        self._checkpoints.close()


class _AppendedFile:
    """A file that only grows, by whole synced records; what a failed write left behind is cut off before the next."""

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
        return self._size

    def replace(self, content: bytes) -> None:
        """Put another file in the place of this one, whole or not at all. Raises UnavailableError."""
        unfinished = self.path.with_name(self.path.name + ".new")
        try:
            unfinished.unlink(missing_ok=True)
            new = _AppendedFile(unfinished)
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
        if self._size > bytes_max:
            raise BadInputError(f"{self.path.name} has more than {bytes_max} bytes")
        return os.pread(self._descriptor, self._size, 0)

    def lines(self) -> Iterator[bytes]:
        with self._reader() as file:
            while line := file.readline(ENTRY_BYTES_MAX + 2):
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

    def _reader(self) -> BinaryIO:
        return self.path.open("rb")
