"""A disk that writes down every write and every flush it gets, so that power can be cut at any moment afterwards.

A file system on a loop device whose image is a file served by this process through FUSE: what arrives here is what a
device gets, in its order, past every cache above. That takes root, /dev/fuse and loop devices.

Rules of this file: whoever mounts does it in a mount namespace of its own, where all of this ends with the process; a
write counts as kept for certain only if a flush that came after it was answered before the cut.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError

SECTOR_BYTES: Final = 512
_MAKE: Final = ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=4")
_WRITE_BYTES_MAX: Final = 1024 * 1024
_ROOM_BYTES: Final = _WRITE_BYTES_MAX + 64 * 1024
# Linux include/uapi/linux/fuse.h: operations, the flags that are asked for, and the structures, by their names there.
_GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _RELEASE, _FSYNC, _FLUSH, _INIT = 3, 4, 14, 15, 16, 18, 20, 25, 26
_FORGET, _INTERRUPT, _BATCH_FORGET = 2, 36, 42
_FUSE_ASYNC_READ, _FUSE_BIG_WRITES, _FUSE_MAX_PAGES = 1 << 0, 1 << 5, 1 << 22
_FOPEN_DIRECT_IO: Final = 1
_IN_HEADER: Final = struct.Struct("<IIQQIIIHH")
_OUT_HEADER: Final = struct.Struct("<IiQ")
_PLACE: Final = struct.Struct("<QQI")  # of read_in and write_in: handle, offset, size
_WRITE_IN_BYTES: Final = 40
_ATTR: Final = struct.Struct("<QII QQQQQQIIIIIIIIII")
_INIT_OUT: Final = struct.Struct("<IIIIHHIIHHI28x")
_MS_NOSUID, _MS_NODEV = 2, 4


class Keeping(StrEnum):
    """What a device has kept, when the power went, of what it had been given since its last flush."""

    ALL = "all"
    NONE = "none"
    PREFIX = "prefix"  # whole writes in their order, the last one torn
    SECTORS = "sectors"  # any of the sectors
    HOLES = "holes"  # nearly all of the sectors


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that were given to the device at a moment (UTC, ns); a flush has no bytes."""

    at: int
    offset: int
    octets: bytes

    @property
    def is_flush(self) -> bool:
        """Whether the device was told to keep all that came before."""
        return not self.octets


class LoggedDisk:
    """Serves an image file and logs. `log` grows while it serves; `first` is the image as it was before."""

    def __init__(self, image: Path, first: bytes) -> None:
        self.first = first
        self.log: list[Write] = []
        self._content = bytearray(first)
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        image.touch()
        # A file system whose root is a file: there is nothing to look up.
        options = f"fd={self._device},rootmode=100600,user_id=0,group_id=0"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"logged-disk", str(image).encode(), b"fuse", _MS_NOSUID | _MS_NODEV, options.encode()):
            os.close(self._device)
            raise UnavailableError(f"a disk cannot be served through FUSE: {os.strerror(ctypes.get_errno())}")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end, which comes with the unmounting."""
        self._thread.join()
        os.close(self._device)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _ROOM_BYTES)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in {errno.ENOENT, errno.EINTR}:
                    continue
                raise
            _, operation, unique, *_ = _IN_HEADER.unpack_from(request)
            if operation in {_FORGET, _INTERRUPT, _BATCH_FORGET}:
                continue
            answer = self._answer(operation, request)
            failure, body = (-errno.ENOSYS, b"") if answer is None else (0, answer)
            os.write(self._device, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), failure, unique) + body)

    def _answer(self, operation: int, request: bytes) -> bytes | None:
        """Do what is asked; None for what a disk need not know."""
        body = memoryview(request)[_IN_HEADER.size :]
        answer: bytes | None = None
        if operation == _INIT:
            flags, pages = _FUSE_ASYNC_READ | _FUSE_BIG_WRITES | _FUSE_MAX_PAGES, _WRITE_BYTES_MAX // 4096
            answer = _INIT_OUT.pack(7, 31, _WRITE_BYTES_MAX, flags, 16, 12, _WRITE_BYTES_MAX, 1, pages, 0, 0)
        elif operation in {_GETATTR, _SETATTR}:
            size = len(self._content)
            blocks = size // SECTOR_BYTES
            answer = _ATTR.pack(3600, 0, 0, 1, size, blocks, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0, 4096, 0)
        elif operation == _OPEN:
            answer = struct.pack("<QII", 0, _FOPEN_DIRECT_IO, 0)
        elif operation == _READ:
            _, offset, size = _PLACE.unpack_from(body)
            answer = bytes(self._content[offset : offset + size])
        elif operation == _WRITE:
            _, offset, size = _PLACE.unpack_from(body)
            octets = bytes(body[_WRITE_IN_BYTES : _WRITE_IN_BYTES + size])
            self._content[offset : offset + size] = octets
            self.log.append(Write(time.time_ns(), offset, octets))
            answer = struct.pack("<II", size, 0)
        elif operation in {_FSYNC, _RELEASE, _FLUSH}:
            if operation == _FSYNC:
                self.log.append(Write(time.time_ns(), 0, b""))
            answer = b""
        return answer


def images_after_cuts(
    disk: LoggedDisk, cuts: Iterable[tuple[int, Keeping]], chance: random.Random
) -> Iterator[bytearray]:
    """Yield the image as it may be after each cut (moment, what is kept); the moments rise."""
    certain, flushed, position = bytearray(disk.first), 0, 0
    for moment, keeping in cuts:
        while position < len(disk.log) and disk.log[position].at <= moment:
            if disk.log[position].is_flush:
                _apply(certain, disk.log[flushed:position])
                flushed = position + 1
            position += 1
        image = bytearray(certain)
        _apply(image, _kept([one for one in disk.log[flushed:position] if not one.is_flush], keeping, chance))
        yield image


def _apply(image: bytearray, writes: Iterable[Write]) -> None:
    for one in writes:
        image[one.offset : one.offset + len(one.octets)] = one.octets


def _kept(writes: list[Write], keeping: Keeping, chance: random.Random) -> list[Write]:
    match keeping:
        case Keeping.ALL:
            return writes
        case Keeping.NONE:
            return []
        case Keeping.PREFIX if writes:
            whole = chance.randrange(len(writes))
            return [*writes[:whole], *_sectors(writes[whole : whole + 1])[: chance.randrange(256)]]
        case Keeping.PREFIX:
            return []
        case Keeping.SECTORS:
            share = chance.random()
            return [one for one in _sectors(writes) if chance.random() < share]
        case Keeping.HOLES:
            sectors = _sectors(writes)
            missing = set(chance.sample(range(len(sectors)), min(len(sectors), 3)))
            return [one for place, one in enumerate(sectors) if place not in missing]


def _sectors(writes: Iterable[Write]) -> list[Write]:
    return [
        Write(one.at, one.offset + at, one.octets[at : at + SECTOR_BYTES])
        for one in writes
        for at in range(0, len(one.octets), SECTOR_BYTES)
    ]


@contextmanager
def logged_disk(place: Path, folder: Path, size_bytes: int) -> Iterator[LoggedDisk]:
    """Mount a new ext4 file system at `folder`; everything else that it needs lies in `place`.

    Raises UnavailableError where that is not possible.
    """
    plain, image = place / "plain", place / "logged"
    with plain.open("wb") as file:
        file.truncate(size_bytes)
    run(*_MAKE, str(plain))
    disk = LoggedDisk(image, plain.read_bytes())
    plain.unlink()
    try:
        with mounted(image, folder):
            yield disk
    finally:
        subprocess.run(("umount", str(image)), check=True)
        disk.join()


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    """Mount an image as a person would after the power is back: the file system's journal is replayed."""
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop,noatime", str(image), str(folder))
    try:
        yield
    finally:
        run("umount", str(folder))


def run(*argv: str) -> None:
    """Run a program. Raises UnavailableError with what it says if it fails."""
    if shutil.which(argv[0]) is None:
        raise UnavailableError(f"{argv[0]} is missing", cure="install e2fsprogs and util-linux")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{' '.join(argv)}: {done.stderr.strip()}")
