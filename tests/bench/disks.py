"""A disk of its own for every recorder, so that what reaches the device, and how often it is flushed, can be counted.

An ext4 file system in a sparse file on a loop device. That takes root; anybody else gets a plain directory, and the
kernel's count of bytes per process has to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTOR_BYTES: Final = 512
_SECTORS_WRITTEN, _FLUSHES = 6, 15  # fields of /sys/block/*/stat: Documentation/block/stat.rst
# Few inodes, and all tables written at once: nothing of the file system's own making later on.
_MAKE: Final = ("mkfs.ext4", "-q", "-F", "-N", "2048", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0")


@dataclass(frozen=True, slots=True)
class Writes:
    """What has reached a device."""

    bytes: int
    flushes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a recorder writes. `counters` is None without a device of its own."""

    folder: Path
    counters: Path | None

    def writes(self) -> Writes | None:
        """Return the device's counters as they are now."""
        if self.counters is None:
            return None
        fields = self.counters.read_text().split()
        return Writes(int(fields[_SECTORS_WRITTEN]) * SECTOR_BYTES, int(fields[_FLUSHES]))

    def settle(self) -> None:
        """Bring everything that was written to the device."""
        subprocess.run(("sync", "--file-system", str(self.folder)), check=True)


def remove_leftovers(disks: Path) -> None:
    """Remove the disks of benches that were killed; their mounts ended with them."""
    for place in disks.glob("*-*"):
        if not Path("/proc", place.name.partition("-")[0]).exists():
            shutil.rmtree(place)


@contextmanager
def own_disk(disks: Path, name: str, size_bytes: int) -> Iterator[Disk]:
    """Make a disk of this process under `disks`, and remove it with all that is on it."""
    place = disks / f"{os.getpid()}-{name}"
    image, folder = place / "image", place / "disk"
    folder.mkdir(parents=True)
    try:
        is_mounted = _mount(image, folder, size_bytes)
        number = folder.stat().st_dev
        counters = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
        try:
            yield Disk(folder, counters if is_mounted else None)
        finally:
            if is_mounted:
                subprocess.run(("umount", str(folder)), check=True)
    finally:
        shutil.rmtree(place)


def _mount(image: Path, folder: Path, size_bytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    with image.open("wb") as file:
        file.truncate(size_bytes)
    try:
        subprocess.run((*_MAKE, str(image)), check=True, capture_output=True)
        mount = ("mount", "-o", "loop,noatime", str(image), str(folder))  # the loop device ends with the mount
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False  # a container may be root and still not mount
    return True
