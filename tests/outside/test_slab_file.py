"""Writing one slab: past the page cache where that works, each batch where it belongs, also after an error."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.slab import BLOCK_BYTES, SLAB_BYTES_MIN, SlabHeader, unpack_slab_header
from agent.outside.slab_file import SlabFile, open_for_writing
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_log import KEK
from tests.vectors.buffer.make import slab_header

HEADER: SlabHeader = replace(slab_header(), size=SLAB_BYTES_MIN)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[SlabVolume]:
    """Give a ring's directory."""
    with closing(SlabVolume(tmp_path, KEK)) as opened:
        yield opened


@pytest.fixture
def blocks() -> Iterator[memoryview]:
    """Give two blocks of page-aligned memory."""
    with mmap.mmap(-1, 2 * BLOCK_BYTES) as memory:
        memory[:] = b"b" * len(memory)
        with memoryview(memory) as view:
            yield view


class FullVolume(SlabVolume):
    """A volume whose files the kernel takes no byte for: they are `/dev/full`."""

    def open(self, slot: int, flags: int) -> int:
        """Open something else."""
        return os.open("/dev/full", flags & ~os.O_CREAT | os.O_CLOEXEC) if slot == 9 else super().open(slot, flags)


def test_a_slab_has_its_whole_size_and_the_old_key_is_gone(volume: SlabVolume, tmp_path: Path) -> None:
    """In a new file or in the place of an old one, larger or smaller."""
    for old in (b"", b"earlier lap" * 10, b"x" * (SLAB_BYTES_MIN + BLOCK_BYTES)):
        (tmp_path / "slab-00002").write_bytes(old)
        SlabFile.create(volume, 2, HEADER).close()
        assert (tmp_path / "slab-00002").stat().st_size == SLAB_BYTES_MIN
        assert unpack_slab_header(volume.read(2, 0, BLOCK_BYTES)) == HEADER


def test_batches_lie_behind_each_other_and_are_read_back(volume: SlabVolume, blocks: memoryview) -> None:
    """Each at a block's border; what is read back comes from the disk."""
    with closing(SlabFile.create(volume, 0, HEADER)) as file:
        assert [file.append(blocks), file.append(blocks[:BLOCK_BYTES])] == [BLOCK_BYTES, 3 * BLOCK_BYTES]
        assert file.end == 4 * BLOCK_BYTES
        file.sync()
        assert file.read_back(BLOCK_BYTES, 100) == b"b" * 100
    with closing(SlabFile(volume, 0, HEADER, end=4 * BLOCK_BYTES)) as file:
        assert file.append(blocks) == 4 * BLOCK_BYTES


def test_a_refused_write_leaves_the_end_where_it_was(tmp_path: Path, blocks: memoryview) -> None:
    """The same bytes can be written again at the same place."""
    with closing(FullVolume(tmp_path, KEK)) as volume, closing(SlabFile(volume, 9, HEADER, end=BLOCK_BYTES)) as file:
        with pytest.raises(OSError, match="No space left") as caught:
            file.append(blocks)
        assert caught.value.errno == errno.ENOSPC
        assert file.end == BLOCK_BYTES


def test_a_direct_write_that_is_refused_goes_through_the_page_cache(volume: SlabVolume, blocks: memoryview) -> None:
    """Memory off the border, which O_DIRECT cannot take, stands for file systems that refuse the write itself."""
    with closing(SlabFile.create(volume, 0, HEADER)) as file:
        was_direct = file.is_direct
        file.write(blocks[1 : 1 + BLOCK_BYTES], BLOCK_BYTES)
        assert not (was_direct and file.is_direct)
        assert file.read_back(BLOCK_BYTES, BLOCK_BYTES) == b"b" * BLOCK_BYTES


def test_a_slab_is_opened_again_only_if_it_is_the_same(volume: SlabVolume, blocks: memoryview) -> None:
    """After a disk was away there may be another slab in the file's place, or none."""
    with closing(SlabFile.create(volume, 0, HEADER)) as file:
        file.append(blocks)
        with closing(file.again(volume)) as again:
            assert (again.slot, again.header, again.end) == (0, HEADER, 3 * BLOCK_BYTES)
        SlabFile.create(volume, 0, replace(HEADER, id=7)).close()
        with pytest.raises(OSError, match="another slab"):
            file.again(volume)
        volume.remove(0)
        with pytest.raises(FileNotFoundError):
            file.again(volume)


def test_a_file_system_without_direct_writes_is_used_all_the_same(tmp_path: Path) -> None:
    """Where O_DIRECT is refused the file is opened without it; other errors stay errors."""
    with closing(FullVolume(tmp_path, KEK)) as volume:
        file, is_direct = open_for_writing(volume, 9)
        os.close(file)
        assert not is_direct
        with pytest.raises(FileNotFoundError):
            open_for_writing(volume, 1)
