"""The ring's directory: who may use it, which slab files there are, and how their blocks are read and destroyed.

Rules of this file: the directory is 0700, files are 0600; a slab's first block is overwritten and synced before its
place is used again or its file removed.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zlib import crc32

from agent.buffer.slab import BLOCK_BYTES, KEY_BYTES, VOLUME_ID_BYTES
from agent.crypto import Secret, hkdf_sha256
from agent.errors import ConfigurationError, UnavailableError

_MAGIC: Final = b"TRANSVOL\x01\0\0\0\0\0\0\0"
_MARKER_BYTES: Final = len(_MAGIC) + VOLUME_ID_BYTES + KEY_BYTES + 4
_KEY_CHECK_INFO: Final = b"transom ring key check v1"
_SLAB_NAME: Final = re.compile(r"slab-(\d{5})")


class SlabVolume:
    """One ring's directory, locked for this process until `close`.

    Raises ConfigurationError if another process has it, if it belongs to another key or cannot be used.
    """

    def __init__(self, directory: Path, key_encryption_key: Secret) -> None:
        if len(key_encryption_key.reveal()) != KEY_BYTES:
            raise ConfigurationError(
                "the ring's key is not 32 bytes", cure="remove the key file to have a new one made"
            )
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"the ring's directory {directory} cannot be used: {error.strerror}",
                cure="check that its disk is mounted and writable for the hub's user",
            ) from error
        try:
            self._take_lock()
            self.id = self._identify(key_encryption_key)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let another process have the ring."""
        os.close(self._lock)

    def slots(self) -> list[int]:
        """Return the numbers of the slab files there are."""
        names = (_SLAB_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def path(self, slot: int) -> Path:
        """Return a slot's file."""
        return self._directory / f"slab-{slot:05d}"

    def free_bytes(self) -> int:
        """Return how much the disk has left."""
        room = os.statvfs(self._directory)
        return room.f_bavail * room.f_frsize

    def reader(self, slot: int) -> Callable[[int, int], bytes]:
        """Return a function (offset, length) to bytes of a slab; it opens the file for each call."""
        return lambda offset, length: self.read(slot, offset, length)

    def read(self, slot: int, offset: int, length: int) -> bytes:
        """Read bytes of a slab, fewer at its end; raises UnavailableError."""
        try:
            file = os.open(self.path(slot), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(file, length, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise UnavailableError(f"slab file {slot} cannot be read: {error.strerror}") from error

    def destroy(self, slot: int) -> None:
        """Overwrite a slab's header, so that nobody can read its chunks any more. Raises OSError."""
        file = os.open(self.path(slot), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(file, bytes(BLOCK_BYTES), 0)
            os.fdatasync(file)
        finally:
            os.close(file)

    def remove(self, slot: int) -> None:
        """Destroy a slab and give its file back to the disk. Raises OSError."""
        self.destroy(slot)
        self.path(slot).unlink()
        self.sync()

    def sync(self) -> None:
        """Make new and removed names last."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another process records into {self._directory}",
                cure="stop it first, or give this one its own directory",
            ) from error

    def _identify(self, key_encryption_key: Secret) -> bytes:
        marker = self._directory / "volume"
        if not marker.exists():
            if self.slots():
                raise ConfigurationError(
                    f"{marker} is missing but there are slabs beside it",
                    cure="bring it back, or empty the directory to begin a new ring",
                )
            self._write_marker(marker, key_encryption_key)
        raw = marker.read_bytes()
        head, checksum = raw[:-4], raw[-4:]
        if len(raw) != _MARKER_BYTES or not head.startswith(_MAGIC) or crc32(head).to_bytes(4, "little") != checksum:
            raise ConfigurationError(
                f"{marker} is damaged or of another version", cure="empty the directory to begin a new ring"
            )
        volume = head[len(_MAGIC) :][:VOLUME_ID_BYTES]
        if head[len(_MAGIC) + VOLUME_ID_BYTES :] != _key_check(volume, key_encryption_key):
            raise ConfigurationError(
                f"the footage in {self._directory} was recorded under another key",
                cure="bring the hub's key back, or empty the directory to begin a new ring",
            )
        return volume

    def _write_marker(self, marker: Path, key_encryption_key: Secret) -> None:
        volume = os.urandom(VOLUME_ID_BYTES)
        head = _MAGIC + volume + _key_check(volume, key_encryption_key)
        new = marker.with_suffix(".new")
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, head + crc32(head).to_bytes(4, "little"))
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(marker)
        self.sync()


def _key_check(volume: bytes, key_encryption_key: Secret) -> bytes:
    """Return bytes that show which key a ring belongs to and say nothing else about it."""
    return hkdf_sha256(key_encryption_key, info=_KEY_CHECK_INFO, salt=volume).reveal()
