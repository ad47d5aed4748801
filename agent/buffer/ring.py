"""The ring's index: which chunks there are, which of them hold a window, and what must go first.

Rules of this file: only what is synced to disk is added; a slab is forgotten before its key is destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.buffer.run import Runs
from agent.buffer.slab import SLAB_BYTES_MAX, SLAB_BYTES_MIN, is_slab_size
from agent.clock import SECOND_NS, WallTime, Window
from agent.errors import ConfigurationError

SLABS_MIN: Final = 4
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RingSettings:
    """How large and how old the ring may become. Raises ConfigurationError outside the limits."""

    slab_bytes: int = 64 * _MIB  # a multiple of 4096, 8 MiB to 1 GiB: what is destroyed at once
    slab_s_max: int = 3600  # a slab is closed at this age even if it is not full, so that it can expire
    bytes_max: int = 16 * 1024 * _MIB  # of all slabs; at least SLABS_MIN of them
    age_s_max: int = 72 * 3600  # older footage is destroyed, as far as whole slabs go
    free_bytes_min: int = 256 * _MIB  # the disk keeps this much free: no new slab is made beyond it
    pending_bytes_max: int = 64 * _MIB  # memory for chunks that wait for the disk, 16 MiB or more

    def __post_init__(self) -> None:
        if not is_slab_size(self.slab_bytes):
            raise ConfigurationError(
                f"slab_bytes is {self.slab_bytes}",
                cure=f"set a multiple of 4096 between {SLAB_BYTES_MIN} and {SLAB_BYTES_MAX}",
            )
        if self.slab_count < SLABS_MIN:
            raise ConfigurationError(
                f"bytes_max is {self.bytes_max}", cure=f"set at least {SLABS_MIN} times slab_bytes of {self.slab_bytes}"
            )
        if min(self.slab_s_max, self.age_s_max) < 1 or self.free_bytes_min < 0 or self.pending_bytes_max < 16 * _MIB:
            raise ConfigurationError(
                "slab_s_max, age_s_max, free_bytes_min or pending_bytes_max is too small",
                cure="set at least 1 s, 1 s, 0 and 16777216 bytes",
            )

    @property
    def slab_count(self) -> int:
        """How many slabs the ring has when it has grown to its full size."""
        return self.bytes_max // self.slab_bytes


@dataclass(frozen=True, slots=True)
class Footage:
    """What the ring has for one camera and window.

    `chunks` are media chunks in the order they were recorded: of each run that may reach into the window, from the
    last key chunk at or before its start (if there is one) to the first that lies wholly behind its end, where both
    borders are widened by the mapping's error bound and a second for pictures that are sent out of order. Their
    anchors are resolved: the best mapping known for the run at that place (`buffer.run.Run` says when it is final).
    `headers` has one stream chunk for each run in `chunks`, in the same order.
    """

    headers: tuple[StoredChunk, ...]
    chunks: tuple[StoredChunk, ...]
    newest_picture: WallTime | None  # hub time of the newest committed picture of this camera, None if there is none


@dataclass(frozen=True, slots=True)
class CameraSpan:
    """From when to when there is footage of a camera, in the order it was recorded."""

    camera: CameraId
    oldest: WallTime
    newest: WallTime


class RingIndex:
    """All committed chunks, in memory. Slabs are added in the order of their numbers."""

    def __init__(self) -> None:
        self._cameras: dict[CameraId, Runs] = {}
        self._newest_arrival: dict[int, WallTime] = {}  # by slab

    def add(self, chunk: StoredChunk) -> None:
        """Take a committed chunk. A copy of one that is known already changes nothing."""
        meta = chunk.meta
        run = self._cameras.setdefault(meta.camera, Runs(meta.camera))[meta.run]
        if meta.kind is ChunkKind.STREAM:
            run.headers.setdefault(chunk.slab, chunk)
        else:
            run.add(chunk)
        self._newest_arrival[chunk.slab] = max(meta.last_arrival, self._newest_arrival.get(chunk.slab, WallTime(0)))

    def forget(self, slab: int) -> None:
        """Drop every chunk of a slab."""
        self._newest_arrival.pop(slab, None)
        for camera, runs in list(self._cameras.items()):
            runs.forget(slab)
            if not any(True for _ in runs):
                del self._cameras[camera]

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window, in O(log chunks) for each run; of a run without header, nothing."""
        headers: list[StoredChunk] = []
        chunks: list[StoredChunk] = []
        for run in self._cameras.get(camera, ()):
            found = run.chunks(window) if run.header else []
            if found and run.header:
                headers.append(run.header)
                chunks += found
        span = self._span(camera)
        return Footage(tuple(headers), tuple(chunks), span.newest if span else None)

    def spans(self) -> tuple[CameraSpan, ...]:
        """Return what there is of each camera, sorted by its name."""
        spans = [self._span(camera) for camera in sorted(self._cameras)]
        return tuple(span for span in spans if span)

    def newest_arrivals(self) -> Mapping[int, WallTime]:
        """Return when the newest byte of each slab came from its camera, by slab number."""
        return self._newest_arrival

    def _span(self, camera: CameraId) -> CameraSpan | None:
        runs = [run for run in self._cameras.get(camera, ()) if not run.is_empty and run.header]
        return CameraSpan(camera, runs[0].oldest(), runs[-1].newest()) if runs else None


def expired_slabs(
    newest_arrivals: Mapping[int, WallTime], now: WallTime, age_s_max: int, *, is_clock_trusted: bool
) -> tuple[int, ...]:
    """Return the slabs of which every chunk is older than `age_s_max`; none while the clock is not trusted.

    A slab recorded under a clock that stood far behind counts as old as soon as the clock is trusted: no window
    could find it.
    """
    if not is_clock_trusted:
        return ()
    border = now - age_s_max * SECOND_NS
    return tuple(sorted(slab for slab, newest in newest_arrivals.items() if newest < border))
