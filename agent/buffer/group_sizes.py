"""The ring's index to the bytes of each group of pictures: what a camera's pictures cost, without reading one.

Rules of this file: a group counts only if it is whole: from a key chunk to the next one of the same run, none missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.buffer.chunk import StoredChunk
from agent.buffer.row import CHUNK_BYTES_MIN

UNUSUAL_TIMES: Final = 3
NOTES_MIN: Final = 10  # before what is usual is known
_LEARN: Final = 1 / 32


def group_sizes(chunks: Iterable[StoredChunk]) -> list[int]:
    """Return the bytes of every whole group of pictures among a camera's chunks in recorded order, as on the wire."""
    sizes: list[int] = []
    size: int | None = None  # None: before a key chunk, or behind a missing one
    place = (0, 0)
    for chunk in chunks:
        meta = chunk.meta
        is_next = (meta.run, meta.sequence) == place
        if meta.is_key:
            if size is not None and is_next:
                sizes.append(size)
            size = 0
        elif not is_next:
            size = None
        if size is not None:
            size += chunk.length - CHUNK_BYTES_MIN
        place = (meta.run, meta.sequence + 1)
    return sizes


@dataclass(slots=True)
class GroupHistory:
    """What a camera's groups of pictures usually cost; day and night are hours apart, so it is learnt in hours."""

    newest: int | None = None  # bytes of the middle one of those noted last
    _usual: float = 0.0
    _notes: int = 0

    def note(self, sizes: Sequence[int]) -> None:
        """Take the sizes of the newest groups, as often as once a minute."""
        if not sizes:
            return
        self.newest = _middle(sizes)
        self._notes += 1
        self._usual += (self.newest - self._usual) * max(_LEARN, 1 / self._notes)

    def is_unusual(self, sizes: Sequence[int]) -> bool:
        """Say whether the newest group costs a third of the usual or less, or three times as much or more."""
        if not sizes or self._notes < NOTES_MIN:
            return False
        return not self._usual / UNUSUAL_TIMES < sizes[-1] < self._usual * UNUSUAL_TIMES


def _middle(sizes: Sequence[int]) -> int:
    return sorted(sizes)[len(sizes) // 2]
