"""Whatever happened to the files, recovery finds exactly the chunks that are whole and never one that is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.chunk import StoredChunk
from agent.buffer.recovery import OpenPlace, Recovered, scan
from agent.buffer.slab import BLOCK_BYTES, Lane, padded
from agent.clock import Window
from tests.simulators.ring_content import CAMERA, at
from tests.simulators.slab_bytes import SlabBytes, filled, recovered


def sequences(result: Recovered) -> list[int]:
    """Return which chunks are in the index."""
    window = Window(at(-100), at(100_000))
    return [chunk.meta.sequence for chunk in result.index.footage(CAMERA, window).chunks]


def reachable(made: SlabBytes, damaged: set[int]) -> list[StoredChunk]:
    """Say which chunks must be found: the whole ones whose place is known by a whole header before or a block border.

    `damaged` has the offsets of changed bytes.
    """
    found, known = [], {BLOCK_BYTES}
    lost = False
    for chunk in made.chunks:
        header = range(chunk.offset, chunk.offset + 160)
        body = range(chunk.offset + 160, chunk.offset + chunk.length)
        is_known = chunk.offset in known or (chunk.offset % BLOCK_BYTES == 0 and lost)
        lost = lost or not is_known
        if not is_known or damaged.intersection(header):
            lost = True
            continue
        known |= {chunk.offset + chunk.length, padded(chunk.offset + chunk.length)}
        if not damaged.intersection(body):
            found.append(chunk)
    return found


def footage(chunks: list[StoredChunk]) -> list[int]:
    """Say which chunks of a run the index offers: none if its stream chunk, which has number 0, is not among them."""
    numbers = [chunk.meta.sequence for chunk in chunks]
    return [number for number in numbers if number] if 0 in numbers else []


@pytest.mark.parametrize("seed", range(60))
def test_damage_costs_the_chunks_it_lies_in(seed: int) -> None:
    """Truncated, flipped, zeroed or stale: what is whole is found, what is not is not."""
    rnd = random.Random(seed)  # noqa: S311 - repeatable test content
    old = filled(1, 1)
    made = filled(2, 1000, old=bytes(old.raw))
    whole = bytes(made.raw)
    place = rnd.randrange(BLOCK_BYTES, made.end)
    block = place // BLOCK_BYTES * BLOCK_BYTES
    length = BLOCK_BYTES * rnd.randrange(1, 6)
    match seed % 5:
        case 0:
            del made.raw[place:]
            made.raw = made.raw.ljust(len(whole), b"\xff") if rnd.random() < 0.5 else made.raw
        case 1:
            made.raw[place] ^= 1 << rnd.randrange(8)
        case 2:
            made.raw[block : block + length] = bytes(length)
        case 3:
            made.raw[block : block + length] = rnd.randbytes(length)
        case _:
            made.raw[block : block + length] = old.raw[block : block + length]
    damaged = {at for at in range(BLOCK_BYTES, made.end) if at >= len(made.raw) or made.raw[at] != whole[at]}
    found = scan(made.header, made.read, made.opener)
    expected = reachable(made, damaged)
    assert [c.meta.sequence for c in found.chunks] == [c.meta.sequence for c in expected]
    assert found.end == padded(expected[-1].offset + expected[-1].length if expected else BLOCK_BYTES)
    result = recovered(made.read)
    assert sequences(result) == footage(expected)
    assert result.open == {Lane.SHARED: OpenPlace(0, found.end, len(found.chunks), min(1, len(found.chunks)))}


@given(st.data())
@settings(max_examples=50)
def test_a_left_slab_with_any_damage_gives_what_is_whole(data: st.DataObject) -> None:
    """Index, footer or chunks damaged: either the index holds, or the scan finds the chunks that do."""
    made = filled(3, 100)
    made.leave()
    whole, last_block = bytes(made.raw), made.last_block or b""
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(BLOCK_BYTES, made.end - 1) | st.integers(made.end - BLOCK_BYTES, made.end - 1))
        made.raw[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        broken = bytearray(last_block)
        broken[data.draw(st.integers(0, 35))] ^= data.draw(st.integers(1, 255))
        made.last_block = bytes(broken)
    result = recovered(made.read)
    if result.scanned:
        damaged = {at for at in range(BLOCK_BYTES, made.end) if made.raw[at] != whole[at]}
        assert sequences(result) == footage(reachable(made, damaged))
    else:
        assert sequences(result) == list(range(100, 124))
    has_index = made.raw[padded(made.chunks[-1].offset + made.chunks[-1].length) :] == whole[made.end - BLOCK_BYTES :]
    assert not result.open or (not has_index and made.last_block != last_block)
