"""The ring's index: which chunks there are, which of them hold a window, and how much there is of each camera.

Rules of this file: only what is synced to disk is added; a slab is forgotten before its key is destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.buffer.event_track import EventTrack
from agent.buffer.row import Rows, figures, pack_row
from agent.buffer.run import Run, Runs
from agent.buffer.slab import SLAB_BYTES_MAX, SLAB_BYTES_MIN, is_slab_size
from agent.buffer.slab_index import EVENTS_RUN, SlabRun, pack_slab_index, unpack_slab_index
from agent.clock import WallTime, Window
from agent.errors import ConfigurationError

SLABS_MIN: Final = 4
_MIB: Final = 1024 * 1024
_SLABS_WANTED: Final = 256  # the ring forgets a 256th of itself at once
_FITTING_BYTES: Final = (64 * _MIB, 512 * _MIB)


@dataclass(frozen=True, slots=True)
class RingSettings:
    """How large and how old the ring may become. Raises ConfigurationError outside the limits."""

    slab_bytes: int = 64 * _MIB  # a multiple of 4096, 8 MiB to 1 GiB: what is destroyed at once
    slab_s_max: int = 3600  # a slab is closed at this age even if it is not full, so that it can expire
    bytes_max: int = 16 * 1024 * _MIB  # of all slabs; at least SLABS_MIN of them
    age_s_max: int = 72 * 3600  # older footage is destroyed, as far as whole slabs go
    free_bytes_min: int = 256 * _MIB  # the disk keeps this much free: no new slab is made beyond it
    pending_bytes_max: int = 64 * _MIB  # memory for chunks that wait for the disk, 16 MiB or more
    floor_s: int = 3600  # what every camera keeps whatever the others send, as far as bytes_max goes; 0: nothing
    keeps_all: bool = False  # nothing is recycled or given back: a full disk is an error (held footage)

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
        if self.floor_s < 0:
            raise ConfigurationError(
                f"floor_s is {self.floor_s}", cure="set how many seconds every camera keeps, or 0 to keep none apart"
            )

    @property
    def slab_count(self) -> int:
        """How many slabs the ring has when it has grown to its full size."""
        return self.bytes_max // self.slab_bytes


def fitting_slab_bytes(bytes_max: int) -> int:
    """Return how large the slabs of a ring of `bytes_max` should be if nobody says: 64 to 512 MiB, less in a tiny ring.

    Each new slab costs two syncs, so a site with many cameras, whose ring is large, should not need one every second.
    """
    smallest, largest = _FITTING_BYTES
    size = max(smallest, min(bytes_max // _SLABS_WANTED // smallest * smallest, largest))
    return max(SLAB_BYTES_MIN, min(size, bytes_max // SLABS_MIN // _MIB * _MIB))


class LeftOut(NamedTuple):
    """Where footage was left out though there is some, and why."""

    span: Window
    why: str


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
    left_out: tuple[LeftOut, ...] = ()  # where footage was left out since its times cannot be believed


@dataclass(frozen=True, slots=True)
class CameraSpan:
    """From when to when there is footage of a camera, in the order it was recorded."""

    camera: CameraId
    oldest: WallTime
    newest: WallTime


@dataclass(frozen=True, slots=True)
class CameraUsage:
    """How much there is of a camera."""

    bytes: int  # in slabs, headers and tags included
    oldest: WallTime  # first and last arrival
    newest: WallTime

    def __add__(self, other: CameraUsage) -> CameraUsage:
        return CameraUsage(
            self.bytes + other.bytes, min(self.oldest, other.oldest), WallTime(max(self.newest, other.newest))
        )


@dataclass(slots=True)
class _Slab:
    """What one slab has, so that it can be packed and forgotten without a look at all runs."""

    newest: WallTime
    runs: dict[tuple[CameraId, int], None] = field(default_factory=dict)
    usage: dict[CameraId, CameraUsage] = field(default_factory=dict)
    events: dict[CameraId, None] = field(default_factory=dict)  # cameras; events are no footage and count as none


class RingIndex:
    """All committed chunks, in memory. The order in which they are added changes nothing."""

    def __init__(self) -> None:
        self._cameras: dict[CameraId, Runs] = {}
        self._events: dict[CameraId, EventTrack] = {}
        self._slabs: dict[int, _Slab] = {}  # by number
        self._usage: dict[CameraId, CameraUsage] = {}
        self._last_run = 0

    @property
    def last_run(self) -> int:
        """The highest run number that was ever added; 0 before the first."""
        return self._last_run

    def add(self, chunk: StoredChunk) -> None:
        """Take a committed chunk; an index chunk is no footage and is left out."""
        meta = chunk.meta
        if meta.kind is ChunkKind.INDEX:
            return
        if meta.kind is ChunkKind.EVENTS:
            self._add_events(chunk.slab, meta.camera, pack_row(chunk), meta.last_arrival)
            return
        self._run(meta.camera, meta.run).add(chunk)
        usage = CameraUsage(chunk.length, meta.first_arrival, meta.last_arrival)
        self._count(chunk.slab, meta.camera, meta.run, usage)

    def pack_slab(self, number: int) -> bytes:
        """Return the payload of a slab's index chunk. Raises BadInputError if it would be too long for one."""
        slab = self._slabs.get(number)
        contents = []
        for camera, number_of_run in slab.runs if slab else ():
            run = self._cameras[camera].get(number_of_run) if camera in self._cameras else None
            stream, media = run.rows(number) if run else (b"", b"")
            if stream or media:
                contents.append(SlabRun(camera, number_of_run, stream, media, figures(stream + media)))
        for camera in slab.events if slab else ():
            rows = self._events[camera].rows(number)
            contents.append(SlabRun(camera, EVENTS_RUN, b"", rows, figures(rows)))
        return pack_slab_index(contents)

    def load_slab(self, number: int, payload: bytes) -> None:
        """Take all chunks of a slab from its index chunk. Raises BadInputError, and takes none, if it is not one."""
        for part in unpack_slab_index(payload):
            if part.run == EVENTS_RUN:
                self._add_events(number, part.camera, part.media, part.figures.newest)
                continue
            self._run(part.camera, part.run).load(number, part.stream, part.media, part.figures.error_ns_max)
            usage = CameraUsage(part.figures.size, part.figures.oldest, part.figures.newest)
            self._count(number, part.camera, part.run, usage)

    def forget(self, number: int) -> None:
        """Drop every chunk of a slab."""
        slab = self._slabs.pop(number, None)
        if slab is None:
            return
        for camera, run in slab.runs:
            runs = self._cameras.get(camera)
            if runs is not None:
                runs.forget(run, number)
                if not runs:
                    del self._cameras[camera]
        for camera, gone in slab.usage.items():
            self._uncount(camera, gone)
        for camera in slab.events:
            self._events[camera].forget(number)
            if self._events[camera].is_gone:
                del self._events[camera]

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window, in O(log chunks) for each run; of a run without header, nothing."""
        headers: list[StoredChunk] = []
        chunks: list[StoredChunk] = []
        for run in self._cameras.get(camera, ()):
            found = run.chunks(window)
            header = run.header if found else None
            if header:
                headers.append(header)
                chunks += found
        span = self._span(camera)
        return Footage(tuple(headers), tuple(chunks), span.newest if span else None)

    def events(self, camera: CameraId, window: Window) -> tuple[StoredChunk, ...]:
        """Return the chunks that may hold a camera's events of a window, in the order in which they were told."""
        track = self._events.get(camera)
        return track.chunks(camera, window) if track else ()

    def spans(self) -> tuple[CameraSpan, ...]:
        """Return what there is of each camera, sorted by its name."""
        spans = [self._span(camera) for camera in sorted(self._cameras)]
        return tuple(span for span in spans if span)

    def usage(self) -> Mapping[CameraId, CameraUsage]:
        """Return how much there is of each camera. It is kept up to date, so asking costs nothing."""
        return self._usage

    def newest_arrivals(self) -> Mapping[int, WallTime]:
        """Return when the newest byte of each slab came from its camera, by slab number."""
        return {number: slab.newest for number, slab in self._slabs.items()}

    def _add_events(self, number: int, camera: CameraId, rows: Rows, newest: WallTime) -> None:
        if camera not in self._events:
            self._events[camera] = EventTrack()
        self._events[camera].add(number, rows)
        slab = self._slabs.setdefault(number, _Slab(newest))
        slab.newest = max(slab.newest, newest)
        slab.events[camera] = None

    def _run(self, camera: CameraId, run: int) -> Run:
        runs = self._cameras.get(camera)
        if runs is None:
            runs = self._cameras[camera] = Runs(camera)
        return runs[run]

    def _count(self, number: int, camera: CameraId, run: int, usage: CameraUsage) -> None:
        self._last_run = max(self._last_run, run)
        slab = self._slabs.get(number)
        if slab is None:
            slab = self._slabs[number] = _Slab(usage.newest)
        slab.newest = max(slab.newest, usage.newest)
        slab.runs[camera, run] = None
        slab.usage[camera] = slab.usage[camera] + usage if camera in slab.usage else usage
        self._usage[camera] = self._usage[camera] + usage if camera in self._usage else usage

    def _uncount(self, camera: CameraId, gone: CameraUsage) -> None:
        known = self._usage.pop(camera)
        left = known.bytes - gone.bytes
        if known.oldest < gone.oldest and gone.newest < known.newest:
            self._usage[camera] = replace(known, bytes=left)
            return
        others = [slab.usage[camera] for slab in self._slabs.values() if camera in slab.usage]
        if others:
            oldest, newest = min(other.oldest for other in others), max(other.newest for other in others)
            self._usage[camera] = CameraUsage(left, oldest, newest)

    def _span(self, camera: CameraId) -> CameraSpan | None:
        runs = self._cameras.get(camera, ())
        oldest = next((run for run in runs if not run.is_empty and run.header), None)
        if oldest is None:
            return None
        newest = next(run for run in reversed(self._cameras[camera]) if not run.is_empty and run.header)
        return CameraSpan(camera, oldest.oldest(), newest.newest())
