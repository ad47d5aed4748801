"""Chunks between write and name: all of them after a sync, and after a failed one those that are really there."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.slab import BLOCK_BYTES, Cipher, Lane
from agent.outside.open_slabs import OpenSlabs
from agent.outside.slab_batches import BATCH_BYTES, Batch, Slab
from agent.outside.slab_file import SlabFile
from agent.outside.slab_places import SlabPlaces
from agent.outside.slab_sealing import new_slab
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_unsynced import Unsynced
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_content import CAMERA, StillClock, media, stream
from tests.simulators.ring_log import EVERYTHING, KEK, SETTINGS, payload


class Slabs:
    """Open slabs on a disk, and what is written to them."""

    def __init__(self, directory: Path) -> None:
        self.volume, self.shelf, self.clock = SlabVolume(directory, KEK), SlabShelf(KEK), StillClock()
        self.open = OpenSlabs(self.volume, self.shelf, SlabPlaces(self.volume, self.shelf, SETTINGS, self.clock), KEK)
        self.unsynced = Unsynced(self.shelf)

    def slab(self) -> Slab:
        """Make a slab with its file."""
        slab = new_slab(Lane.SHARED, Cipher.AES_256_GCM, SETTINGS.slab_bytes, self.clock)
        self.open.make(slab, is_last_try=False)
        return slab

    def write(self, slab: Slab, *sequences: int) -> Batch:
        """Write one batch, of the run's stream chunk and these."""
        with mmap.mmap(-1, BATCH_BYTES) as memory:
            batch = Batch(slab, memory)
            batch.seal(*stream(CAMERA, 1))
            for sequence in sequences:
                batch.seal(media(sequence), payload(sequence))
            with batch.blocks() as blocks:
                self.unsynced.note(batch, self.file(slab).append(blocks))
        slab.in_file.add((CAMERA, 1))
        return batch

    def file(self, slab: Slab) -> SlabFile:
        """Return a slab's file."""
        return self.open.files[slab]

    def named(self) -> list[int]:
        """Return what readers find."""
        return [chunk.meta.sequence for chunk in self.shelf.footage(CAMERA, EVERYTHING).chunks]


@pytest.fixture
def slabs(tmp_path: Path) -> Iterator[Slabs]:
    """Open a directory."""
    made = Slabs(tmp_path)
    with closing(made.volume):
        yield made
        made.open.close_all()


def test_chunks_are_named_slab_by_slab_and_once(slabs: Slabs) -> None:
    """Nothing before; and the slabs that have something to sync are told in the order of writing."""
    one, other = slabs.slab(), slabs.slab()
    slabs.write(other, 1)
    slabs.write(one, 2)
    slabs.write(other, 3)
    assert (slabs.unsynced.slabs, slabs.named()) == ([other, one], [])
    assert slabs.unsynced.publish(other, slabs.file(other)) == 0
    assert (slabs.unsynced.slabs, slabs.named()) == ([one], [1, 3])
    assert slabs.unsynced.publish(one, slabs.file(one)) == 0
    assert slabs.unsynced.slabs == []
    assert sorted(slabs.named()) == [1, 2, 3]


def test_in_doubt_what_is_there_is_named_and_the_rest_is_counted(slabs: Slabs) -> None:
    """A media chunk is lost; a stream chunk that is gone must come again. After that, there is no doubt."""
    slab = slabs.slab()
    batch = slabs.write(slab, 1, 2, 3)
    for lost in (batch.chunks[0], batch.chunks[2]):
        overwrite(slabs, slab, lost.offset)
    slabs.unsynced.doubt(slab)
    assert slabs.unsynced.publish(slab, slabs.file(slab)) == 1
    assert slab.in_file == set()
    slabs.write(slab, 4)
    assert slabs.unsynced.publish(slab, slabs.file(slab)) == 0
    assert slabs.named() == [1, 3, 4]


def overwrite(slabs: Slabs, slab: Slab, offset: int) -> None:
    """Lose what the slab's first batch has at this place."""
    file = slabs.volume.open(slabs.file(slab).slot, os.O_WRONLY)
    os.pwrite(file, bytes(100), BLOCK_BYTES + offset)
    os.close(file)


def test_what_went_with_its_disk_is_counted(slabs: Slabs) -> None:
    """And never named."""
    slab = slabs.slab()
    slabs.write(slab, 1, 2)
    assert slabs.unsynced.lose(slab) == 2
    assert (slabs.unsynced.slabs, slabs.named(), slab.in_file) == ([], [], set())
