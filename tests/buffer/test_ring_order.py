"""The index answers the same in whatever order it came to know the slabs, chunk by chunk or from their own indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkMeta, StoredChunk
from agent.buffer.ring import CameraUsage, Footage, RingIndex
from agent.buffer.slab_index import index_meta
from agent.clock import SECOND_NS, Window
from agent.errors import BadInputError
from tests.simulators.ring_content import CAMERA, at, media, stream, ticks

YARD = CameraId("yard")
EVERYTHING = Window(at(-100), at(1000))


def stored(meta: ChunkMeta, slab: int) -> StoredChunk:
    """Give a chunk a place."""
    return StoredChunk(meta, slab, 4096 * (meta.sequence + 1), 4000)


def head(meta: ChunkMeta, slab: int) -> StoredChunk:
    """Return the stream chunk of a chunk's run in a slab."""
    return StoredChunk(stream(meta.camera, meta.run)[0], slab, 4096, 300)


def index_of(chunks: list[StoredChunk]) -> RingIndex:
    """Build an index from these chunks, in this order."""
    index = RingIndex()
    for chunk in chunks:
        index.add(chunk)
    return index


@st.composite
def lanes(draw: st.DrawFn) -> list[StoredChunk]:
    """Draw the chunks of two cameras that move between two lanes, whose slabs are left one after the other."""
    slabs = [1, 2]
    headed: set[tuple[CameraId, int, int]] = set()
    chunks: list[StoredChunk] = []
    late_s = draw(st.sampled_from([0, 0.2]))
    for sequence in range(1, draw(st.integers(2, 30))):
        for camera in (CAMERA, YARD)[: draw(st.integers(1, 2))]:
            lane = draw(st.integers(0, 1))
            if draw(st.integers(0, 7)) == 0:
                slabs[lane] = max(slabs) + 1
            source = draw(st.sampled_from(ClockSource))
            anchor = Anchor(ticks(sequence), at(sequence + late_s), SECOND_NS // 2, source)
            meta = media(sequence, camera=camera, run=1 + sequence // 20, anchor=anchor)
            if (camera, meta.run, slabs[lane]) not in headed:
                headed.add((camera, meta.run, slabs[lane]))
                chunks.append(head(meta, slabs[lane]))
            chunks.append(stored(meta, slabs[lane]))
    return chunks


def answers(index: RingIndex) -> list[object]:
    """Ask everything there is to ask."""
    windows = [Window(at(start), at(start + 4)) for start in range(-2, 32, 8)] + [EVERYTHING]
    footage = [index.footage(camera, window) for camera in (CAMERA, YARD) for window in windows]
    return [*footage, index.spans(), dict(index.usage()), dict(index.newest_arrivals()), index.last_run]


@given(lanes(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_loading_changes_nothing(chunks: list[StoredChunk], rnd: Random) -> None:
    """Slabs loaded from their own indexes and chunks added one by one, in any order: the same answers."""
    whole = index_of(chunks)
    slabs = sorted({chunk.slab for chunk in chunks})
    loaded = [slab for slab in slabs if rnd.random() < 0.6]
    steps: list[Callable[[RingIndex], None]] = [
        partial(RingIndex.load_slab, number=slab, payload=whole.pack_slab(slab)) for slab in loaded
    ]
    steps += [partial(RingIndex.add, chunk=chunk) for chunk in chunks if chunk.slab not in loaded]
    rnd.shuffle(steps)
    shuffled = RingIndex()
    for step in steps:
        step(shuffled)
    assert answers(shuffled) == answers(whole)
    assert [shuffled.pack_slab(slab) for slab in slabs] == [whole.pack_slab(slab) for slab in slabs]
    for camera in (CAMERA, YARD):
        found = [chunk.meta for chunk in shuffled.footage(camera, EVERYTHING).chunks]
        assert [(meta.run, meta.sequence) for meta in found] == sorted(
            (c.meta.run, c.meta.sequence) for c in chunks if c.meta.camera == camera and c.meta.sequence
        )


@given(lanes(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_what_is_forgotten_was_never_there(chunks: list[StoredChunk], rnd: Random) -> None:
    """After any slabs were forgotten the figures are those of the others, and so are the chunks."""
    gone = {slab for slab in {chunk.slab for chunk in chunks} if rnd.random() < 0.4}
    index, rest = index_of(chunks), index_of([chunk for chunk in chunks if chunk.slab not in gone])
    for slab in gone:
        index.forget(slab)
    assert answers(index)[:-1] == answers(rest)[:-1]
    assert index.last_run == max(chunk.meta.run for chunk in chunks)


def test_a_camera_moves_to_the_other_lane_and_back() -> None:
    """Its chunks come in the order they were recorded, not slab by slab, and each knows its slab."""
    slabs = {**dict.fromkeys(range(1, 5), 10), **dict.fromkeys(range(5, 8), 11), **dict.fromkeys(range(8, 12), 10)}
    synced = [stored(media(n), slabs[n]) for n in (1, 2, 3, 4, 8, 9, 5, 6, 7, 10, 11)]
    index = index_of([head(media(1), 10), *synced])
    chunks = index.footage(CAMERA, Window(at(2), at(9))).chunks
    assert [(chunk.meta.sequence, chunk.slab) for chunk in chunks] == [(n, slabs[n]) for n in range(1, 12)]
    index.forget(11)
    chunks = index.footage(CAMERA, Window(at(2), at(9))).chunks
    assert [chunk.meta.sequence for chunk in chunks] == [1, 2, 3, 4, 8, 9, 10, 11]


def test_a_settled_anchor_that_comes_much_later_maps_what_came_before() -> None:
    """However many slabs lie between, the nearest later one counts; until there is one, the newest chunk."""
    late = [media(n, anchor=Anchor(ticks(n), at(n + 0.3), 2 * SECOND_NS, ClockSource.ARRIVAL)) for n in range(1, 200)]
    index = index_of([head(late[0], 0), *(stored(meta, meta.sequence // 3) for meta in late)])
    window = Window(at(5), at(6))
    assert {chunk.meta.anchor.hub for chunk in index.footage(CAMERA, window).chunks} == {at(199.3)}
    index.add(stored(media(200), 66))
    index.add(stored(media(201), 66))
    assert {chunk.meta.anchor.hub for chunk in index.footage(CAMERA, window).chunks} == {at(200)}
    index.add(stored(replace(media(20), anchor=replace(media(20).anchor, hub=at(20.1))), 70))
    assert {chunk.meta.anchor.hub for chunk in index.footage(CAMERA, window).chunks} == {at(20.1)}


def test_of_two_copies_the_one_that_stays_longer_counts() -> None:
    """A chunk that a failed write left in one slab and that was written to the next is there once, in that one."""
    one, two = stored(media(1), 1), stored(media(2), 1)
    copies = [head(one.meta, 1), one, two, replace(two, offset=99 * 4096), replace(one, slab=2)]
    for order in (copies, copies[::-1]):
        chunks = index_of(order).footage(CAMERA, Window(at(0), at(9))).chunks
        places = [(chunk.meta.sequence, chunk.slab, chunk.offset) for chunk in chunks]
        assert places == [(1, 2, 2 * 4096), (2, 1, 99 * 4096)]


def test_an_older_copy_does_not_come_back() -> None:
    """When the newer one goes, the chunk is gone, and in the end the figures are too."""
    index = index_of([head(media(1), 2), stored(media(1), 1), stored(media(1), 2)])
    index.forget(2)
    assert index.footage(CAMERA, Window(at(0), at(9))) == Footage((), (), None)
    assert index.pack_slab(1) == RingIndex().pack_slab(1)
    index.forget(1)
    assert (index.usage(), index.newest_arrivals()) == ({}, {})
    index.forget(1)


def test_usage_says_how_much_there_is_of_each_camera() -> None:
    """Bytes and times of arrival per camera, less what was forgotten."""
    chunks = [stored(media(n), n // 10) for n in range(1, 30)]
    index = index_of(chunks)
    assert index.usage() == {CAMERA: CameraUsage(29 * 4000, at(1), at(29.9))}
    index.forget(0)
    assert index.usage() == {CAMERA: CameraUsage(20 * 4000, at(10), at(29.9))}
    assert index.newest_arrivals() == {1: at(19.9), 2: at(29.9)}


def test_an_index_chunk_is_no_footage() -> None:
    """It is of no camera and no arrival."""
    assert answers(index_of([StoredChunk(index_meta(at(1)), 1, 4096, 500)])) == answers(RingIndex())


def test_a_bad_index_adds_nothing() -> None:
    """An index is taken whole or not at all."""
    good = index_of([stored(media(1), 1), stored(media(1, camera=YARD), 1)]).pack_slab(1)
    index = RingIndex()
    with pytest.raises(BadInputError):
        index.load_slab(1, good[:-1] + b"\x07")
    assert answers(index) == answers(RingIndex())
