"""The files of the slabs that are being written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.slab import BLOCK_BYTES, Cipher, Lane, pack_slab_header
from agent.outside.open_slabs import OpenSlabs
from agent.outside.slab_batches import Slab
from agent.outside.slab_places import SlabPlaces
from agent.outside.slab_sealing import new_slab
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_content import StillClock
from tests.simulators.ring_log import KEK, SETTINGS


@pytest.fixture
def slabs(tmp_path: Path) -> Iterator[OpenSlabs]:
    """Open a ring's directory."""
    with closing(SlabVolume(tmp_path, KEK)) as volume:
        shelf = SlabShelf(KEK)
        made = OpenSlabs(volume, shelf, SlabPlaces(volume, shelf, SETTINGS, StillClock()), KEK)
        yield made
        made.close_all()


def slab() -> Slab:
    """Begin a slab."""
    return new_slab(Lane.SHARED, Cipher.AES_256_GCM, SETTINGS.slab_bytes, StillClock())


def test_a_slab_gets_a_file_a_number_and_a_place_in_the_index(slabs: OpenSlabs) -> None:
    """Its header is on the disk when that returns, with a key that this ring can unwrap."""
    one, other = slab(), slab()
    first, second = slabs.make(one, is_last_try=False), slabs.make(other, is_last_try=False)
    assert slabs.slots == [0, 1]
    assert (first.header.number, second.header.number) == (1, 2)
    assert slabs.shelf.headers() == {0: first.header, 1: second.header}
    assert slabs.volume.read(0, 0, BLOCK_BYTES) == pack_slab_header(first.header)
    assert one.is_begun
    slabs.shelf.opener(1)


@pytest.mark.parametrize("is_last_try", [False, True])
def test_a_place_that_fails_is_left_after_the_last_try_only(
    slabs: OpenSlabs, tmp_path: Path, *, is_last_try: bool
) -> None:
    """A number is not used twice, and no file of the failure is in the index."""
    (tmp_path / "slab-00000").mkdir()  # what nobody can write to
    with pytest.raises(OSError, match="directory"):
        slabs.make(slab(), is_last_try=is_last_try)
    assert slabs.shelf.headers() == {}
    (tmp_path / "slab-00000").rmdir()
    assert slabs.make(slab(), is_last_try=False).header.number == 2


def test_a_slab_of_before_is_gone_on_with(slabs: OpenSlabs) -> None:
    """In its file, behind its last batch."""
    before = slab()
    header = slabs.make(before, is_last_try=False).header
    slabs.close(before)
    slabs.close(before)  # it has no file any more
    assert slabs.slots == []
    before.end = 3 * BLOCK_BYTES
    slabs.resume(before, 0, header)
    assert slabs.files[before].end == 3 * BLOCK_BYTES


def test_a_disk_that_is_put_back_in_has_the_same_slab_or_another(slabs: OpenSlabs) -> None:
    """The same is opened again; if another is in its place, the old file stays as it was."""
    one = slab()
    old = slabs.make(one, is_last_try=False)
    slabs.open_again(one)
    again = slabs.files[one]
    assert again is not old
    assert (again.slot, again.end, again.header) == (old.slot, old.end, old.header)
    file = slabs.volume.open(0, os.O_WRONLY)
    os.pwrite(file, bytes(BLOCK_BYTES), 0)
    os.close(file)
    with pytest.raises(OSError, match="another slab"):
        slabs.open_again(one)
    assert slabs.files[one] is again
