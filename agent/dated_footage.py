"""Footage whose times are known: what was recorded under a clock that nobody could vouch for is left out, and said.

Rules of this file: nothing is shifted to where it may belong; a bound of the hub's clock is added to each chunk's own.
"""

from __future__ import annotations

from dataclasses import replace

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage
from agent.clock import WallTime, Window
from agent.clock_past import ClockPast
from agent.ports import ChunkSource


class DatedFootage:
    """A source of chunks (`ports.ChunkSource`) behind another one."""

    def __init__(self, source: ChunkSource, past: ClockPast) -> None:
        self._source, self._past = source, past

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what there is of a window, without what nobody can date."""
        self._past.look()
        found = self._source.footage(camera, window)
        errors = {run: self._past.error_of(run) for run in {chunk.meta.run for chunk in found.chunks}}
        if not any(error != 0 for error in errors.values()):
            return found
        dated = tuple(_bounded(chunk, error) for chunk in found.chunks if (error := errors[chunk.meta.run]) is not None)
        undated = [chunk for chunk in found.chunks if errors[chunk.meta.run] is None]
        return replace(
            found,
            headers=tuple(header for header in found.headers if errors.get(header.meta.run) is not None),
            chunks=dated,
            undated=_spans(undated, window),
        )

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""
        return self._source.read(chunk)


def _bounded(chunk: StoredChunk, error_ns: int) -> StoredChunk:
    anchor = chunk.meta.anchor
    return replace(chunk, meta=replace(chunk.meta, anchor=replace(anchor, error_ns=anchor.error_ns + error_ns)))


def _spans(chunks: list[StoredChunk], window: Window) -> tuple[Window, ...]:
    """Return where in the window pictures lie by the times they were recorded with, one span for each run."""
    spans = []
    for run in dict.fromkeys(chunk.meta.run for chunk in chunks):
        metas = [chunk.meta for chunk in chunks if chunk.meta.run == run]
        first, last = min(meta.first_picture for meta in metas), max(meta.last_picture for meta in metas)
        if span := Window(first, WallTime(last + 1)).intersection(window):
            spans.append(span)
    return tuple(spans)
