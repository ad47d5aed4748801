"""One camera's run as the index holds it: its media chunks packed small, and the one mapping each of them is read by.

Rules of this file: the order in which chunks come to be known changes nothing; pieces are ordered by sequence number,
not by slab, since a camera may move between two slabs that are open at the same time, and back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from agent.acquire.stream import CameraId
from agent.acquire.timeline import LEARNING_ERROR_NS, VIDEO_CLOCK_HZ, Anchor
from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.buffer.row import ROW_BYTES, Rows, last_key, next_settled, offset_of, pack_row, sequence_of, unpack_row
from agent.clock import SECOND_NS, WallTime, Window

REORDER_NS: Final = SECOND_NS
"""Pictures may stand this far from their place in time: B pictures follow those they are shown before."""

ERROR_NS_MAX: Final = 10 * SECOND_NS
"""An error bound beyond this widens a search no further."""

DRIFT_PPM_MAX: Final = 100
"""A camera's clock may run this much wrong: what a mapping from another place of the run adds to its error bound."""

_WRAP_TICKS: Final = 1 << 32


@dataclass(slots=True)
class _Piece:
    """Media chunks of the run that lie in one slab and follow each other in the run, no other slab's between them."""

    slab: int
    rows: bytearray

    def __len__(self) -> int:
        return len(self.rows) // ROW_BYTES

    @property
    def first(self) -> int:
        """The lowest sequence number."""
        return sequence_of(self.rows, 0)

    @property
    def last(self) -> int:
        """The highest sequence number."""
        return sequence_of(self.rows, len(self) - 1)


class Run:
    """The committed media chunks of one run, in the order of their sequence numbers.

    Which mapping a chunk is read by: its own anchor if that is settled; else the nearest later one of the run that is;
    else the anchor of the run's newest chunk. Only a run's first seconds are not settled (`acquire.timeline`). So what
    the slabs lose at their old end never changes a mapping, and a chunk's mapping is *final* - the same in every later
    call, also after a restart - as soon as a chunk with a settled anchor is committed at or after it, or the camera's
    next run has begun.
    """

    def __init__(self, camera: CameraId, number: int) -> None:
        self.camera = camera
        self.number = number
        self._streams: dict[int, Rows] = {}  # the stream chunk's row, by slab
        self._pieces: list[_Piece] = []
        self._settled_error_ns_max = self._guess_error_ns_max = 0

    @property
    def header(self) -> StoredChunk | None:
        """The stream chunk in the newest slab that has one."""
        if not self._streams:
            return None
        slab = max(self._streams)
        return unpack_row(self._streams[slab], 0, ChunkKind.STREAM, self.camera, self.number, slab)

    @property
    def is_empty(self) -> bool:
        """Whether no media chunk is left."""
        return not self._pieces

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left at all."""
        return not self._pieces and not self._streams

    def add(self, chunk: StoredChunk) -> None:
        """Take a chunk. Of two with the same sequence number the one in the newer slab counts: it stays longer."""
        row = pack_row(chunk)
        if chunk.meta.kind is ChunkKind.STREAM:
            self._add_stream(chunk.slab, row)
        else:
            self._add_media(chunk.slab, row, chunk.meta.anchor.error_ns)

    def load(self, slab: int, stream: Rows, media: Rows, error_ns_max: int) -> None:
        """Take what a slab has of this run: a stream chunk's row or nothing, and media rows by sequence."""
        if stream:
            self._add_stream(slab, stream)
        if media:
            self._add_media(slab, media, error_ns_max)

    def rows(self, slab: int) -> tuple[Rows, Rows]:
        """Return what a slab has of this run, as `load` takes it."""
        media = b"".join(piece.rows for piece in self._pieces if piece.slab == slab)
        return self._streams.get(slab, b""), media

    def forget(self, slab: int) -> None:
        """Drop what a slab had of this run."""
        self._streams.pop(slab, None)
        self._pieces = [piece for piece in self._pieces if piece.slab != slab]

    def chunks(self, window: Window) -> list[StoredChunk]:
        """Return the chunks a cut of `window` needs, their anchors resolved; empty if the run has nothing in it.

        From the last key chunk at or before the start (else the oldest that may reach into the window) to the first
        that lies wholly behind the end. Both borders are widened by the run's error bound and `REORDER_NS`.
        """
        margin = 2 * (self._settled_error_ns_max or self._guess_error_ns_max) + REORDER_NS
        start, end = WallTime(window.start - margin), WallTime(window.end + margin)
        if self.is_empty or self._first_picture(0, 0) >= end:
            return []
        newest = len(self._pieces) - 1, len(self._pieces[-1]) - 1
        last = self._chunk(*newest).meta
        if max(last.first_picture, last.last_picture) < start:
            return []
        stop = self._find(end)
        chunks = list(self._backwards(stop if stop[0] < len(self._pieces) else newest, self._find_key(start)))
        chunks.reverse()
        return chunks

    def oldest(self) -> WallTime:
        """Hub time of the oldest committed picture."""
        return self._first_picture(0, 0)

    def newest(self) -> WallTime:
        """Hub time of the newest committed picture."""
        meta = self._chunk(len(self._pieces) - 1, len(self._pieces[-1]) - 1).meta
        return max(meta.first_picture, meta.last_picture)

    def _find(self, moment: WallTime) -> tuple[int, int]:
        """Return the place of the first chunk that begins at or after `moment`; (pieces, 0) if there is none."""
        at = bisect_left(range(len(self._pieces)), moment, key=lambda piece: self._first_picture(piece, 0))
        if at > 0:
            row = bisect_left(range(len(self._pieces[at - 1])), moment, key=lambda r: self._first_picture(at - 1, r))
            if row < len(self._pieces[at - 1]):
                return at - 1, row
        return at, 0

    def _find_key(self, moment: WallTime) -> tuple[int, int]:
        """Return the place of the last key chunk that begins at or before `moment`, else of where the run begins."""
        at, row = self._find(WallTime(moment + 1))
        for index in range(min(at, len(self._pieces) - 1), -1, -1):
            key = last_key(self._pieces[index].rows, row if index == at else len(self._pieces[index]))
            if key >= 0:
                return index, key
        if row > 0:
            return at, row - 1
        return (at - 1, len(self._pieces[at - 1]) - 1) if at > 0 else (0, 0)

    def _backwards(self, newest: tuple[int, int], oldest: tuple[int, int]) -> Iterator[StoredChunk]:
        """Yield resolved chunks from `newest` back to `oldest`, both included, looking a mapping up only once."""
        anchor = self._mapping(*newest)
        for index in range(newest[0], oldest[0] - 1, -1):
            piece = self._pieces[index]
            high = newest[1] if index == newest[0] else len(piece) - 1
            low = oldest[1] if index == oldest[0] else 0
            for row in range(high, low - 1, -1):
                chunk = self._unpack(piece, row)
                anchor = chunk.meta.anchor if chunk.meta.anchor.is_settled else anchor
                yield _resolved(chunk, anchor)

    def _chunk(self, index: int, row: int) -> StoredChunk:
        return _resolved(self._unpack(self._pieces[index], row), self._mapping(index, row))

    def _first_picture(self, index: int, row: int) -> WallTime:
        return self._chunk(index, row).meta.first_picture

    def _mapping(self, index: int, row: int) -> Anchor:
        """Return the nearest settled anchor at or after a place, else that of the run's newest chunk."""
        for later in range(index, len(self._pieces)):
            found = next_settled(self._pieces[later].rows, row if later == index else 0)
            if found >= 0:
                return self._unpack(self._pieces[later], found).meta.anchor
        return self._unpack(self._pieces[-1], len(self._pieces[-1]) - 1).meta.anchor

    def _unpack(self, piece: _Piece, row: int) -> StoredChunk:
        return unpack_row(piece.rows, row, ChunkKind.MEDIA, self.camera, self.number, piece.slab)

    def _add_stream(self, slab: int, row: Rows) -> None:
        known = self._streams.get(slab)
        if known is None or offset_of(row, 0) < offset_of(known, 0):
            self._streams[slab] = row

    def _add_media(self, slab: int, rows: Rows, error_ns_max: int) -> None:
        if error_ns_max < LEARNING_ERROR_NS:
            self._settled_error_ns_max = max(self._settled_error_ns_max, error_ns_max)
        else:
            self._guess_error_ns_max = max(self._guess_error_ns_max, min(error_ns_max, ERROR_NS_MAX))
        newest = self._pieces[-1] if self._pieces else None
        if newest is None or sequence_of(rows, 0) > newest.last:
            if newest is not None and newest.slab == slab:
                newest.rows += rows
            else:
                self._pieces.append(_Piece(slab, bytearray(rows)))
        else:
            self._merge(_Piece(slab, bytearray(rows)))

    def _merge(self, new: _Piece) -> None:
        """Put chunks where they belong that are older than some which are known, or known already."""
        low = bisect_left(self._pieces, new.first, key=lambda piece: piece.last)
        high = bisect_right(self._pieces, new.last, key=lambda piece: piece.first)
        if low == high and low > 0 and self._pieces[low - 1].slab == new.slab:
            self._pieces[low - 1].rows += new.rows
        elif low == high:
            self._pieces.insert(low, new)
        else:
            self._pieces[low:high] = _merged([*self._pieces[low:high], new])


class Runs:
    """All runs of one camera, oldest first."""

    def __init__(self, camera: CameraId) -> None:
        self._camera = camera
        self._numbers: list[int] = []
        self._runs: dict[int, Run] = {}

    def __iter__(self) -> Iterator[Run]:
        return (self._runs[number] for number in self._numbers)

    def __getitem__(self, number: int) -> Run:
        """Return a run, a new one if there was none of that number."""
        if number not in self._runs:
            self._runs[number] = Run(self._camera, number)
            insort(self._numbers, number)
        return self._runs[number]

    def __reversed__(self) -> Iterator[Run]:
        return (self._runs[number] for number in reversed(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def get(self, number: int) -> Run | None:
        """Return a run, if there is one of that number."""
        return self._runs.get(number)

    def forget(self, number: int, slab: int) -> None:
        """Drop what a slab had of a run, and the run if nothing is left of it."""
        run = self._runs.get(number)
        if run is None:
            return
        run.forget(slab)
        if run.is_gone:
            del self._runs[number]
            self._numbers.pop(bisect_left(self._numbers, number))


def rebased(anchor: Anchor, chunk: ChunkMeta) -> Anchor:
    """Return the same mapping stated near a chunk, so that 32-bit timestamps cannot wrap between the two.

    The chunk's own anchor says in which wrap it lies; the way between the two adds `DRIFT_PPM_MAX` to the error.
    """
    wrap_ns = _WRAP_TICKS * SECOND_NS
    wraps = round((chunk.anchor.hub - _unwrapped(anchor, chunk.anchor.rtp)) * VIDEO_CLOCK_HZ / wrap_ns)
    hub = WallTime(anchor.hub + wraps * wrap_ns // VIDEO_CLOCK_HZ)
    drift_ns = abs(anchor.hub - chunk.first_arrival) * DRIFT_PPM_MAX // 1_000_000
    return replace(anchor, hub=hub, error_ns=anchor.error_ns + drift_ns)


def _resolved(chunk: StoredChunk, anchor: Anchor) -> StoredChunk:
    if anchor is chunk.meta.anchor or anchor == chunk.meta.anchor:
        return chunk
    return replace(chunk, meta=replace(chunk.meta, anchor=rebased(anchor, chunk.meta)))


def _unwrapped(anchor: Anchor, rtp: int) -> int:
    ticks = (rtp - anchor.rtp + _WRAP_TICKS // 2) % _WRAP_TICKS - _WRAP_TICKS // 2
    return anchor.hub + ticks * SECOND_NS // VIDEO_CLOCK_HZ


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Return the same chunks, each sequence number once, as few pieces as there can be."""
    places: dict[int, tuple[int, int, bytes]] = {}
    for piece in pieces:
        for row in range(len(piece)):
            place = piece.slab, offset_of(piece.rows, row), bytes(piece.rows[row * ROW_BYTES : (row + 1) * ROW_BYTES])
            places[sequence_of(piece.rows, row)] = max(place, places.get(sequence_of(piece.rows, row), place))
    in_order = [places[sequence] for sequence in sorted(places)]
    return [
        _Piece(slab, bytearray().join(row for _, _, row in chunks))
        for slab, chunks in groupby(in_order, key=lambda place: place[0])
    ]
