"""The memory between recorder and disk: bounded, in order, and it never gives away what is being written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.slab import BLOCK_BYTES, Cipher, Lane
from agent.outside.slab_batches import (
    BATCH_BYTES,
    CHUNK_EXTRA_BYTES,
    SPARES_MIN,
    Batch,
    BatchQueue,
    Commit,
    Slab,
    SlabEnd,
)
from agent.outside.slab_sealing import new_slab
from tests.simulators.ring_content import StillClock, media, stream
from tests.simulators.ring_log import MIB, payload

LIMIT: Final = 8


def slab(lane: Lane = Lane.SHARED) -> Slab:
    """Return a slab without a file."""
    return new_slab(lane, Cipher.CHACHA20_POLY1305, 8 * MIB, StillClock())


@pytest.fixture
def queue() -> Iterator[BatchQueue]:
    """Give a queue of `LIMIT` batches."""
    waiting = BatchQueue(LIMIT * MIB)
    yield waiting
    waiting.close()
    waiting.free()


def put(queue: BatchQueue, owner: Slab, sequence: int, size: int = 1000) -> Batch:
    """Put a batch with one media chunk."""
    batch = queue.batch(owner)
    batch.seal(media(sequence), payload(sequence, size))
    queue.put(batch)
    return batch


def numbers(queue: BatchQueue) -> list[int | str]:
    """Take everything that waits: sequence numbers of batches, names of the rest."""
    found: list[int | str] = []
    while (item := queue.first(0)) is not None:
        found.append(item.chunks[0].meta.sequence if isinstance(item, Batch) else type(item).__name__)
        queue.done()
    return found


def test_a_batch_is_whole_blocks_of_sealed_chunks(queue: BatchQueue) -> None:
    """Chunks stand back to back, filled up with zeros; a batch takes what fits and not a byte more."""
    batch = queue.batch(slab())
    first, second = batch.seal(media(1), payload(1)), batch.seal(media(2), payload(2))
    assert (first.offset, second.offset) == (0, 20_000 + CHUNK_EXTRA_BYTES)
    with batch.blocks() as blocks:
        assert len(blocks) % BLOCK_BYTES == 0
        assert bytes(blocks[: first.length]) == batch.sealed(first)
        assert not any(blocks[second.offset + second.length :])
    room = BATCH_BYTES - batch.length - CHUNK_EXTRA_BYTES
    assert batch.has_room(room)
    assert not batch.has_room(room + 1)


def test_items_come_out_in_order_and_commits_that_follow_each_other_are_one(queue: BatchQueue) -> None:
    """What is put is written in that order."""
    owner = slab()
    put(queue, owner, 1)
    for item in (Commit(), Commit(), SlabEnd(owner), Commit()):
        queue.put(item)
    assert numbers(queue) == [1, "Commit", "SlabEnd", "Commit"]


def test_the_oldest_gives_way_but_not_what_is_being_written(queue: BatchQueue) -> None:
    """At the limit the oldest batch that is not on its way to disk is dropped and its media chunks are counted."""
    owner = slab()
    for sequence in range(1, LIMIT + 1):
        put(queue, owner, sequence)
    assert isinstance(queue.first(0), Batch)
    put(queue, owner, LIMIT + 1)
    queue.put_off(0)
    put(queue, owner, LIMIT + 2)
    assert queue.dropped_chunks == 2
    assert numbers(queue) == [*range(3, LIMIT + 3)]


def test_a_dropped_stream_chunk_is_still_known_to_its_slab(queue: BatchQueue) -> None:
    """The writer can bring it with the next batch of the slab; it is not counted, for it is no footage."""
    owner = slab()
    batch = queue.batch(owner)
    owner.keep(stream()[0], batch.sealed(batch.seal(*stream())))
    sealed = batch.sealed(batch.chunks[0])
    queue.put(batch)
    for sequence in range(1, LIMIT + 1):
        put(queue, owner, sequence)
    assert queue.dropped_chunks == 0
    assert owner.streams[media(1).camera, 1].sealed == sealed


def test_a_slab_keeps_stream_chunks_of_one_batch_at_most() -> None:
    """A camera that begins a run every second does not take the memory."""
    owner = slab()
    for run in range(1, 100):
        owner.keep(stream(run=run)[0], bytes(BATCH_BYTES // 10))
    assert [run for _, run in owner.streams] == list(range(90, 100))


def test_an_outage_piles_up_nothing_but_batches(queue: BatchQueue) -> None:
    """Commits and ends of slabs of which nothing is left go with the batches; a slab with a file keeps its end."""
    begun = slab()
    begun.is_begun = True
    put(queue, begun, 0)
    queue.put(SlabEnd(begun))
    for sequence in range(1, 50):
        owner = slab()
        put(queue, owner, sequence)
        queue.put(Commit())
        queue.put(SlabEnd(owner))
        queue.put(Commit())
    found = numbers(queue)
    assert [item for item in found if isinstance(item, int)] == list(range(50 - LIMIT, 50))
    assert found.count("SlabEnd") == LIMIT + 1
    assert len(found) <= 4 * LIMIT + 3


def test_what_a_commit_takes_is_kept_for_the_next(queue: BatchQueue) -> None:
    """New memory costs more than sealing into it: it is used again, and what is not needed any more goes."""
    owner = slab()
    batches = [put(queue, owner, sequence) for sequence in range(4)]
    queue.put(Commit())
    assert queue.waiting_bytes == 4 * (1000 + CHUNK_EXTRA_BYTES)
    numbers(queue)
    assert queue.waiting_bytes == 0
    kept = {id(batch.memory) for batch in batches if not batch.memory.closed}
    assert len(kept) == 4
    again = [put(queue, owner, sequence) for sequence in range(4)]
    assert {id(batch.memory) for batch in again} == kept


def test_the_memory_of_an_outage_is_given_back(queue: BatchQueue) -> None:
    """However much went through it meanwhile."""
    owner = slab()
    batches = [put(queue, owner, 0)]
    assert queue.first(0)
    queue.put_off(0)
    for sequence in range(1, 5 * LIMIT):
        batches.append(put(queue, owner, sequence))
        queue.put(Commit())
    numbers(queue)
    assert len({id(batch.memory) for batch in batches if not batch.memory.closed}) <= SPARES_MIN


def test_the_disk_is_behind_while_it_fails_or_is_slow(queue: BatchQueue) -> None:
    """Until it has taken something again, or the last commit is done; full batches alone are no sign."""
    owner = slab()
    put(queue, owner, 1)
    assert not queue.is_behind
    assert queue.first(0)
    queue.put_off(0)
    assert queue.is_behind
    numbers(queue)
    assert not queue.is_behind
    for sequence in range(5):
        put(queue, owner, sequence)
    assert not queue.is_behind
    queue.put(Commit())
    assert queue.is_behind
    numbers(queue)
    assert not queue.is_behind


def test_closing_wakes_and_frees() -> None:
    """The writer hears of the end, gets the rest, and all memory goes."""
    queue = BatchQueue(16 * MIB)
    assert queue.first(0) is None
    assert not queue.is_closed
    batch, growing = put(queue, slab(), 1), queue.batch(slab())
    queue.close()
    assert queue.is_closed
    assert queue.first(60) is batch
    queue.put_off(60)
    queue.free()
    assert batch.memory.closed
    assert growing.memory.closed


@given(st.lists(st.sampled_from(["put", "put apart", "first", "done", "put off", "commit", "end"]), max_size=80))
@settings(max_examples=60)
def test_memory_is_bounded_and_order_is_kept(steps: list[str]) -> None:
    """Whatever the two sides do: never more than the limit, never a chunk twice, never one before an older one."""
    queue, count, owners = BatchQueue(LIMIT * MIB), 0, {lane: slab(lane) for lane in Lane}
    written: list[int] = []
    busy = None
    with closing(queue):
        for step in steps:
            if step.startswith("put") and step != "put off":
                count += 1
                put(queue, owners[Lane.APART if "apart" in step else Lane.SHARED], count, 600_000)
            elif step == "first" and busy is None:
                busy = queue.first(0)
            elif step == "done" and busy is not None:
                written += [busy.chunks[0].meta.sequence] if isinstance(busy, Batch) else []
                queue.done()
                busy = None
            elif step == "put off" and busy is not None:
                queue.put_off(0)
                busy = None
            elif step == "commit":
                queue.put(Commit())
            elif step == "end":
                queue.put(SlabEnd(owners[Lane.SHARED]))
                owners[Lane.SHARED] = slab()
            assert queue.waiting_bytes <= LIMIT * MIB
    waiting = queue.waiting_bytes // 600_000
    queue.free()
    assert written == sorted(set(written))
    assert len(written) + queue.dropped_chunks + waiting == count
