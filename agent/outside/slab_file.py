"""One slab on disk while it is written: batches one behind the other, past the page cache where that is possible.

Rules of this file: all errors are OSError; after one, the same bytes may be written again at the same place.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from agent.buffer.slab import BLOCK_BYTES, SlabHeader, pack_slab_header
from agent.outside.slab_volume import SlabVolume

_STAT_BLOCK_BYTES: Final = 512  # the unit of st_blocks, whatever the file system's own is


class SlabFile:
    """The open file of one slab; `end` is where its next batch belongs."""

    def __init__(self, volume: SlabVolume, slot: int, header: SlabHeader, *, end: int) -> None:
        self.slot = slot
        self.header = header
        self.end = end
        self._volume = volume
        self._file, self.is_direct = open_for_writing(volume, slot)

    @classmethod
    def create(cls, volume: SlabVolume, slot: int, header: SlabHeader) -> SlabFile:
        """Make a slab in a new file or in the place of an old one, whose key is gone when this returns."""
        file = volume.open(slot, os.O_RDWR | os.O_CREAT)
        try:
            before = os.fstat(file)
            # The new header replaces the old key before anything else happens to the file.
            os.pwrite(file, pack_slab_header(header), 0)
            os.fdatasync(file)
            # A place of the right size, with blocks for all of it, costs this one sync and no more.
            if before.st_size != header.size or before.st_blocks * _STAT_BLOCK_BYTES < header.size:
                if before.st_size > header.size:
                    os.ftruncate(file, header.size)
                os.posix_fallocate(file, 0, header.size)
                os.fsync(file)
                volume.sync()
        finally:
            os.close(file)
        return cls(volume, slot, header, end=BLOCK_BYTES)

    def again(self, volume: SlabVolume) -> SlabFile:
        """Open the same slab on a disk that was taken out and put back in."""
        file = SlabFile(volume, self.slot, self.header, end=self.end)
        try:
            is_same = file.read_back(0, BLOCK_BYTES) == pack_slab_header(self.header)
        except OSError:
            file.close()
            raise
        if not is_same:
            file.close()
            raise OSError(errno.ENOENT, "another slab is in its place")
        return file

    def append(self, batch: memoryview) -> int:
        """Write a batch of whole blocks behind the last one, without waiting for the disk; return its offset."""
        offset = self.end
        self.write(batch, offset)
        self.end = offset + len(batch)
        return offset

    def write(self, blocks: memoryview, offset: int) -> None:
        """Write whole blocks at a block's border."""
        done = 0
        while done < len(blocks):
            # A disk that stops within a write only says how far it came; the next write says why.
            written = self._write(blocks[done:], offset + done)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += written

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        os.fdatasync(self._file)

    def read_back(self, offset: int, length: int) -> bytes:
        """Read what is really on the disk, not what the page cache has kept of it."""
        file = self._volume.open(self.slot, os.O_RDONLY)
        try:
            os.posix_fadvise(file, offset, length, os.POSIX_FADV_DONTNEED)
            return os.pread(file, length, offset)
        finally:
            os.close(file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, blocks: memoryview, offset: int) -> int:
        with blocks:
            try:
                return os.pwrite(self._file, blocks, offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not self.is_direct:
                    raise
            # Some file systems let a file be opened with O_DIRECT and refuse only the write.
            direct, self._file = self._file, self._volume.open(self.slot, os.O_WRONLY)
            self.is_direct = False
            os.close(direct)
            return os.pwrite(self._file, blocks, offset)


def open_for_writing(volume: SlabVolume, slot: int) -> tuple[int, bool]:
    """Open a slab file past the page cache where the file system can; return the descriptor and whether it could."""
    try:
        return volume.open(slot, os.O_WRONLY | os.O_DIRECT), True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return volume.open(slot, os.O_WRONLY), False
