"""What a start reads of every slab is in memory before it is read; a slab that cannot be read troubles nobody."""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import closing
from pathlib import Path

from agent.buffer.slab import BLOCK_BYTES
from agent.buffer.slab_index import unpack_footer
from agent.outside.slab_readahead import read_ahead
from agent.outside.slab_volume import SlabVolume
from tests.simulators.eventually import until
from tests.simulators.ring_log import KEK, MIB, opened, record, sequences


def left_slab(directory: Path) -> Path:
    """Make a ring with a slab that was left."""
    with closing(opened(directory)) as log:
        record(log, range(1, 31), size=500_000)
    return directory / "slab-00000"


def is_cached(file: int, offset: int, length: int) -> bool:
    """Whether all pages of a part of a file are in the page cache (mincore)."""
    begin = offset // mmap.PAGESIZE * mmap.PAGESIZE
    with mmap.mmap(file, offset + length - begin, mmap.MAP_PRIVATE, offset=begin) as mapped:
        pages = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        place = (ctypes.c_char * len(mapped)).from_buffer(mapped)
        ctypes.CDLL(None).mincore(place, ctypes.c_size_t(len(mapped)), pages)
        del place
    return all(page & 1 for page in pages)


def test_header_index_and_footer_are_brought(tmp_path: Path) -> None:
    """They were forgotten, and are there soon after, though nobody has read them."""
    slab = left_slab(tmp_path)
    with slab.open("rb") as file:
        footer = unpack_footer(os.pread(file.fileno(), BLOCK_BYTES, 8 * MIB - BLOCK_BYTES))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        volume = SlabVolume(tmp_path, KEK)
        read_ahead(volume, [0])
        volume.close()
        for offset, length in ((0, BLOCK_BYTES), (footer.offset, footer.length), (8 * MIB - BLOCK_BYTES, BLOCK_BYTES)):
            until(lambda at=offset, size=length: is_cached(file.fileno(), at, size))


def test_nothing_that_is_wrong_with_a_slab_matters(tmp_path: Path) -> None:
    """Absent, empty, too short, without a footer: it only hints, and the ring is opened all the same."""
    left_slab(tmp_path)
    (tmp_path / "slab-00007").touch()
    (tmp_path / "slab-00008").write_bytes(b"x" * 100)
    volume = SlabVolume(tmp_path, KEK)
    read_ahead(volume, [0, 1, 7, 8, 9])
    volume.close()
    with closing(opened(tmp_path)) as log:
        assert sequences(log) == list(range(1, 31))
