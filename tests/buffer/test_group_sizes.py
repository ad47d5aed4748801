"""What a camera's groups of pictures cost, by the index alone."""

from __future__ import annotations

from dataclasses import replace

from agent.buffer.chunk import StoredChunk
from agent.buffer.group_sizes import NOTES_MIN, GroupHistory, group_sizes
from agent.buffer.row import CHUNK_BYTES_MIN
from tests.simulators.ring_content import media


def stored(sequence: int, size: int, *, run: int = 1) -> StoredChunk:
    """Return a chunk of the index; every fourth is key."""
    return StoredChunk(media(sequence, run=run), 1, sequence * 4096, size + CHUNK_BYTES_MIN)


def test_a_group_goes_from_key_to_key() -> None:
    """What comes before the first key chunk, and what is still growing, is none."""
    chunks = [stored(sequence, 100 * sequence) for sequence in range(2, 15)]
    assert group_sizes(chunks) == [400 + 500 + 600 + 700, 800 + 900 + 1000 + 1100]


def test_a_group_with_a_hole_is_not_counted() -> None:
    """Nor one that another run ends."""
    chunks = [stored(sequence, 100) for sequence in (4, 5, 7, 8, 9, 10, 11, 12)]
    assert group_sizes(chunks) == [400]
    other = [replace(chunk, meta=replace(chunk.meta, run=2)) for chunk in chunks[-1:]]
    assert group_sizes([*chunks[:-1], *other]) == []
    assert group_sizes([]) == []


def test_what_is_far_from_usual_is_unusual() -> None:
    """Three times as much or a third, once the usual is known."""
    history = GroupHistory()
    for _ in range(NOTES_MIN):
        assert not history.is_unusual([1])
        history.note([900, 1000, 5000])
    assert history.newest == 1000
    assert [history.is_unusual([size]) for size in (333, 334, 1000, 2999, 3000)] == [True, False, False, False, True]
    assert not history.is_unusual([])
    history.note([])
    assert history.newest == 1000
