"""The index finds exactly what a window needs, by mappings that never change once they are final."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource, hub_time
from agent.buffer.chunk import ChunkMeta, StoredChunk
from agent.buffer.ring import Footage, RingIndex, RingSettings, fitting_slab_bytes
from agent.buffer.run import REORDER_NS
from agent.clock import SECOND_NS, Window
from agent.errors import ConfigurationError
from tests.simulators.ring_content import CAMERA, at, media, stream, ticks

MIB = 1024 * 1024


def stored(meta: ChunkMeta, slab: int) -> StoredChunk:
    """Give a chunk a place."""
    return StoredChunk(meta, slab, 4096 * (meta.sequence + 1), 4000)


def arrival(second: float, late_s: float, error_s: float = 2.0) -> Anchor:
    """Return a first guess that is off by `late_s`."""
    return Anchor(ticks(second), at(second + late_s), round(error_s * SECOND_NS), ClockSource.ARRIVAL)


def sender_report(second: float, off_s: float = 0) -> Anchor:
    """Return an anchor by sender report that is off by `off_s`."""
    return Anchor(ticks(second), at(second + off_s), SECOND_NS // 100, ClockSource.SR)


def index_of(chunks: list[StoredChunk]) -> RingIndex:
    """Build an index; each run's stream chunk goes before its first chunk of each slab."""
    index, seen = RingIndex(), set()
    for chunk in chunks:
        key = chunk.meta.camera, chunk.meta.run, chunk.slab
        if key not in seen:
            seen.add(key)
            index.add(StoredChunk(stream(chunk.meta.camera, chunk.meta.run)[0], chunk.slab, 4096, 300))
        index.add(chunk)
    return index


def naive_mapping(run: list[ChunkMeta], place: int) -> Anchor:
    """Say by which anchor a chunk is read, straight from the docstring."""
    mapped = [meta.anchor for meta in run[place:] if meta.anchor.is_settled]
    return mapped[0] if mapped else run[-1].anchor


def naive_sequences(run: list[ChunkMeta], window: Window) -> list[int]:
    """Say which chunks of a run a window needs, straight from the docstring, by looking at all of them."""
    settled = [meta.anchor.error_ns for meta in run if meta.anchor.is_settled]
    margin = 2 * max(settled or [meta.anchor.error_ns for meta in run]) + REORDER_NS
    start, end = window.start - margin, window.end + margin
    begins = [hub_time(naive_mapping(run, place), meta.first_rtp) for place, meta in enumerate(run)]
    ends = [hub_time(naive_mapping(run, place), meta.last_rtp) for place, meta in enumerate(run)]
    if begins[0] >= end or ends[-1] < start:
        return []
    before = [place for place, begin in enumerate(begins) if begin <= start]
    keys = [place for place in before if run[place].is_key]
    first = keys[-1] if keys else before[-1] if before else 0
    behind = [place for place, begin in enumerate(begins) if begin >= end]
    return [meta.sequence for meta in run[first : behind[0] + 1 if behind else len(run)]]


@st.composite
def runs(draw: st.DrawFn) -> list[ChunkMeta]:
    """Draw a run: arrival anchors first, then perhaps sender reports, perhaps a few arrivals among them."""
    length = draw(st.integers(1, 40))
    reports_from = draw(st.integers(0, length))
    metas = []
    for sequence in range(1, length + 1):
        is_mapped = sequence > reports_from and draw(st.integers(0, 4)) > 0
        late_s = draw(st.sampled_from([0, 0.01, 0.2]))
        anchor = sender_report(sequence) if is_mapped else arrival(sequence, late_s)
        metas.append(media(sequence, is_key=draw(st.integers(0, 3)) == 0, anchor=anchor))
    return metas


@given(runs(), st.integers(-5, 45), st.integers(1, 20), st.integers(1, 9))
@settings(max_examples=150)
def test_footage_is_what_a_look_at_every_chunk_finds(run: list[ChunkMeta], start: int, length: int, slab: int) -> None:
    """The search by halves finds what the docstring says, whatever the anchors, keys and slabs are."""
    window = Window(at(start), at(start + length))
    footage = index_of([stored(meta, 1 + meta.sequence // slab) for meta in run]).footage(CAMERA, window)
    assert [chunk.meta.sequence for chunk in footage.chunks] == naive_sequences(run, window)
    for chunk in footage.chunks:
        place = chunk.meta.sequence - 1
        expected = naive_mapping(run, place)
        assert chunk.meta.first_picture == hub_time(expected, run[place].first_rtp)
        assert chunk.meta.anchor.error_ns >= expected.error_ns
        assert replace(chunk.meta, anchor=run[place].anchor) == run[place]
    assert len(footage.headers) == (1 if footage.chunks else 0)


@given(st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=60), st.integers(1, 60), st.integers(1, 10))
@settings(max_examples=80)
def test_anchors_that_differ_a_little_lose_no_picture(offs: list[float], start: int, length: int) -> None:
    """Every chunk that has a picture in the window is there, from a key chunk before it, without a hole."""
    run = [media(number, anchor=sender_report(number, off)) for number, off in enumerate(offs)]
    window = Window(at(start), at(start + length))
    footage = index_of([stored(meta, 1 + meta.sequence // 7) for meta in run]).footage(CAMERA, window)
    found = [chunk.meta.sequence for chunk in footage.chunks]
    needed = [m.sequence for m in run if m.last_picture >= window.start and m.first_picture < window.end]
    assert set(needed) <= set(found)
    assert found == list(range(found[0], found[-1] + 1)) if found else not needed
    if found:
        assert footage.chunks[0].meta.is_key
        assert footage.chunks[0].meta.first_picture <= window.start


@given(runs(), st.integers(1, 9), st.integers(0, 8))
@settings(max_examples=60)
def test_recycling_never_changes_a_mapping(run: list[ChunkMeta], slab: int, gone: int) -> None:
    """What is left after the oldest slabs went is read by the same anchors as before."""
    chunks = [stored(meta, 1 + meta.sequence // slab) for meta in run]
    whole, less = index_of(chunks), index_of(chunks)
    for number in range(1, 1 + gone):
        less.forget(number)
    everything = Window(at(-100), at(1000))
    before = {chunk.meta.sequence: chunk for chunk in whole.footage(CAMERA, everything).chunks}
    after = less.footage(CAMERA, everything).chunks
    assert all(before[chunk.meta.sequence] == chunk for chunk in after)
    assert [chunk.meta.sequence for chunk in after] == [c.meta.sequence for c in chunks if c.slab > gone]


def test_a_mapping_is_final_when_a_report_follows() -> None:
    """Chunks before the first sender report get its mapping, and what comes later does not change it."""
    run = [media(n, anchor=arrival(n, 0.3) if n < 3 else sender_report(n, n / 1000)) for n in range(1, 9)]
    everything = Window(at(0), at(100))
    three, all_of_it = index_of([stored(m, 1) for m in run[:3]]), index_of([stored(m, 1) for m in run])
    early = three.footage(CAMERA, everything).chunks
    assert early == all_of_it.footage(CAMERA, everything).chunks[:3]
    assert early[0].meta.anchor.hub == at(3.003)


def test_a_long_run_without_reports_does_not_wrap() -> None:
    """20 hours of guesses alone: the newest mapping places the oldest chunk right, with an honest error bound."""
    hours = [media(3600 * hour, anchor=arrival(3600 * hour, 0)) for hour in range(21)]
    window = Window(at(3600), at(3601))
    chunks = index_of([stored(replace(m, is_key=True), 1) for m in hours]).footage(CAMERA, window).chunks
    found = next(chunk.meta for chunk in chunks if chunk.meta.sequence == 3600)
    assert abs(found.first_picture - at(3600)) <= 1
    assert found.anchor.error_ns == 2 * SECOND_NS + 19 * 3600 * 100_000


def test_several_runs_come_in_their_order() -> None:
    """A window over a clock step has chunks and headers of both runs, each by its own mapping."""
    first = [stored(media(n), 1) for n in range(10)]
    second = [stored(media(n, run=2), 2) for n in range(8, 20)]
    footage = index_of(first + second).footage(CAMERA, Window(at(6), at(12)))
    assert [header.meta.run for header in footage.headers] == [1, 2]
    places = [(chunk.meta.run, chunk.meta.sequence) for chunk in footage.chunks]
    assert places == sorted(places)
    assert footage.newest_picture == at(19.9)


def test_the_stream_chunk_comes_from_the_newest_slab() -> None:
    """It is the one that stays longest; when its slab goes, an older copy will do."""
    index = index_of([stored(media(1), 1), stored(media(2), 2)])
    window = Window(at(0), at(9))
    assert [header.slab for header in index.footage(CAMERA, window).headers] == [2]
    index.forget(2)
    assert [header.slab for header in index.footage(CAMERA, window).headers] == [1]
    index.forget(1)
    assert index.footage(CAMERA, window) == Footage((), (), None)
    assert index.spans() == ()


def test_a_run_without_its_stream_chunk_is_left_out() -> None:
    """Chunks that nobody could read are not offered."""
    index = RingIndex()
    index.add(stored(media(1), 1))
    assert index.footage(CAMERA, Window(at(0), at(9))) == Footage((), (), None)


def test_cameras_do_not_mix() -> None:
    """Another camera's chunks are another camera's."""
    index = index_of([stored(media(1), 1), stored(media(1, camera=CameraId("yard")), 1)])
    footage = index.footage(CameraId("yard"), Window(at(0), at(9)))
    assert {chunk.meta.camera for chunk in footage.chunks + footage.headers} == {"yard"}
    assert [span.camera for span in index.spans()] == [CAMERA, "yard"]
    assert index.footage(CameraId("roof"), Window(at(0), at(9))) == Footage((), (), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"slab_bytes": 8 * MIB + 1},
        {"slab_bytes": 4 * MIB},
        {"slab_bytes": 2048 * MIB},
        {"bytes_max": 3 * 64 * MIB},
        {"age_s_max": 0},
        {"slab_s_max": 0},
        {"free_bytes_min": -1},
        {"pending_bytes_max": MIB},
        {"floor_s": -1},
    ],
)
def test_settings_outside_the_limits_are_refused(changes: dict[str, int]) -> None:
    """A person is told what to set instead."""
    with pytest.raises(ConfigurationError, match="set "):
        RingSettings(**changes)


@pytest.mark.parametrize(
    ("ring", "slab"), [(64, 16), (32, 8), (256, 64), (16 * 1024, 64), (40 * 1024, 128), (64 * 1024, 256), (2**24, 512)]
)
def test_slabs_fit_their_ring(ring: int, slab: int) -> None:
    """In MiB: a 256th of the ring, but as many as a ring needs, and not so many that each costs syncs for little."""
    assert fitting_slab_bytes(ring * MIB) == slab * MIB
    RingSettings(bytes_max=ring * MIB, slab_bytes=fitting_slab_bytes(ring * MIB))
