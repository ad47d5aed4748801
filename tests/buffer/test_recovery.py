"""Recovery: which slabs are loaded by their index, which are scanned, which are gone on with, which are not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.acquire.stream import CameraId
from agent.buffer.recovery import OpenPlace, ReadAt, Recovered, recover, scan
from agent.buffer.slab import BLOCK_BYTES, ChunkSealer, Lane, pack_slab_header
from agent.buffer.slab_index import index_meta, pack_footer
from agent.clock import Window
from agent.crypto import Secret
from agent.errors import UnavailableError
from tests.simulators.ring_content import CAMERA, at, media, stream
from tests.simulators.slab_bytes import KEK, VOLUME, SlabBytes, batches, filled, recovered, slab

EVERYTHING = Window(at(-100), at(100_000))


def sequences(result: Recovered) -> list[int]:
    """Return which chunks are in the index."""
    return [chunk.meta.sequence for chunk in result.index.footage(CAMERA, EVERYTHING).chunks]


def test_a_power_cut_leaves_the_valid_prefix() -> None:
    """A last batch of which only some blocks came down is not there; all before it is, and it is written over."""
    made = filled(1, 1)
    committed, end = list(made.chunks), made.end
    made.write(b"s" * 16, [[media(n) for n in range(500, 512)]])
    made.raw[end : end + BLOCK_BYTES] = bytes(BLOCK_BYTES)
    found = scan(made.header, made.read, made.opener)
    assert list(found.chunks) == committed
    assert found.end == end


def test_an_index_says_the_same_as_a_scan() -> None:
    """Three slabs of two lanes, loaded or scanned: the same answers, but scanned ones may be gone on with."""
    loaded, scanned = [], []
    for reads, is_left in ((loaded, True), (scanned, False)):
        for number, lane in ((1, Lane.SHARED), (2, Lane.APART), (3, Lane.SHARED)):
            made = slab(number, lane=lane)
            for camera in (CAMERA, CameraId("yard")):
                chunks = [media(n, camera=camera) for n in range(number * 10, number * 10 + 10)]
                made.write(camera.encode().ljust(16), [[stream(camera)[0], *chunks[:5]], chunks[5:]])
            if is_left:
                made.leave()
            reads.append(made.read)
    by_index, by_scan = recovered(*loaded), recovered(*scanned)
    assert (by_index.scanned, by_scan.scanned) == (0, 3)
    for camera in (CAMERA, CameraId("yard")):
        assert by_index.index.footage(camera, EVERYTHING) == by_scan.index.footage(camera, EVERYTHING)
    assert by_index.index.usage() == by_scan.index.usage()
    assert by_index.index.newest_arrivals() == by_scan.index.newest_arrivals()
    assert (by_index.index.last_run, by_index.next_number) == (by_scan.index.last_run, by_scan.next_number) == (1, 4)
    assert by_index.open == {}
    assert {lane: place.slot for lane, place in by_scan.open.items()} == {Lane.APART: 1, Lane.SHARED: 2}
    assert by_scan.open[Lane.SHARED].chunks == 22
    assert by_scan.open[Lane.SHARED].runs == 2


def test_only_the_newest_slab_of_a_lane_is_gone_on_with() -> None:
    """An older one that was given up stays as it is, also when the newest was left."""
    given_up, newest, apart = filled(1, 1), filled(3, 200), filled(2, 100, lane=Lane.APART)
    assert set(recovered(given_up.read, newest.read, apart.read).open) == {Lane.SHARED, Lane.APART}
    newest.leave()
    result = recovered(given_up.read, newest.read, apart.read)
    assert result.open == {Lane.APART: OpenPlace(2, apart.end, 25, 1)}
    assert result.scanned == 2


def without_footer(made: SlabBytes) -> None:
    """Lose the footer: the index chunk itself says that the slab was left."""
    made.last_block = bytes(BLOCK_BYTES)


def damaged_index(made: SlabBytes) -> None:
    """Damage the index: a footer of this slab says that the slab was left."""
    made.raw[made.end - BLOCK_BYTES + 300] ^= 1


def footer_to_media(made: SlabBytes) -> None:
    """Let the footer point to a chunk that is no index."""
    made.last_block = pack_footer(made.header.id, BLOCK_BYTES, made.chunks[0].length)


def footer_out_of_the_slab(made: SlabBytes) -> None:
    """Let the footer point behind the end."""
    made.last_block = pack_footer(made.header.id, made.header.size - BLOCK_BYTES, 4096)


def unreadable_footer(made: SlabBytes) -> None:
    """Let the disk not give the last block back."""
    made.last_block = None


@pytest.mark.parametrize(
    "break_it", [without_footer, damaged_index, footer_to_media, footer_out_of_the_slab, unreadable_footer]
)
def test_a_left_slab_without_its_index_is_scanned_and_stays_left(break_it: Callable[[SlabBytes], None]) -> None:
    """Nothing may be written behind an index: should it hold after the next start, the new chunks would be hidden."""
    made = filled(1, 1)
    made.leave()
    break_it(made)
    result = recovered(made.read)
    assert sequences(result) == list(range(1, 25))
    assert (result.scanned, result.open) == (1, {})


def test_a_torn_index_is_written_over() -> None:
    """Without footer and index chunk the slab was not left yet."""
    made = filled(1, 1)
    end = made.end
    made.leave(has_footer=False)
    made.raw[end + 200] ^= 1
    result = recovered(made.read)
    assert result.open == {Lane.SHARED: OpenPlace(0, end, 25, 1)}
    assert result.damaged == 1


def test_the_footer_of_an_earlier_lap_means_nothing() -> None:
    """It carries another slab's id, though the old index may still lie where it says."""
    old = filled(1, 1)
    old.leave()
    made = slab(2, old=bytes(old.raw))
    made.last_block = old.last_block
    made.write(b"n" * 16, [[stream()[0], media(700)]])
    result = recovered(made.read)
    assert sequences(result) == [700]
    assert result.open[Lane.SHARED].end == made.end
    made.last_block = pack_footer(made.header.id, old.end - BLOCK_BYTES, 2000)
    assert sequences(recovered(made.read)) == [700]


def test_a_stream_chunk_may_come_later_and_numbers_may_jump() -> None:
    """A batch with the stream chunk was dropped before it was written: it was sealed again behind later chunks."""
    made = slab(1)
    made.write(b"s" * 16, [[media(5), media(6)], [media(9), stream()[0]]])
    assert sequences(recovered(made.read)) == [5, 6, 9]


def test_a_stream_chunk_moved_to_a_later_batch_as_it_was_sealed_is_found() -> None:
    """Its counter is lower than those before it, which is no sign of an older write."""
    made = slab(1)
    other = slab(1)
    other.write(b"s" * 16, [[stream()[0], media(1)], [media(2)]])
    first, _, late = other.chunks
    pieces = [bytes(other.raw[c.offset : c.offset + c.length]) for c in (late, first, late)]
    made.raw[BLOCK_BYTES : BLOCK_BYTES + sum(map(len, pieces))] = b"".join(pieces)
    found = scan(made.header, made.read, made.opener)
    assert [chunk.meta.sequence for chunk in found.chunks] == [2, 0]
    assert sequences(recovered(made.read)) == [2]


def test_what_a_torn_session_left_does_not_come_back() -> None:
    """A restart overwrote a torn batch in part: what is left of the old session behind the new is not believed."""
    made = filled(1, 1)
    end = made.end
    before = bytes(made.raw)
    made.raw[end:] = before[BLOCK_BYTES : BLOCK_BYTES + len(made.raw) - end]
    expected = [*made.chunks]
    made.write(b"n" * 16, [[media(900)]])
    assert [*scan(made.header, made.read, made.opener).chunks] == [*expected, made.chunks[-1]]


def test_slabs_are_found_in_their_order_wherever_they_lie() -> None:
    """The slots' order means nothing; the newest slab and the next number are known."""
    newest, oldest, middle = filled(9, 200), filled(7, 1), filled(8, 100)
    result = recovered(newest.read, oldest.read, middle.read)
    assert sequences(result) == [c.meta.sequence for s in (oldest, middle, newest) for c in s.chunks[1:]]
    assert (result.open[Lane.SHARED].slot, result.open[Lane.SHARED].end, result.next_number) == (0, newest.end, 10)


def test_a_damaged_slab_hides_no_other() -> None:
    """A torn header costs its slab alone."""
    slabs = [filled(number, number * 100) for number in (1, 2, 3)]
    slabs[2].raw[20] ^= 1
    slabs[0].raw[BLOCK_BYTES : BLOCK_BYTES + 4] = b"????"
    result = recovered(*(made.read for made in slabs))
    assert set(range(200, 224)) <= set(sequences(result))
    assert 103 in sequences(result)
    assert not [number for number in sequences(result) if number >= 300]
    assert set(result.headers) == {0, 1}


def test_a_slab_of_another_ring_or_key_is_a_free_slot() -> None:
    """Footage of another ring is not taken for this one's."""
    made = filled(1, 1)

    @contextmanager
    def open_slot(_slot: int) -> Iterator[ReadAt]:
        yield made.read

    for volume, key in ((bytes(16), KEK), (VOLUME, Secret(bytes([1] * 32)))):
        result = recover([0], open_slot, volume, key)
        assert (sequences(result), result.headers, result.next_number) == ([], {}, 1)


@pytest.mark.parametrize(("number", "identity"), [(1, 2000), (2, 1000), (1, 1000)])
def test_of_two_slabs_with_one_name_the_later_stays(number: int, identity: int) -> None:
    """The same number or the same id twice: the one made later is believed, the other's slot is free."""
    first, second = slab(1, identity=1000), slab(number, identity=identity, created=at(50))
    first.write(b"f" * 16, batches(1))
    second.write(b"s" * 16, batches(100))
    for reads, slot in (((first.read, second.read), 1), ((second.read, first.read), 0)):
        result = recovered(*reads)
        assert set(result.headers) == {slot}
        assert sequences(result) == list(range(100, 124))
        assert result.next_number == number + 1


def test_a_copied_slab_counts_once() -> None:
    """Two slots with the same bytes: one is free."""
    made = filled(1, 1)
    result = recovered(made.read, made.read)
    assert set(result.headers) == {0}
    assert sequences(result) == list(range(1, 25))


def test_a_disk_that_cannot_be_read_is_damage() -> None:
    """A bad sector is passed over like any other damage; a slab that cannot be read at all is a free slot."""
    made = filled(1, 1)
    lost = made.chunks[5]

    def read(offset: int, length: int) -> bytes:
        if offset <= lost.offset < offset + length:
            raise UnavailableError("bad sector")
        return made.read(offset, length)

    found = sequences(recovered(read))
    assert lost.meta.sequence not in found
    assert {1, 2, 3, 22, 23, 24} <= set(found)

    def fail(_offset: int, _length: int) -> bytes:
        raise UnavailableError("gone")

    assert recovered(fail).headers == {}


def test_a_disk_that_goes_away_meanwhile_hides_nothing_for_good() -> None:
    """A slab whose file cannot be opened a second time keeps its slot, and nothing is written to it."""
    made, opened = filled(1, 1), []

    @contextmanager
    def open_slot(slot: int) -> Iterator[ReadAt]:
        opened.append(slot)
        if len(opened) > 1:
            raise UnavailableError("gone")
        yield made.read

    result = recover([0], open_slot, VOLUME, KEK)
    assert (set(result.headers), result.open, result.next_number) == ({0}, {}, 2)


def test_a_chunk_may_not_reach_into_the_last_block() -> None:
    """The last block is the footer's: what lies in it is no batch."""
    made = slab(1)
    made.raw += bytes(made.header.size - len(made.raw))
    sealer = ChunkSealer(made.header.id, made.header.cipher, made.data_key, bytes(16))
    sealer.seal(media(1), bytes(BLOCK_BYTES), memoryview(made.raw)[-2 * BLOCK_BYTES :])
    raw = bytes(made.raw)
    found = scan(made.header, lambda offset, length: raw[offset : offset + length], made.opener)
    assert found.chunks == ()


def test_a_malformed_index_under_a_good_tag_is_scanned() -> None:
    """Should a hub ever seal a wrong index, its slab is still read, chunk by chunk."""
    made = filled(1, 1)
    sealer = ChunkSealer(made.header.id, made.header.cipher, made.data_key, b"i" * 16)
    length = sealer.seal(index_meta(at(99)), b"\x01" + bytes(7), memoryview(made.raw)[made.end :])
    made.last_block = pack_footer(made.header.id, made.end, length)
    result = recovered(made.read)
    assert sequences(result) == list(range(1, 25))
    assert (result.scanned, result.open) == (1, {})


def test_an_empty_ring_begins_at_one() -> None:
    """Without slabs there is nothing to go on in; a slab without chunks is gone on with from its first batch."""
    result = recovered()
    assert (result.open, result.next_number, result.index.spans()) == ({}, 1, ())
    made = slab(4)
    assert pack_slab_header(made.header) == made.read(0, BLOCK_BYTES)
    assert recovered(made.read).open == {Lane.SHARED: OpenPlace(0, BLOCK_BYTES, 0, 0)}
