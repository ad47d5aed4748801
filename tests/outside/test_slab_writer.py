"""The ring's side of the disk, step by step: what was committed is there, whatever failed or ended in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.acquire.stream import CameraId
from agent.buffer.slab import BLOCK_BYTES, Lane
from agent.clock import SECOND_NS, WallTime
from tests.simulators.ring_content import CAMERA, StillClock
from tests.simulators.ring_log import EVERYTHING, MIB, SETTINGS
from tests.simulators.ring_parts import Nonce, RingParts, file_limit, nonces

YARD = CameraId("yard")


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[RingParts]:
    """Give a ring without a thread."""
    with closing(RingParts(tmp_path)) as opened:
        yield opened


def end_slabs(parts: RingParts) -> None:
    """Let the slabs become old, and end them."""
    parts.clock.wall = WallTime(parts.clock.wall + (SETTINGS.slab_s_max + 1) * SECOND_NS)
    parts.commit()


def test_chunks_are_named_after_their_sync(parts: RingParts) -> None:
    """Written is not enough."""
    parts.append(1, 2, 3)
    parts.sealing.commit()
    parts.writer.step(0)
    assert parts.stats.bytes_written > 60_000
    assert parts.sequences() == []
    parts.writer.step(0)
    assert parts.sequences() == [1, 2, 3]
    assert parts.stats.commits == 1


def test_leaving_a_slab_waits_for_the_commit(parts: RingParts) -> None:
    """It costs no sync of its own, so nothing is named before the commit; then the slab has its index."""
    parts.append(1)
    end_slabs(parts)
    parts.append(2, 3)
    parts.commit()
    parts.append(*range(4, 24), size=500_000)  # more than the slab takes
    parts.sealing.commit(is_urgent=True)
    while len(parts.volume.slots()) < 3:
        assert parts.sequences() == [1, 2, 3]
        assert parts.stats.commits == 2
        parts.writer.step(0)
    parts.drain()
    assert parts.sequences() == list(range(1, 24))
    assert parts.stats.commits == 3
    with closing(RingParts(copied(parts))) as again:
        assert again.found.scanned == 1
        assert again.sequences() == list(range(1, 24))


def test_a_left_slab_makes_room_where_there_is_no_other(tmp_path: Path) -> None:
    """A ring that may have one slab only recycles it: its end does not wait for a commit that cannot come."""
    greedy = replace(SETTINGS, free_bytes_min=2**62)
    with closing(RingParts(tmp_path, greedy)) as parts:
        parts.append(*range(1, 24), size=500_000)
        parts.commit()
        assert len(parts.volume.slots()) == 1
        assert parts.stats.errors == 0
        assert parts.sequences()[-1] == 23


def test_one_commit_brings_both_lanes(parts: RingParts) -> None:
    """A camera that moves between them is whole, in order, also after a restart."""
    for sequence in range(1, 13):
        parts.append(sequence, lane=Lane(sequence // 3 % 2))
        parts.append(sequence, camera=YARD)
        if sequence % 4 == 0:
            parts.commit()
    assert parts.stats.commits == 3
    assert parts.sequences() == parts.sequences(YARD) == list(range(1, 13))
    parts.close()
    with closing(RingParts(parts.directory)) as again:
        assert set(again.found.open) == set(Lane)
        assert again.sequences() == again.sequences(YARD) == list(range(1, 13))
        again.append(13, lane=Lane.APART)
        again.commit()
        assert again.stats.errors == 0
        assert len(again.volume.slots()) == 2


def test_a_slab_that_is_left_is_loaded_without_a_scan(parts: RingParts) -> None:
    """By its index, which names what was there before a restart too."""
    parts.append(1, 2, 3)
    end_slabs(parts)
    parts.append(4)
    parts.commit()
    with closing(RingParts(copied(parts))) as again:
        assert again.found.scanned == 1
        assert again.sequences() == [1, 2, 3, 4]


def copied(parts: RingParts) -> Path:
    """Return what a power cut would leave now, in a directory of its own."""
    directory = Path(tempfile.mkdtemp(dir=parts.directory.parent))
    shutil.copytree(parts.directory, directory, dirs_exist_ok=True)
    return directory


def test_power_may_go_between_index_and_footer_and_the_next_slab(parts: RingParts) -> None:
    """Without its footer, or without what it points to, a slab is read chunk by chunk; it is never gone on with."""
    parts.append(1, 2, 3)
    end_slabs(parts)
    whole, no_footer, no_index = copied(parts), copied(parts), copied(parts)
    with (no_footer / "slab-00000").open("r+b") as file:
        file.seek(-BLOCK_BYTES, 2)
        file.write(bytes(BLOCK_BYTES))
    with (no_index / "slab-00000").open("r+b") as file:
        raw = file.read()
        file.seek(raw.rindex(b"TRCH") + 200)
        file.write(b"torn")
    for directory, scanned in ((whole, 0), (no_footer, 1), (no_index, 1)):
        with closing(RingParts(directory)) as again:
            assert again.found.scanned == scanned
            assert again.sequences() == [1, 2, 3]
            again.append(4)
            again.commit()
            assert again.sequences() == [1, 2, 3, 4]
    with closing(RingParts(no_footer)) as again:
        assert again.sequences() == [1, 2, 3, 4]


def test_an_index_that_could_not_be_written_is_written_at_the_same_place(parts: RingParts) -> None:
    """However often: the slab stays as large as it is."""
    parts.append(1, 2, 3)
    parts.commit()
    parts.clock.wall = WallTime(parts.clock.wall + (SETTINGS.slab_s_max + 1) * SECOND_NS)
    parts.sealing.commit(is_urgent=True)
    with file_limit(MIB):  # the footer does not fit
        parts.drain(1 + 20)  # the slab's end, then the commit again and again
    assert parts.stats.errors == 20
    assert parts.stats.last_error == "File too large"
    parts.drain()
    assert (parts.directory / "slab-00000").stat().st_size == 8 * MIB
    with closing(RingParts(copied(parts))) as again:
        assert again.found.scanned == 0
        assert again.sequences() == [1, 2, 3]


def test_a_dropped_stream_chunk_comes_with_the_next_batch(parts: RingParts) -> None:
    """What remains of a run after an outage can be read, although its first batch was given up."""
    with file_limit(0):
        for start in range(1, 60, 2):
            parts.append(start, start + 1, size=500_000)
            parts.sealing.commit(is_urgent=True)
            parts.drain(1)
    dropped = parts.queue.dropped_chunks
    assert dropped > 10
    end_slabs(parts)
    assert parts.sequences() == list(range(1 + dropped, 61))
    slabs = {chunk.slab for chunk in parts.shelf.footage(CAMERA, EVERYTHING).chunks}
    with closing(RingParts(copied(parts))) as again:
        assert again.sequences() == list(range(1 + dropped, 61))
        assert len(slabs) > 1
        for slot in again.volume.slots()[1:]:
            again.volume.destroy(slot)
    with closing(RingParts(again.directory)) as first:  # the slab that lost its batch can be read alone
        assert first.sequences()


def test_a_slab_is_not_overrun_whatever_the_recorder_counted(parts: RingParts) -> None:
    """Stream chunks that came again may take more room than was planned: the rest goes to another slab."""
    for sequence in range(1, 15):
        parts.append(sequence, size=500_000)
    slab = parts.queue.growing[Lane.SHARED].slab
    parts.commit()
    slab.end = BLOCK_BYTES
    for sequence in range(15, 25):
        parts.append(sequence, size=500_000)
    end_slabs(parts)
    assert parts.stats.errors == 0
    assert parts.sequences() == list(range(1, 25))
    assert [path.stat().st_size for path in parts.directory.glob("slab-*")] == [8 * MIB] * 2
    parts.volume.destroy(0)
    with closing(RingParts(copied(parts))) as again:  # the other one can be read alone
        assert again.sequences() == list(range(17, 25))


def test_a_slab_of_before_is_left_where_nobody_goes_on_with_it(parts: RingParts) -> None:
    """A hub that found its disk late has begun another one by then."""
    parts.append(1)
    parts.commit()
    with closing(RingParts(copied(parts), resumes=False)) as late:
        late.append(2, run=2)
        late.commit()
        assert len(late.volume.slots()) == 2
    with closing(RingParts(late.directory)) as again:
        assert [place.slot for place in again.found.open.values()] == [1]
        assert again.sequences() == [1, 2]


class RingMachine(RuleBasedStateMachine):
    """Recording, committing, failing disks, crashes and restarts in any order, against lists of numbers."""

    @initialize()
    def begin(self) -> None:
        """Begin with an empty ring."""
        self.directory = Path(tempfile.mkdtemp())
        self.clock = StillClock()
        self.parts = RingParts(self.directory, clock=self.clock)
        self.next = 1
        self.run = 1
        self.appended: dict[Lane, list[tuple[int, int]]] = {lane: [] for lane in Lane}  # run and sequence
        self.committed: dict[Lane, list[tuple[int, int]]] = {lane: [] for lane in Lane}
        self.seen: dict[Nonce, bytes] = {}

    @rule(count=st.integers(1, 3), size=st.sampled_from([4, 3000, 200_000, 500_000]), lane=st.sampled_from(Lane))
    def append(self, count: int, size: int, lane: Lane) -> None:
        """Record, unless so much waits that the oldest would be dropped: that has its own test."""
        if self.parts.queue.waiting_bytes > 8 * MIB:
            return
        for _ in range(count):
            self.parts.append(self.next, lane=lane, run=self.run, size=size)
            self.appended[lane].append((self.run, self.next))
            self.next += 1

    @rule()
    def commit(self) -> None:
        """Bring everything to the disk."""
        self.parts.commit()
        for lane in Lane:
            self.committed[lane] += self.appended[lane]
            self.appended[lane] = []
        self.look()

    @rule(limit=st.integers(0, 2 * MIB).map(lambda size: size // BLOCK_BYTES * BLOCK_BYTES), steps=st.integers(1, 4))
    def commit_to_a_failing_disk(self, limit: int, steps: int) -> None:
        """Hand over; a part of it may get through, whole or torn."""
        self.parts.sealing.commit(is_urgent=True)
        with file_limit(limit):
            self.parts.drain(steps)
        self.look()

    @rule()
    def grow_old(self) -> None:
        """Let an hour pass: slabs end."""
        self.clock.wall = WallTime(self.clock.wall + (SETTINGS.slab_s_max + 1) * SECOND_NS)

    @rule(is_orderly=st.booleans())
    def restart(self, *, is_orderly: bool) -> None:
        """End, having committed or not, and begin again; a new run, as after every start."""
        if is_orderly:
            self.commit()
        named = set(self.found())
        self.parts.close()
        self.parts = RingParts(self.directory, clock=self.clock)
        found = set(self.found())
        assert named <= found
        for lane in Lane:  # what was written and not yet named may be there
            self.committed[lane] += [place for place in self.appended[lane] if place in found]
            self.appended[lane] = []
        self.run += 1

    @invariant()
    def the_index_is_the_model(self) -> None:
        """Of each lane there are the newest of what was committed; older ones have left in whole slabs only."""
        found = self.found()
        assert found == sorted(found)
        maybe = {place for lane in Lane for place in self.appended[lane]}
        kept = set(found) - maybe
        assert kept <= {place for lane in Lane for place in self.committed[lane]}
        for lane in Lane:
            there = [place for place in self.committed[lane] if place in kept]
            assert there == self.committed[lane][len(self.committed[lane]) - len(there) :]
        if len(kept) < sum(map(len, self.committed.values())):
            assert len(self.parts.volume.slots()) == SETTINGS.slab_count

    def found(self) -> list[tuple[int, int]]:
        """Return run and sequence of everything that can be read, after reading it."""
        self.parts.sequences()
        chunks = self.parts.shelf.footage(CAMERA, EVERYTHING).chunks
        return [(chunk.meta.run, chunk.meta.sequence) for chunk in chunks]

    def look(self) -> None:
        """See that no nonce was ever used for two things."""
        for nonce, sealed in nonces(self.parts.volume).items():
            assert self.seen.setdefault(nonce, sealed) == sealed

    def teardown(self) -> None:
        """Remove the ring."""
        self.parts.close()
        shutil.rmtree(self.directory)


RingMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
TestRingMachine = RingMachine.TestCase
