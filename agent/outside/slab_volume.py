"""The ring's directory: is it the right disk, who may use it, which slab files there are, how their blocks are read.

Rules of this file: everything goes through a descriptor of the directory, so that nothing ever lands on another disk
that is mounted, or not mounted, at its path; the directory is 0700, files are 0600; a slab's first block is overwritten
and synced before its place is used again or its file removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from zlib import crc32

from agent.buffer.slab import BLOCK_BYTES, KEY_BYTES, VOLUME_ID_BYTES
from agent.crypto import Secret, hkdf_sha256
from agent.errors import ConfigurationError, UnavailableError

_MAGIC: Final = b"TRANSVOL\x01\0\0\0\0\0\0\0"
_MARKER: Final = "volume"
_MARKER_BYTES: Final = len(_MAGIC) + VOLUME_ID_BYTES + KEY_BYTES + 4
_KEY_CHECK_INFO: Final = b"transom ring key check v1"
_SLAB_NAME: Final = re.compile(r"slab-(\d{5})")


class VolumeAwayError(UnavailableError):
    """The ring's disk is not there, or another one is in its place: recording waits for the right one."""


class SlabVolume:
    """One ring's directory, locked for this process until `close`.

    `known` is a file elsewhere that remembers which disk is the ring's; without it any new directory is taken. Raises
    ConfigurationError if another process has the ring or it belongs to another key, VolumeAwayError if its disk is not
    there.
    """

    def __init__(self, directory: Path, key_encryption_key: Secret, known: Path | None = None) -> None:
        if len(key_encryption_key.reveal()) != KEY_BYTES:
            raise ConfigurationError(
                "the ring's key is not 32 bytes", cure="remove the key file to have a new one made"
            )
        self._path = directory
        self._key_encryption_key = key_encryption_key
        self._known = known
        self.id, self._directory, self._lock = self._open(_remembered(known))

    def close(self) -> None:
        """Let another process have the ring."""
        os.close(self._lock)
        os.close(self._directory)

    def renew(self) -> bool:
        """After errors: see whether the disk was taken out and put back in; return whether it was.

        Raises VolumeAwayError while it is not there, ConfigurationError if a person must act. Files opened before
        belong to the mount that has gone.
        """
        try:
            now, then = self._path.stat(), os.fstat(self._directory)
        except OSError as error:
            raise _away(self._path, error) from error
        if (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino):
            return False
        old = self._directory, self._lock
        _, self._directory, self._lock = self._open(self.id)
        for file in old:
            os.close(file)
        return True

    def slots(self) -> list[int]:
        """Return the numbers of the slab files there are. Raises OSError."""
        names = (_SLAB_NAME.fullmatch(name) for name in os.listdir(self._directory))  # noqa: PTH208 - a descriptor
        return sorted(int(name[1]) for name in names if name)

    def open(self, slot: int, flags: int) -> int:
        """Open a slot's file. Raises OSError."""
        return os.open(_name(slot), flags | os.O_CLOEXEC, 0o600, dir_fd=self._directory)

    def free_bytes(self) -> int:
        """Return how much the disk has left. Raises OSError."""
        room = os.statvfs(self._directory)
        return room.f_bavail * room.f_frsize

    def read(self, slot: int, offset: int, length: int) -> bytes:
        """Read bytes of a slab, fewer at its end; raises UnavailableError."""
        with self.reading(slot) as read:
            return read(offset, length)

    @contextmanager
    def reading(self, slot: int) -> Iterator[Callable[[int, int], bytes]]:
        """Open a slab for several reads (offset, length); each raises UnavailableError."""
        try:
            file = self.open(slot, os.O_RDONLY)
        except OSError as error:
            raise _unreadable(slot, error) from error

        def read(offset: int, length: int) -> bytes:
            try:
                return os.pread(file, length, offset)
            except OSError as error:
                raise _unreadable(slot, error) from error

        try:
            yield read
        finally:
            os.close(file)

    def destroy(self, slot: int) -> None:
        """Overwrite a slab's header, so that nobody can read its chunks any more. Raises OSError."""
        file = self.open(slot, os.O_WRONLY)
        try:
            os.pwrite(file, bytes(BLOCK_BYTES), 0)
            os.fdatasync(file)
        finally:
            os.close(file)

    def remove(self, slot: int) -> None:
        """Destroy a slab and give its file back to the disk. Raises OSError."""
        self.destroy(slot)
        self.unlink(slot)
        self.sync()

    def unlink(self, slot: int) -> None:
        """Remove a slot's name if it is there. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(_name(slot), dir_fd=self._directory)

    def sync(self) -> None:
        """Make new and removed names last. Raises OSError."""
        os.fsync(self._directory)

    def _open(self, remembered: bytes | None) -> tuple[bytes, int, int]:
        """Open and lock the directory and check that it is the remembered ring's, or make it a ring if none is.

        Return volume id, directory and lock.
        """
        with ExitStack() as opened:
            try:
                if remembered is None:
                    self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
                directory = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                opened.callback(os.close, directory)
                volume = self._identify(directory, remembered)
                lock = self._take_lock(directory)
                opened.callback(os.close, lock)
            except OSError as error:
                raise _away(self._path, error) from error
            if remembered is None and self._known is not None:
                _remember(self._known, volume)
            opened.pop_all()
        return volume, directory, lock

    def _take_lock(self, directory: int) -> int:
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise ConfigurationError(
                f"another process records into {self._path}",
                cure="stop it first, or give this one its own directory",
            ) from error
        return lock

    def _identify(self, directory: int, remembered: bytes | None) -> bytes:
        """Return the id in the directory's marker; write one if the directory is new and none is remembered."""
        try:
            raw = _read_whole(directory, _MARKER)
        except FileNotFoundError:
            if remembered is not None:
                raise VolumeAwayError(
                    f"the ring's disk is not mounted at {self._path}",
                    cure=f"mount it; to begin a new ring there, {self._renewal()}",
                ) from None
            if any(_SLAB_NAME.fullmatch(name) for name in os.listdir(directory)):
                raise ConfigurationError(
                    f"{self._path / _MARKER} is missing but there are slabs beside it",
                    cure="bring it back, or empty the directory to begin a new ring",
                ) from None
            raw = self._new_marker()
            _write_whole(directory, _MARKER, raw)
        volume, key_check = self._parsed(raw)
        # Whose disk it is comes first: nobody shall be told to empty another hub's ring because its key is another.
        if remembered is not None and volume != remembered:
            raise VolumeAwayError(
                f"another ring's disk is mounted at {self._path}",
                cure=f"mount this hub's disk; to go on with the one that is there, {self._renewal()}",
            )
        if key_check != _key_check(volume, self._key_encryption_key):
            raise ConfigurationError(
                f"the footage in {self._path} was recorded under another key",
                cure="bring the hub's key back, or empty the directory to begin a new ring",
            )
        return volume

    def _renewal(self) -> str:
        """Say how a person makes the hub take another disk for its ring."""
        return f"remove {self._known} and restart the hub's software" if self._known else "restart the hub's software"

    def _parsed(self, raw: bytes) -> tuple[bytes, bytes]:
        """Return a marker's volume id and key check."""
        head, checksum = raw[:-4], raw[-4:]
        if len(raw) != _MARKER_BYTES or not head.startswith(_MAGIC) or crc32(head).to_bytes(4, "little") != checksum:
            raise ConfigurationError(
                f"{self._path / _MARKER} is damaged or of another version",
                cure="empty the directory to begin a new ring",
            )
        return head[len(_MAGIC) :][:VOLUME_ID_BYTES], head[len(_MAGIC) + VOLUME_ID_BYTES :]

    def _new_marker(self) -> bytes:
        volume = os.urandom(VOLUME_ID_BYTES)
        head = _MAGIC + volume + _key_check(volume, self._key_encryption_key)
        return head + crc32(head).to_bytes(4, "little")


def _remembered(known: Path | None) -> bytes | None:
    """Read the id of the ring's disk; None if there was no ring yet."""
    try:
        volume = bytes.fromhex(known.read_text("ascii").strip()) if known else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _no_memory(known) from error
    if volume is not None and len(volume) != VOLUME_ID_BYTES:
        raise _no_memory(known)
    return volume


def _remember(known: Path, volume: bytes) -> None:
    try:
        directory = os.open(known.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _write_whole(directory, known.name, volume.hex().encode() + b"\n")
        finally:
            os.close(directory)
    except OSError as error:
        raise UnavailableError(
            f"{known}, which says which disk is the ring's, cannot be written: {error.strerror}",
            cure="check that its directory is there and its disk has room",
        ) from error


def _no_memory(known: Path | None) -> ConfigurationError:
    return ConfigurationError(
        f"{known}, which says which disk is the ring's, cannot be read", cure="remove it if the disk is right"
    )


def _key_check(volume: bytes, key_encryption_key: Secret) -> bytes:
    """Return bytes that show which key a ring belongs to and say nothing else about it."""
    return hkdf_sha256(key_encryption_key, info=_KEY_CHECK_INFO, salt=volume).reveal()


def _read_whole(directory: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(file, 2 * _MARKER_BYTES)
    finally:
        os.close(file)


def _write_whole(directory: int, name: str, content: bytes) -> None:
    """Write a small file so that it is there whole after a power cut, or not at all. Raises OSError."""
    file = os.open(f"{name}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        if os.write(file, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(f"{name}.new", name, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def _name(slot: int) -> str:
    return f"slab-{slot:05d}"


def _away(path: Path, error: OSError) -> VolumeAwayError:
    return VolumeAwayError(
        f"the ring's directory {path} cannot be used: {error.strerror}",
        cure="check that its disk is mounted and writable for the hub's user",
    )


def _unreadable(slot: int, error: OSError) -> UnavailableError:
    return UnavailableError(f"slab file {slot} cannot be read: {error.strerror}")
