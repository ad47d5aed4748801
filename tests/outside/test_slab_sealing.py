"""Chunks become batches of slabs: stream chunks once per slab, and a slab ends in time and with room for its index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.chunk import ChunkKind
from agent.buffer.slab import BLOCK_BYTES, Cipher, Lane, padded
from agent.buffer.slab_index import index_bytes_max
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.outside.slab_batches import BATCH_BYTES, CHUNK_EXTRA_BYTES, Batch, BatchQueue, Item, Slab, SlabEnd
from agent.outside.slab_sealing import Sealing, StreamPayload
from tests.simulators.ring_content import CAMERA, StillClock, media, stream
from tests.simulators.ring_log import EVERYTHING, MIB, SETTINGS, payload
from tests.simulators.ring_parts import RingParts

STREAM = StreamPayload(*stream())


class Side:
    """The recorder's side alone."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.queue = BatchQueue(64 * MIB)
        self.sealing = Sealing(self.queue, SETTINGS, Cipher.CHACHA20_POLY1305, self.clock)

    def append(self, sequence: int, size: int, lane: Lane = Lane.SHARED) -> None:
        """Append a chunk."""
        self.sealing.append(lane, media(sequence), payload(sequence, size), STREAM)

    def items(self) -> list[Item]:
        """Take what was handed over."""
        found = []
        while (item := self.queue.first(0)) is not None:
            found.append(item)
            if isinstance(item, Batch):
                item.memory = item.memory  # stays readable: the queue keeps some spares only
            self.queue.done()
        return found


@pytest.fixture
def side() -> Iterator[Side]:
    """Give the recorder's side."""
    made = Side()
    yield made
    made.queue.free()


def words(items: list[Item]) -> list[object]:
    """Say what items are: of a batch the kinds of its chunks."""
    return [
        [placed.meta.kind.name for placed in item.chunks] if isinstance(item, Batch) else type(item).__name__
        for item in items
    ]


def test_a_commit_hands_over_what_there_is_once(side: Side) -> None:
    """The stream chunk stands before the first media chunk; without news nothing is handed over."""
    side.append(1, 100)
    side.append(2, 100)
    assert words(side.items()) == []
    side.sealing.commit()
    side.sealing.commit()
    assert words(side.items()) == [["STREAM", "MEDIA", "MEDIA"], "Commit"]
    side.append(3, 100)
    side.sealing.commit()
    assert words(side.items()) == [["MEDIA"], "Commit"]


def test_a_full_batch_goes_at_once(side: Side) -> None:
    """The disk works while the second goes on."""
    for sequence in (1, 2, 3):
        side.append(sequence, 400_000)
    assert words(side.items()) == [["STREAM", "MEDIA", "MEDIA"]]


def test_lanes_have_slabs_of_their_own(side: Side) -> None:
    """One commit brings both; the stream chunk is in each."""
    side.append(1, 100)
    side.append(2, 100, Lane.APART)
    side.sealing.commit()
    items = side.items()
    assert words(items) == [["STREAM", "MEDIA"], ["STREAM", "MEDIA"], "Commit"]
    owners = [item.slab for item in items if isinstance(item, Batch)]
    assert [owner.lane for owner in owners] == [Lane.SHARED, Lane.APART]
    assert owners[0].id != owners[1].id


@pytest.mark.parametrize("size", [100, 20_000, MIB - BLOCK_BYTES])
def test_a_slab_is_never_overrun(side: Side, size: int) -> None:
    """Batches and index fit, whatever the chunks; the next slab begins with a stream chunk."""
    ends: dict[Slab, int] = {}
    chunks: dict[Slab, int] = {}
    for sequence in range(1, 20 * MIB // (size + 4000) + 2):
        side.append(sequence, size)
        side.sealing.commit()
        for item in side.items():
            if isinstance(item, Batch):
                first = item.slab not in ends
                assert (item.chunks[0].meta.kind is ChunkKind.STREAM) == first
                ends[item.slab] = ends.get(item.slab, BLOCK_BYTES) + padded(item.length)
                chunks[item.slab] = chunks.get(item.slab, 0) + len(item.chunks)
    assert len(ends) >= 2
    assert all(end + index_bytes_max(chunks[owner], 1) <= owner.size for owner, end in ends.items())
    assert all(end > owner.size - 3 * MIB for owner, end in list(ends.items())[:-1])


def test_a_slab_ends_with_age_although_nothing_comes(side: Side) -> None:
    """A quiet camera's footage can expire; the end is committed, and the next chunk has a new slab."""
    side.append(1, 100)
    side.sealing.commit()
    side.items()
    side.clock.wall = WallTime(side.clock.wall + (SETTINGS.slab_s_max + 1) * SECOND_NS)
    side.sealing.commit()
    assert words(side.items()) == ["SlabEnd", "Commit"]
    side.append(2, 100)
    side.sealing.commit()
    assert words(side.items()) == [["STREAM", "MEDIA"], "Commit"]


def test_a_slab_that_was_given_up_is_left(side: Side) -> None:
    """With the next commit, or the next chunk."""
    side.append(1, 100)
    side.sealing.commit()
    batch = side.items()[0]
    assert isinstance(batch, Batch)
    batch.slab.is_given_up = True
    side.append(2, 100)
    side.sealing.commit()
    first, second, _ = side.items()
    assert isinstance(first, SlabEnd)
    assert isinstance(second, Batch)
    assert second.slab is not batch.slab


def test_while_the_disk_is_behind_small_pieces_are_kept_together(side: Side) -> None:
    """An outage costs memory for what was recorded, not for each commit; an urgent commit does not wait."""
    side.append(1, 100)
    side.sealing.commit()
    assert side.queue.first(0)
    side.queue.put_off(0)
    for sequence in range(2, 50):
        side.append(sequence, 100)
        side.sealing.commit()
    side.sealing.commit(is_urgent=True)
    assert words(side.items()) == [["STREAM", "MEDIA"], "Commit", ["MEDIA"] * 48, "Commit"]


def test_what_does_not_fit_is_refused_and_nothing_is_left_of_it(side: Side) -> None:
    """Neither a slab nor its stream chunk."""
    with pytest.raises(BadInputError):
        side.append(1, BATCH_BYTES - CHUNK_EXTRA_BYTES + 1)
    side.sealing.commit()
    assert words(side.items()) == []


@pytest.mark.parametrize("chunks", [3000, 5700])
def test_a_resumed_slab_ends_with_room_for_the_chunks_of_before(tmp_path: Path, chunks: int) -> None:
    """Its index names them all: it is left before there are more than an index can hold. Only the newest is scanned."""
    total = 0
    for _ in range(3):
        with closing(RingParts(tmp_path)) as parts:
            parts.append(*range(total + 1, total + chunks + 1), size=16)
            total += chunks
            parts.commit()
    with closing(RingParts(tmp_path)) as parts:
        parts.append(*range(total + 1, total + 18), size=500_000)
        parts.commit()
    with closing(RingParts(tmp_path)) as parts:
        assert parts.found.scanned == 1
        assert [chunk.meta.sequence for chunk in parts.shelf.footage(CAMERA, EVERYTHING).chunks] == list(
            range(1, total + 18)
        )
