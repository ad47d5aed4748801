"""Footage whose times are known: what was recorded under a clock that cannot be believed is left out, and said.

Rules of this file:
- Nothing is shifted to where it may belong; a bound of the hub's clock is added to each chunk's own.
- Of two recordings that claim the same moments by clocks that contradict each other, neither is used there. Where
  one has a better source (NTP, a time key, nobody), that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage, LeftOut
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.plan import WHY_CLOCK_WRONG, WHY_TWICE, WHY_UNDATED
from agent.ports import ChunkSource
from agent.trust.clock_past import RANK, ClockPast

TOLERANCE_NS: Final = SECOND_NS // 10  # beside both bounds: what two clocks are no contradiction for
SENT_AGAIN_NS: Final = 15 * SECOND_NS
"""By one clock two runs may share so much: cameras that are connected to again send the last seconds once more."""

_Runs = dict[int, list[StoredChunk]]


class DatedFootage:
    """A source of chunks (`ports.ChunkSource`) behind another one."""

    def __init__(self, source: ChunkSource, past: ClockPast) -> None:
        self._source, self._past = source, past

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what there is of a window, without what cannot be dated."""
        self._past.look()
        found = self._source.footage(camera, window)
        runs: _Runs = {}
        for chunk in found.chunks:
            runs.setdefault(chunk.meta.run, []).append(chunk)
        errors = {run: self._past.error_of(run) for run in runs}
        left_out = [
            LeftOut(span, WHY_CLOCK_WRONG)
            for wrong in self._past.wrong_spans()
            if (span := wrong.intersection(window)) is not None
        ]
        left_out += _undated([runs[run] for run in runs if errors[run] is None and not self._is_wrong(run)], window)
        dated = {run: chunks for run, chunks in runs.items() if errors[run] is not None}
        twice = self._claimed_twice(dated)
        if not left_out and not twice and not any(errors.values()):
            return found
        chunks = tuple(
            _bounded(chunk, errors[chunk.meta.run] or 0)
            for chunk in found.chunks
            if chunk.meta.run in dated and not any(run == chunk.meta.run and _touches(chunk, s) for run, s in twice)
        )
        kept = {chunk.meta.run for chunk in chunks}
        shared = (span for _, claimed in twice if (span := claimed.intersection(window)) is not None)
        return replace(
            found,
            headers=tuple(header for header in found.headers if header.meta.run in kept),
            chunks=chunks,
            left_out=(*left_out, *(LeftOut(span, WHY_TWICE) for span in dict.fromkeys(shared))),
        )

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""
        return self._source.read(chunk)

    def _is_wrong(self, run: int) -> bool:
        era = self._past.era_of(run)
        return era is not None and era.is_contradicted

    def _claimed_twice(self, runs: _Runs) -> list[tuple[int, Window]]:
        """Return of which run which moments may not be used, since another recording claims them too."""
        found = []
        for earlier, later in combinations(sorted(runs), 2):
            first = min(chunk.meta.first_picture for chunk in runs[later])
            last = max(chunk.meta.last_picture for chunk in runs[earlier])
            if last - first <= self._may_share_ns(earlier, later) + _bound_ns(runs[earlier]) + _bound_ns(runs[later]):
                continue
            claimed = Window(first, WallTime(last + 1))
            ranks = {run: self._rank(run) for run in (earlier, later)}
            found += [(run, claimed) for run, rank in ranks.items() if rank == min(ranks.values())]
        return found

    def _rank(self, run: int) -> int:
        era = self._past.era_of(run)
        return max(RANK.values()) if era is None else RANK[era.source]

    def _may_share_ns(self, earlier: int, later: int) -> int:
        return SENT_AGAIN_NS if self._past.era_of(earlier) is self._past.era_of(later) else TOLERANCE_NS


def _bounded(chunk: StoredChunk, error_ns: int) -> StoredChunk:
    anchor = chunk.meta.anchor
    return replace(chunk, meta=replace(chunk.meta, anchor=replace(anchor, error_ns=anchor.error_ns + error_ns)))


def _bound_ns(chunks: Sequence[StoredChunk]) -> int:
    return max(chunk.meta.anchor.error_ns for chunk in chunks)


def _touches(chunk: StoredChunk, span: Window) -> bool:
    return chunk.meta.first_picture < span.end and chunk.meta.last_picture >= span.start


def _undated(runs: Sequence[Sequence[StoredChunk]], window: Window) -> list[LeftOut]:
    """Return where in the window pictures lie by the times they were recorded with, one span for each run."""
    spans = []
    for chunks in runs:
        first = min(chunk.meta.first_picture for chunk in chunks)
        last = max(chunk.meta.last_picture for chunk in chunks)
        if span := Window(first, WallTime(last + 1)).intersection(window):
            spans.append(LeftOut(span, WHY_UNDATED))
    return spans
