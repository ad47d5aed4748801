"""Could the hub serve the last hour of a camera now? Its footage is read back and decrypted, and nothing is decoded.

Rules of this file: it asks the ring what every command asks it; chance and time come in as arguments; it rests after
everything it does, so that it never takes more than its share of a core; memory holds a few minutes of the index.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.acquire.stream import CameraId, decode_stream_header
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.clock import SECOND_NS, Clock, WallTime, Window, rfc3339
from agent.errors import BadInputError, UnavailableError
from agent.ports import ChunkSource

HOUR_S: Final = 3600
FRESH_S: Final = 10  # what came since then may still be on its way to the disk
STRETCH_S: Final = 300  # the index is asked for so much at a time; of each one chunk is read, by chance
SILENCE_S_MAX: Final = 2.0  # between two chunks; more is a gap
MISSING_S_MAX: Final = 60.0  # of the hour; a camera that reconnects once loses less
KEY_S_MAX: Final = 60.0  # footage without a key picture for so long cannot be cut
GAPS_MAX: Final = 10  # of a camera, the longest are listed
HEADERS_MAX: Final = 32  # runs whose stream header is read, the oldest of the hour first
REST: Final = 4  # times as long as the work before it: a fifth of a core
REST_S_MAX: Final = 1.0

_DOLLAR: Final = ord("$")
_FRAME_HEAD_BYTES: Final = 4


class FootageGap(msgspec.Struct, frozen=True):
    """A time of which there is no footage."""

    start: str  # RFC 3339
    seconds: float
    why: str  # "chunks are missing" or "nothing was recorded"


class CameraTest(msgspec.Struct, frozen=True):
    """The answer for one camera."""

    camera: CameraId
    can_serve: bool
    why: str = ""  # not, in words
    tested: str = ""  # when, RFC 3339
    asked_s: float = 0.0  # the last hour, less if the camera is newer
    covered_s: float = 0.0
    gaps: tuple[FootageGap, ...] = ()
    gaps_found: int = 0
    key_interval_s_max: float = 0.0
    time_source: str = ""  # of the newest pictures' times
    time_error_ms_max: float = 0.0
    chunks: int = 0  # there are
    chunks_read: int = 0
    chunks_bad: int = 0
    read_mib_per_s: float = 0.0  # disk and decryption


class StoppedError(Exception):
    """The hub stops: there is no answer."""


@dataclass(slots=True)
class SelfTest:
    """Tests one camera after the other. `rest` waits for some seconds and says whether to stop."""

    ring: ChunkSource
    clock: Clock
    chance: random.Random
    rest: Callable[[float], bool]

    def run(self, camera: CameraId, *, is_thorough: bool = False) -> CameraTest:
        """Test the last hour of a camera: all chunks if thorough, else the oldest, the newest and one of five minutes.

        Blocking, for a worker thread. Raises StoppedError.
        """
        now = self.clock.now()
        end = WallTime(now - FRESH_S * SECOND_NS)
        walk = _Walk(Window(WallTime(end - HOUR_S * SECOND_NS), end))
        reading = _Reading()
        newest: StoredChunk | None = None
        for stretch in _stretches(walk.window):
            began = self.clock.instant()
            footage = self.ring.footage(camera, stretch)
            chunks = walk.take(footage.chunks)
            self._rest_since(began)
            for header in footage.headers:
                if header.meta.run not in reading.runs and len(reading.runs) < HEADERS_MAX:
                    reading.runs.add(header.meta.run)
                    self._read(header, reading, stretch)
            if not chunks:
                continue
            chosen = [self.chance.choice(chunks)] if newest else [chunks[0], self.chance.choice(chunks)]
            newest = chunks[-1]
            for chunk in chunks if is_thorough else chosen:
                self._read(chunk, reading, _around(chunk))
        if newest is not None and not is_thorough:
            self._read(newest, reading, _around(newest))
        return _judge(camera, now, walk, reading)

    def _read(self, chunk: StoredChunk, reading: _Reading, near: Window) -> None:
        began = self.clock.instant()
        try:
            payload = self.ring.read(chunk)
            _check(chunk, payload)
        except (UnavailableError, BadInputError) as error:
            if self._is_there(chunk, near):  # else it has left the ring meanwhile, as it should
                reading.note_bad(chunk, str(error))
        else:
            reading.count += 1
            reading.bytes += len(payload)
        reading.took_ns += self.clock.instant() - began
        self._rest_since(began)

    def _is_there(self, chunk: StoredChunk, near: Window) -> bool:
        footage = self.ring.footage(chunk.meta.camera, near)
        return (chunk.slab, chunk.offset) in {(one.slab, one.offset) for one in (*footage.headers, *footage.chunks)}

    def _rest_since(self, began: int) -> None:
        took_s = (self.clock.instant() - began) / SECOND_NS
        if self.rest(min(REST * took_s, REST_S_MAX)):
            raise StoppedError


def are_whole_frames(payload: bytes) -> bool:
    """Say whether a payload is interleaved frames from its first byte to its last (RFC 2326 section 10.12)."""
    at, end = 0, len(payload)
    while at + _FRAME_HEAD_BYTES <= end and payload[at] == _DOLLAR:
        at += _FRAME_HEAD_BYTES + (payload[at + 2] << 8 | payload[at + 3])
    return 0 < at == end


def _check(chunk: StoredChunk, payload: bytes) -> None:
    """Raise BadInputError unless the payload is what the chunk says it is."""
    meta = chunk.meta
    if meta.kind is ChunkKind.MEDIA:
        if not are_whole_frames(payload):
            raise BadInputError(f"a chunk of {meta.camera} does not hold whole frames")
        return
    header = decode_stream_header(payload)
    if (header.camera, header.run) != (meta.camera, meta.run):
        raise BadInputError(f"a stream header of {meta.camera} is of another camera or run")


@dataclass(slots=True)
class _Reading:
    """What was read."""

    runs: set[int] = field(default_factory=set)  # whose stream header was
    count: int = 0
    bad: int = 0
    first_bad: str = ""
    bytes: int = 0
    took_ns: int = 0

    def note_bad(self, chunk: StoredChunk, why: str) -> None:
        self.bad += 1
        self.first_bad = self.first_bad or f"of {rfc3339(chunk.meta.first_picture)}: {why}"


@dataclass(slots=True)
class _Stretch:
    """Footage without a gap."""

    run: int
    start: WallTime
    end: WallTime
    is_broken: bool  # chunks before it, of its run, are missing


@dataclass(slots=True)
class _Walk:
    """Goes through the index from the hour's start to its end."""

    window: Window
    chunks: int = 0
    stretches: list[_Stretch] = field(default_factory=list)
    key_ns_max: int = 0
    error_ns_max: int = 0
    source: str = ""
    is_cut_off: bool = False  # there was older footage, which has left the ring
    _sequences: dict[int, int] = field(default_factory=dict)  # the newest of each run
    _key: int = 0  # when the newest key picture of this stretch was taken, or the stretch began

    def take(self, footage: tuple[StoredChunk, ...]) -> list[StoredChunk]:
        """Take the next minutes' chunks in their order; return those that are new."""
        new = []
        for chunk in footage:
            before = self._sequences.get(chunk.meta.run)
            if before is None or chunk.meta.sequence > before:
                self._note(chunk, before)
                new.append(chunk)
        self.chunks += len(new)
        return new

    def _note(self, chunk: StoredChunk, before: int | None) -> None:
        meta, anchor = chunk.meta, chunk.meta.anchor
        first, last = meta.first_picture, WallTime(max(meta.first_picture, meta.last_picture))
        self._sequences[meta.run] = meta.sequence
        self.error_ns_max, self.source = max(self.error_ns_max, anchor.error_ns), anchor.source.value
        newest = self.stretches[-1] if self.stretches else None
        is_broken = before is not None and meta.sequence != before + 1
        if newest is None:
            self.is_cut_off = meta.sequence > 1 and first > self.window.start
        if newest is None or newest.run != meta.run or is_broken or first - newest.end > SILENCE_S_MAX * SECOND_NS:
            self.stretches.append(_Stretch(meta.run, first, last, is_broken))
            self._key = first
        else:
            newest.end = WallTime(max(newest.end, last))
        self.key_ns_max = max(self.key_ns_max, first - self._key)
        if meta.is_key:
            self._key = first

    def asked(self) -> Window:
        """Return the hour, or what of it the camera was there."""
        first = min((stretch.start for stretch in self.stretches), default=self.window.start)
        if self.is_cut_off or not self.window.start < first < self.window.end:
            return self.window
        return Window(first, self.window.end)

    def gaps(self) -> tuple[list[tuple[WallTime, WallTime, str]], float]:
        """Return the gaps in what was asked, in their order, and how many seconds are covered."""
        asked = self.asked()
        gaps: list[tuple[WallTime, WallTime, str]] = []
        at, covered_ns = asked.start, 0
        end_of_all = _Stretch(0, asked.end, asked.end, is_broken=False)
        for stretch in [*sorted(self.stretches, key=lambda one: one.start), end_of_all]:
            start, end = min(stretch.start, asked.end), min(stretch.end, asked.end)
            if start > at and (stretch.is_broken or start - at > SILENCE_S_MAX * SECOND_NS):
                gaps.append((at, start, "chunks are missing" if stretch.is_broken else "nothing was recorded"))
                at = start
            covered_ns += max(0, end - at)
            at = max(at, end)
        return gaps, covered_ns / SECOND_NS


def _around(chunk: StoredChunk) -> Window:
    first = chunk.meta.first_picture
    return Window(first, WallTime(max(first, chunk.meta.last_picture) + 1))


def _stretches(window: Window) -> Iterator[Window]:
    for start in range(window.start, window.end, STRETCH_S * SECOND_NS):
        yield Window(WallTime(start), WallTime(min(start + STRETCH_S * SECOND_NS, window.end)))


def _judge(camera: CameraId, now: WallTime, walk: _Walk, reading: _Reading) -> CameraTest:
    gaps, covered_s = walk.gaps()
    asked_s = walk.asked().seconds
    longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:GAPS_MAX])
    why = "; ".join(_reasons(walk, reading, asked_s - covered_s, asked_s))
    return CameraTest(
        camera=camera,
        can_serve=not why,
        why=why,
        tested=rfc3339(now),
        asked_s=round(asked_s, 1),
        covered_s=round(covered_s, 1),
        gaps=tuple(FootageGap(rfc3339(a), round((b - a) / SECOND_NS, 3), why) for a, b, why in longest),
        gaps_found=len(gaps),
        key_interval_s_max=round(walk.key_ns_max / SECOND_NS, 3),
        time_source=walk.source,
        time_error_ms_max=round(walk.error_ns_max / 1_000_000, 1),
        chunks=walk.chunks,
        chunks_read=reading.count,
        chunks_bad=reading.bad,
        read_mib_per_s=round(reading.bytes / 1.048576e6 * SECOND_NS / reading.took_ns, 1) if reading.took_ns else 0.0,
    )


def _reasons(walk: _Walk, reading: _Reading, missing_s: float, asked_s: float) -> Iterator[str]:
    if not walk.chunks:
        yield "nothing was recorded in the last hour"
        return
    if reading.bad:
        yield f"{reading.bad} of {reading.count + reading.bad} chunks cannot be read, the first one {reading.first_bad}"
    if missing_s > MISSING_S_MAX:
        gone = "; what is older has left the ring already" if walk.is_cut_off else ""
        yield f"{missing_s / 60:.0f} of the last {asked_s / 60:.0f} minutes are missing{gone}"
    if walk.key_ns_max > KEY_S_MAX * SECOND_NS:
        yield f"no key picture for {walk.key_ns_max / SECOND_NS:.0f} s"
