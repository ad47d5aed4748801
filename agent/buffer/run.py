"""One camera's run as the index holds it: its media chunks packed small, and the one mapping each of them is read by.

A chunk takes `_ROW.size` bytes here instead of some 700 as objects: a ring of days is a million chunks.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.acquire.timeline import VIDEO_CLOCK_HZ, Anchor, ClockSource
from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.clock import SECOND_NS, WallTime, Window

REORDER_NS: Final = SECOND_NS
"""Pictures may stand this far from their place in time: B pictures follow those they are shown before."""

ERROR_NS_MAX: Final = 10 * SECOND_NS
"""An error bound beyond this widens a search no further."""

DRIFT_PPM_MAX: Final = 100
"""A camera's clock may run this much wrong: what a mapping from another place of the run adds to its error bound."""

_WRAP_TICKS: Final = 1 << 32
_ROW: Final = struct.Struct("<QqqqQIIIIIBB")
_KEY_AT: Final = _ROW.size - 1
_SOURCES: Final = tuple(ClockSource)


@dataclass(slots=True)
class _Piece:
    """What one slab has of the run, in recorded order."""

    slab: int
    rows: bytearray = field(default_factory=bytearray)
    mapped_first: int = -1  # first and last row whose anchor comes from sender reports; -1: none
    mapped_last: int = -1

    def __len__(self) -> int:
        return len(self.rows) // _ROW.size


class Run:
    """The committed media chunks of one run, in the order of their sequence numbers.

    Which mapping a chunk is read by: its own anchor if that comes from the camera's sender reports; else the nearest
    later one of the run that does; else the anchor of the run's newest chunk. So what the slabs lose at their old end
    never changes a mapping, and a chunk's mapping is *final* - the same in every later call, also after a restart -
    as soon as a chunk with a sender report is committed at or after it, or the camera's next run has begun. Until
    then (a live run without sender reports) it may move within the stated error bounds.
    """

    def __init__(self, camera: CameraId, number: int) -> None:
        self.camera = camera
        self.number = number
        self.headers: dict[int, StoredChunk] = {}  # stream chunk by slab
        self._pieces: list[_Piece] = []
        self._error_ns_max = 0

    @property
    def header(self) -> StoredChunk | None:
        """The stream chunk in the newest slab that has one."""
        return self.headers[max(self.headers)] if self.headers else None

    @property
    def is_empty(self) -> bool:
        """Whether no media chunk is left."""
        return not self._pieces

    def add(self, chunk: StoredChunk) -> None:
        """Take a media chunk that comes after all others of this run; one that does not is a copy and is ignored."""
        if self._pieces:
            newest = self._pieces[-1]
            if chunk.slab < newest.slab or chunk.meta.sequence <= _row(newest, len(newest) - 1)[0]:
                return
        if not self._pieces or self._pieces[-1].slab != chunk.slab:
            self._pieces.append(_Piece(chunk.slab))
        piece = self._pieces[-1]
        if chunk.meta.anchor.source is not ClockSource.ARRIVAL:
            piece.mapped_first = len(piece) if piece.mapped_first < 0 else piece.mapped_first
            piece.mapped_last = len(piece)
        piece.rows += _pack(chunk)
        self._error_ns_max = max(self._error_ns_max, min(chunk.meta.anchor.error_ns, ERROR_NS_MAX))

    def forget(self, slab: int) -> None:
        """Drop what a slab had of this run."""
        self.headers.pop(slab, None)
        self._pieces = [piece for piece in self._pieces if piece.slab != slab]

    def chunks(self, window: Window) -> list[StoredChunk]:
        """Return the chunks a cut of `window` needs, their anchors resolved; empty if the run has nothing in it.

        From the last key chunk at or before the start (else the oldest that may reach into the window) to the first
        that lies wholly behind the end. Both borders are widened by the run's error bound and `REORDER_NS`.
        """
        margin = 2 * self._error_ns_max + REORDER_NS
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
            rows = self._pieces[index].rows
            before = row if index == at else len(self._pieces[index])
            key = rows[_KEY_AT : before * _ROW.size : _ROW.size].rfind(1)
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
                anchor = chunk.meta.anchor if chunk.meta.anchor.source is not ClockSource.ARRIVAL else anchor
                yield _resolved(chunk, anchor)

    def _chunk(self, index: int, row: int) -> StoredChunk:
        return _resolved(self._unpack(self._pieces[index], row), self._mapping(index, row))

    def _first_picture(self, index: int, row: int) -> WallTime:
        return self._chunk(index, row).meta.first_picture

    def _mapping(self, index: int, row: int) -> Anchor:
        """Return the nearest mapping by sender reports at or after a place, else that of the run's newest chunk."""
        for later in range(index, len(self._pieces)):
            piece = self._pieces[later]
            start = row if later == index else 0
            if piece.mapped_last < start:
                continue
            for candidate in range(max(start, piece.mapped_first), piece.mapped_last + 1):
                anchor = self._unpack(piece, candidate).meta.anchor
                if anchor.source is not ClockSource.ARRIVAL:
                    return anchor
        newest = self._pieces[-1]
        return self._unpack(newest, len(newest) - 1).meta.anchor

    def _unpack(self, piece: _Piece, row: int) -> StoredChunk:
        (sequence, first, last, hub, error, offset, length, rtp_first, rtp_last, rtp, source, is_key) = _row(piece, row)
        anchor = Anchor(rtp, WallTime(hub), error, _SOURCES[source])
        meta = ChunkMeta(
            camera=self.camera,
            kind=ChunkKind.MEDIA,
            is_key=bool(is_key),
            run=self.number,
            sequence=sequence,
            first_arrival=WallTime(first),
            last_arrival=WallTime(last),
            first_rtp=rtp_first,
            last_rtp=rtp_last,
            anchor=anchor,
        )
        return StoredChunk(meta, piece.slab, offset, length)


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

    def forget(self, slab: int) -> None:
        """Drop what a slab had, and the runs of which nothing is left."""
        for number in list(self._numbers):
            run = self._runs[number]
            run.forget(slab)
            if run.is_empty and not run.headers:
                del self._runs[number]
                self._numbers.pop(bisect_right(self._numbers, number) - 1)


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


def _row(piece: _Piece, row: int) -> tuple[int, ...]:
    return _ROW.unpack_from(piece.rows, row * _ROW.size)


def _pack(chunk: StoredChunk) -> bytes:
    meta, anchor = chunk.meta, chunk.meta.anchor
    return _ROW.pack(
        meta.sequence,
        meta.first_arrival,
        meta.last_arrival,
        anchor.hub,
        anchor.error_ns,
        chunk.offset,
        chunk.length,
        meta.first_rtp,
        meta.last_rtp,
        anchor.rtp,
        _SOURCES.index(anchor.source),
        meta.is_key,
    )
