"""Slabs that were given up: everything that waits for one is readable in another, under nonces of its own."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.acquire.stream import CameraId
from agent.buffer.slab import ChunkOpener, Cipher, Lane
from agent.outside.slab_batches import BATCH_BYTES, Batch, Slab
from agent.outside.slab_moves import SlabMoves, find_stream
from agent.outside.slab_sealing import new_slab
from tests.simulators.ring_content import CAMERA, StillClock, media, stream
from tests.simulators.ring_log import MIB, payload
from tests.vectors.buffer.make import slab_header

RUN = (CAMERA, 1)


def slab() -> Slab:
    """Return a slab."""
    return new_slab(Lane.APART, Cipher.AES_256_GCM, 8 * MIB, StillClock())


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    """Give a batch of memory."""
    with mmap.mmap(-1, BATCH_BYTES) as given:
        yield given


def read(owner: Slab, sealed: bytes) -> tuple[int, int, bytes]:
    """Open a chunk of a slab: sequence, counter, payload."""
    opener = ChunkOpener(replace(slab_header(), id=owner.id, cipher=owner.cipher), owner.data_key)
    header, content = opener.open(sealed)
    return header.meta.sequence, header.counter, content


def test_a_batch_is_sealed_for_the_slab_that_takes_it(memory: mmap.mmap) -> None:
    """Once, however often it is tried, and again when that slab is given up too."""
    moves, first = SlabMoves(StillClock()), slab()
    batch = Batch(first, memory)
    for sequence in (1, 2):
        batch.seal(media(sequence), payload(sequence))
    assert moves.settle(batch) is first
    moves.give_up(first)
    assert first.is_given_up
    second = moves.settle(batch)
    sealed = bytes(memory)
    assert moves.settle(batch) is second is batch.slab
    assert bytes(memory) == sealed
    assert [read(second, batch.sealed(placed)) for placed in batch.chunks] == [(1, 0, payload(1)), (2, 1, payload(2))]
    moves.give_up(second)
    third = moves.settle(batch)
    assert third not in (first, second)
    assert [read(third, batch.sealed(placed))[::2] for placed in batch.chunks] == [(1, payload(1)), (2, payload(2))]
    assert (third.lane, third.size, third.cipher) == (first.lane, first.size, first.cipher)


def test_the_last_slab_of_a_chain_takes_everything_until_the_end(memory: mmap.mmap) -> None:
    """What was sealed for the first goes to the last; after the end nothing is remembered."""
    moves, first = SlabMoves(StillClock()), slab()
    assert moves.last(first) is first
    moves.give_up(first)
    second = moves.last(first)
    moves.give_up(second)
    third = moves.last(first)
    assert moves.last(second) is third
    batch = Batch(first, memory)
    batch.seal(media(1), payload(1))
    assert moves.settle(batch) is third
    moves.end(first)
    assert moves.last(first) is first
    assert moves.last(second) is second


def test_a_stream_chunk_is_found_in_the_slabs_of_before(memory: mmap.mmap) -> None:
    """It is sealed for each slab once; one that nobody knows is not made up."""
    moves, first = SlabMoves(StillClock()), slab()
    batch = Batch(first, memory)
    meta, content = stream()
    first.keep(meta, batch.sealed(batch.seal(meta, content)))
    moves.give_up(first)
    moves.give_up(moves.last(first))
    last = moves.last(first)
    found = find_stream(last, RUN)
    assert found
    assert read(last, found.sealed) == (0, 0, content)
    assert find_stream(last, RUN) is found
    assert find_stream(last, (CameraId("yard"), 1)) is None
