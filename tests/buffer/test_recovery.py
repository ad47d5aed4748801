"""Whatever happened to the files, recovery finds exactly the chunks that are whole and never one that is not."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from agent.buffer.chunk import StoredChunk
from agent.buffer.recovery import ReadAt, Recovered, recover, scan
from agent.buffer.slab import (
    BLOCK_BYTES,
    SLAB_BYTES_MIN,
    ChunkOpener,
    ChunkSealer,
    Cipher,
    SlabHeader,
    pack_slab_header,
    padded,
    wrap_key,
)
from agent.clock import Window
from agent.crypto import Secret
from agent.errors import UnavailableError
from tests.simulators.ring_content import CAMERA, START, at, media, stream

KEK = Secret(bytes(32))
VOLUME = bytes(range(16))
EVERYTHING = Window(at(-100), at(100_000))
BATCHES, CHUNKS_PER_BATCH = 8, 3


@dataclass
class Slab:
    """A slab as bytes, with what was written to it."""

    header: SlabHeader
    data_key: Secret
    raw: bytearray
    chunks: list[StoredChunk]
    end: int = BLOCK_BYTES

    def write(self, session: bytes, sequences: range, per_batch: int = CHUNKS_PER_BATCH) -> None:
        """Append chunks under a new session, as batches."""
        sealer = ChunkSealer(self.header, self.data_key, session)
        for begin in range(sequences.start, sequences.stop, per_batch):
            position = self.end
            batch = [media(n) for n in range(begin, min(begin + per_batch, sequences.stop))]
            for meta in [stream()[0]] * (not self.chunks) + batch:
                payload = random.Random(meta.sequence).randbytes(500 + meta.sequence * 37 % 4000)  # noqa: S311 - repeatable test content
                place = memoryview(self.raw)[position:]
                self.chunks.append(sealer.seal(meta, payload, place, position))
                position += self.chunks[-1].length
            self.end = padded(position)


def slab(number: int, first: int, count: int = BATCHES * CHUNKS_PER_BATCH, old: bytes = b"") -> Slab:
    """Make a slab with chunks numbered from `first`, over the bytes of an earlier lap."""
    blank = SlabHeader(number, VOLUME, Cipher.AES_256_GCM, START, SLAB_BYTES_MIN)
    data_key = Secret(bytes([number] * 32))
    header = wrap_key(blank, data_key, KEK, bytes([number] * 12))
    raw = bytearray(old.ljust(256 * 1024, b"\0"))
    raw[:BLOCK_BYTES] = pack_slab_header(header)
    made = Slab(header, data_key, raw, [])
    made.write(bytes([number] * 16), range(first, first + count))
    return made


def reader(raw: bytes | bytearray) -> ReadAt:
    """Read bytes as a file would be read."""
    return lambda offset, length: bytes(raw[offset : offset + length])


def recovered(*raws: bytes | bytearray) -> Recovered:
    """Recover from slots of these bytes."""
    return recover({slot: reader(raw) for slot, raw in enumerate(raws)}, VOLUME, KEK)


def sequences(result: Recovered) -> list[int]:
    """Return which chunks are in the index."""
    return [chunk.meta.sequence for chunk in result.index.footage(CAMERA, EVERYTHING).chunks]


def reachable(made: Slab, damaged: set[int]) -> list[StoredChunk]:
    """Say which chunks must be found: the whole ones whose place is known by a whole header before or a block border.

    `damaged` has the offsets of changed bytes.
    """
    found, known = [], {BLOCK_BYTES}
    lost = False
    for chunk in made.chunks:
        header = range(chunk.offset, chunk.offset + 160)
        body = range(chunk.offset + 160, chunk.offset + chunk.length)
        is_known = chunk.offset in known or (chunk.offset % BLOCK_BYTES == 0 and (lost or chunk.offset in known))
        lost = lost or not is_known
        if not is_known or damaged.intersection(header):
            lost = True
            continue
        known |= {chunk.offset + chunk.length, padded(chunk.offset + chunk.length)}
        if not damaged.intersection(body):
            found.append(chunk)
    return found


@pytest.mark.parametrize("seed", range(80))
def test_damage_costs_the_chunks_it_lies_in(seed: int) -> None:
    """Truncated, flipped, zeroed or stale: what is whole is found, what is not is not, in the newest slab."""
    rnd = random.Random(seed)  # noqa: S311 - repeatable test content
    old = slab(1, 1)
    made = slab(2, 1000, old=bytes(old.raw))
    raw = bytearray(made.raw)
    kind = ("truncate", "flip", "zero", "stale", "older lap")[seed % 5]
    place = rnd.randrange(BLOCK_BYTES, made.end)
    block = place // BLOCK_BYTES * BLOCK_BYTES
    length = BLOCK_BYTES * rnd.randrange(1, 6)
    if kind == "truncate":
        del raw[place:]
        raw = raw.ljust(len(made.raw), b"\xff") if rnd.random() < 0.5 else raw
    elif kind == "flip":
        raw[place] ^= 1 << rnd.randrange(8)
    elif kind == "zero":
        raw[block : block + length] = bytes(length)
    elif kind == "stale":
        raw[block : block + length] = rnd.randbytes(length)
    else:
        raw[block : block + length] = old.raw[block : block + length]
    damaged = {
        offset for offset in range(BLOCK_BYTES, made.end) if offset >= len(raw) or raw[offset] != made.raw[offset]
    }
    found = scan(made.header, reader(raw), ChunkOpener(made.header, made.data_key))
    expected = reachable(made, damaged)
    assert [c.meta.sequence for c in found.chunks] == [c.meta.sequence for c in expected]
    assert found.end == padded(expected[-1].offset + expected[-1].length if expected else BLOCK_BYTES)
    hopped = scan(made.header, reader(raw), None)
    assert {c.offset for c in found.chunks} <= {c.offset for c in hopped.chunks} <= {c.offset for c in made.chunks}


def test_a_power_cut_leaves_the_valid_prefix() -> None:
    """A last batch of which only some blocks came down is not there; all before it is, and it is written over."""
    made = slab(1, 1)
    committed, end = list(made.chunks), made.end
    made.write(b"s" * 16, range(500, 512), per_batch=12)
    raw = bytearray(made.raw)
    raw[end : end + BLOCK_BYTES] = bytes(BLOCK_BYTES)
    found = scan(made.header, reader(raw), ChunkOpener(made.header, made.data_key))
    assert list(found.chunks) == committed
    assert found.end == end


def test_slabs_are_found_in_their_order_wherever_they_lie() -> None:
    """The slots' order means nothing; the newest slab and the next number are known."""
    newest, oldest, middle = slab(9, 200), slab(7, 1), slab(8, 100)
    result = recovered(newest.raw, oldest.raw, middle.raw)
    assert sequences(result) == [c.meta.sequence for s in (oldest, middle, newest) for c in s.chunks[1:]]
    assert (result.newest, result.end, result.next_number) == (0, newest.end, 10)


def test_a_damaged_slab_hides_no_other() -> None:
    """A torn header costs its slab alone, and its number is not used again."""
    slabs = [slab(number, number * 100) for number in (1, 2, 3)]
    slabs[2].raw[20] ^= 1
    slabs[0].raw[BLOCK_BYTES : BLOCK_BYTES + 4] = b"????"
    result = recovered(*(made.raw for made in slabs))
    assert set(range(200, 224)) <= set(sequences(result))
    assert 103 in sequences(result)
    assert not [number for number in sequences(result) if number >= 300]
    assert (result.newest, result.next_number) == (1, 4)
    assert set(result.headers) == {0, 1}


def test_a_slab_of_another_ring_or_key_is_a_free_slot() -> None:
    """Footage of another ring is not taken for this one's."""
    made = slab(1, 1)
    assert sequences(recover({0: reader(made.raw)}, bytes(16), KEK)) == []
    assert sequences(recover({0: reader(made.raw)}, VOLUME, Secret(bytes([1] * 32)))) == []


def test_a_copied_slab_counts_once() -> None:
    """Two slots with the same slab number: one is free."""
    made = slab(1, 1)
    result = recovered(made.raw, made.raw)
    assert len(result.headers) == 1
    assert len(sequences(result)) == BATCHES * CHUNKS_PER_BATCH


def test_what_a_torn_session_left_does_not_come_back() -> None:
    """A restart overwrote a torn batch in part: what is left of the old session behind the new is not believed."""
    made = slab(1, 1)
    end = made.end
    before = bytes(made.raw)
    made.raw[end:] = before[BLOCK_BYTES : BLOCK_BYTES + len(made.raw) - end]
    sealer = ChunkSealer(made.header, made.data_key, b"n" * 16)
    new = sealer.seal(media(900), b"new", memoryview(made.raw)[end:], end)
    for opener in (None, ChunkOpener(made.header, made.data_key)):
        assert [*scan(made.header, reader(made.raw), opener).chunks] == [*made.chunks, new]


def test_a_disk_that_cannot_be_read_is_damage() -> None:
    """A bad sector is passed over like any other damage; a slab that cannot be read at all is a free slot."""
    made = slab(1, 1)
    lost = made.chunks[5]

    def read(offset: int, length: int) -> bytes:
        if offset <= lost.offset < offset + length:
            raise UnavailableError("bad sector")
        return bytes(made.raw[offset : offset + length])

    found = sequences(recover({0: read}, VOLUME, KEK))
    assert lost.meta.sequence not in found
    assert {1, 2, 3, 22, 23, 24} <= set(found)

    def fail(_offset: int, _length: int) -> bytes:
        raise UnavailableError("gone")

    assert sequences(recover({0: fail}, VOLUME, KEK)) == []


def test_an_empty_ring_begins_at_one() -> None:
    """Without slabs there is nothing to go on in."""
    result = recovered()
    assert (result.newest, result.next_number, result.index.spans()) == (None, 1, ())
