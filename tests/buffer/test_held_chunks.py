"""Chunks in memory until it is known whose they are."""

from __future__ import annotations

from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.buffer.held_chunks import CHUNK_BYTES, HELD_BYTES_MAX, HeldChunks
from tests.simulators.ring_content import media


def numbered(sequence: int) -> ChunkMeta:
    """Make a chunk's meta."""
    return media(sequence)


def test_what_is_held_comes_out_in_order_and_once() -> None:
    """The payload is its own: the memory it was read into is used again meanwhile."""
    held, read = HeldChunks(), bytearray(b"one")
    held.append(numbered(1), memoryview(read))
    read[:] = b"two"
    held.append(numbered(2), memoryview(read))
    assert [(meta.sequence, meta.kind, payload) for meta, payload in held.take()] == [
        (1, ChunkKind.MEDIA, b"one"),
        (2, ChunkKind.MEDIA, b"two"),
    ]
    assert held.take() == []


def test_it_is_full_by_bytes_and_by_many_small_chunks() -> None:
    """Full is a word to the reader: what it has read already is held all the same."""
    held = HeldChunks()
    held.append(numbered(1), bytes(HELD_BYTES_MAX - 2 * CHUNK_BYTES))
    assert not held.is_full
    held.append(numbered(2), b"")
    assert held.is_full
    held.append(numbered(3), b"more")
    assert len(held.take()) == 3
    assert not held.is_full
    for number in range(HELD_BYTES_MAX // CHUNK_BYTES):
        held.append(numbered(number), b"")
    assert held.is_full
