"""Once a minute and camera, a key picture out of the ring is looked at in the confined child, and what it shows judged.

Rules of this file: no stream is decoded, and no picture stays here; one child at a time, and a rest after each that
bounds what looking costs. A group of pictures that costs far more or less than usual, by the ring's index alone, brings
its camera's turn forward. Whatever a camera sends, the worst that comes of it is that its picture could not be judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.acquire.stream import CameraId, decode_stream_header
from agent.buffer.chunk import StoredChunk
from agent.buffer.group_sizes import GroupHistory, group_sizes
from agent.clock import SECOND_NS, Clock, Instant, WallTime, Window, rfc3339
from agent.consent.mask import Masks
from agent.cut.clip import CutOrder, WireChunk
from agent.cut.look import SNAPSHOT_BYTES_MAX, Look
from agent.errors import BadInputError, UnavailableError
from agent.pictures.judge import PictureJudge
from agent.pictures.own_snapshots import SecondSource
from agent.ports import ChunkSource, Cutter

EVERY_S: Final = 60.0  # each camera
EARLY_S: Final = 20.0  # a camera that costs other than usual, after its last look
STEP_S_MAX: Final = 5.0  # between two turns
REST: Final = 4  # times as long as the look before it: a fifth of the time at most
NEWEST_S: Final = 30  # how far back a key picture is looked for, and its groups counted
KEY_BYTES_MAX: Final = 4 * 1024 * 1024  # of one key picture
STOP_S_MAX: Final = 2.0
WHY_CHARACTERS_MAX: Final = 120

Publish = Callable[[CameraId, bytes], object]


class PictureVitals(msgspec.Struct, frozen=True):
    """What is known of one camera's pictures; numbers are of the newest look that gave some."""

    faults: tuple[str, ...] = ()  # codes of `picture_judge.Fault`
    why_unjudged: str = ""  # of the newest look; empty if it could be judged
    taken: str = ""  # RFC 3339
    width: int = 0
    height: int = 0
    brightness: int | None = None  # mean, 0 to 255
    sharpness: float | None = None  # 0 to 1
    likeness: float | None = None  # to the scene it is known to see, 0 to 1
    group_bytes: int | None = None  # of one group of pictures, as recorded
    looks: int = 0
    looks_failed: int = 0


@dataclass(slots=True)
class _Watched:
    judge: PictureJudge = field(default_factory=PictureJudge)
    groups: GroupHistory = field(default_factory=GroupHistory)
    looked_at: Instant | None = None
    key: tuple[int, int] = (0, 0)  # run and sequence of the chunk looked at last
    looks: int = 0
    failed: int = 0


class PictureWatch:
    """Used from the event loop only. `publish` gets each camera's newest picture as JPEG, empty if there is none.

    `second` is asked to show those of which there is none.
    """

    def __init__(
        self,
        cutter: Cutter,
        cameras: Callable[[], Iterable[CameraId]],
        clock: Clock,
        publish: Publish | None = None,
        second: SecondSource | None = None,
    ) -> None:
        self._second = second
        self._cutter, self._cameras, self._clock, self._publish = cutter, cameras, clock, publish
        self._ring: ChunkSource | None = None
        self._masks: Callable[[CameraId], Masks] = no_masks
        self._watched: dict[CameraId, _Watched] = {}
        self._looking = asyncio.Lock()

    def attach(self, ring: ChunkSource, masks: Callable[[CameraId], Masks]) -> None:
        """Look at what is recorded there from now on; `masks` says what today's policy paints over in snapshots."""
        self._ring, self._masks = ring, masks

    async def detach(self) -> None:
        """Leave the ring alone, which is about to close."""
        self._ring = None
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S_MAX), self._looking:
                pass

    async def run(self) -> None:
        """Look at the cameras in turn, for ever; at the end nothing is shown any more."""
        try:
            while True:
                began = self._clock.instant()
                await self.turn()
                took_s = (self._clock.instant() - began) / SECOND_NS
                step_s = min(EVERY_S / max(1, len(self._watched)), STEP_S_MAX)
                await asyncio.sleep(max(step_s, REST * took_s))
        finally:
            for camera in self._watched:
                if self._second is not None:
                    self._second.leave(camera)
                self._show(camera, b"")

    async def turn(self) -> CameraId | None:
        """Look at the camera whose turn it is; return it, None if it is nobody's."""
        now, ring = self._clock.instant(), self._ring
        cameras = sorted(self._cameras())
        self._watched = {camera: self._watched.get(camera) or _Watched() for camera in cameras}
        if ring is None:
            return None
        due = [camera for camera in cameras if self._is_due(camera, ring, now)]
        if not due:
            return None
        camera = min(due, key=lambda one: self._watched[one].looked_at or 0)
        async with self._looking:
            is_shown = await asyncio.to_thread(self._look, ring, camera, self._watched[camera])
        if self._second is not None and is_shown:
            self._second.leave(camera)
        elif self._second is not None and self._ring is not None:
            self._second.want(camera, self._masks)
        return camera

    def vitals(self) -> Mapping[CameraId, PictureVitals]:
        """Say what is known of each camera's pictures."""
        return {camera: _vitals(watched) for camera, watched in self._watched.items()}

    def _is_due(self, camera: CameraId, ring: ChunkSource, now: Instant) -> bool:
        watched = self._watched[camera]
        if watched.looked_at is None or now - watched.looked_at >= EVERY_S * SECOND_NS:
            return True
        if now - watched.looked_at < EARLY_S * SECOND_NS:
            return False
        return watched.groups.is_unusual(group_sizes(ring.footage(camera, self._newest()).chunks))

    def _newest(self) -> Window:
        now = self._clock.now()
        return Window(WallTime(now - NEWEST_S * SECOND_NS), now)

    def _look(self, ring: ChunkSource, camera: CameraId, watched: _Watched) -> bool:
        """Look once and say whether there is something to show; blocking, for a worker thread."""
        watched.looked_at = self._clock.instant()
        footage = ring.footage(camera, self._newest())
        watched.groups.note(group_sizes(footage.chunks))
        chunks = key_chunks(footage.chunks)
        if not chunks or (chunks[0].meta.run, chunks[0].meta.sequence) == watched.key:
            self._show(camera, b"")
            watched.looked_at = Instant(watched.looked_at - round((EVERY_S - EARLY_S) * SECOND_NS))
            return False  # it sends nothing, or just begins
        key = chunks[0].meta
        watched.key = key.run, key.sequence
        watched.looks += 1
        judge = watched.judge
        try:
            seen = self._measure(ring, [one for one in footage.headers if one.meta.run == key.run], chunks, judge)
        except (BadInputError, UnavailableError) as error:
            watched.failed += 1
            judge.cannot_judge(_plain(error), self._clock.instant())
            self._show(camera, b"")
            return False
        judge.judge(seen.signs, self._clock.instant())
        self._show(camera, seen.jpeg)
        return bool(seen.jpeg)

    def _show(self, camera: CameraId, jpeg: bytes) -> None:
        """Replace what is shown of a camera, if anybody wants it; empty: an older picture may lack today's masks."""
        if self._publish:
            with suppress(UnavailableError):  # who wants it is told that there is none
                self._publish(camera, jpeg)

    def _measure(
        self, ring: ChunkSource, headers: list[StoredChunk], chunks: list[StoredChunk], judge: PictureJudge
    ) -> Look:
        key = chunks[0].meta
        window = Window(WallTime(key.first_picture - SECOND_NS), WallTime(key.first_picture + SECOND_NS))
        runs = tuple(decode_stream_header(ring.read(header)) for header in headers)
        order = CutOrder(window, runs, masks=self._masks(key.camera))
        asked = judge.order(SNAPSHOT_BYTES_MAX if self._publish else 0)
        return self._cutter.look(order, asked, _wire(ring, chunks))


def no_masks(_camera: CameraId) -> Masks:
    """Paint nothing over."""
    return ()


def key_chunks(chunks: Iterable[StoredChunk]) -> list[StoredChunk]:
    """Return the chunks that hold the newest whole key picture, and little else; empty if there is none."""
    found: list[StoredChunk] = []
    growing: list[StoredChunk] = []
    size = 0
    for chunk in chunks:
        meta = chunk.meta
        if meta.is_key:
            growing, size = [], 0
        elif not growing or (growing[-1].meta.run, growing[-1].meta.sequence + 1) != (meta.run, meta.sequence):
            growing = []
            continue
        growing.append(chunk)
        size += chunk.length
        if size > KEY_BYTES_MAX:
            growing = []
        elif meta.last_rtp != growing[0].meta.first_rtp:  # another picture has begun
            found, growing = growing, []
    return found


def _plain(error: Exception) -> str:
    """Return what can be shown on any screen of a text that a child may have written."""
    return "".join(letter for letter in str(error) if letter.isascii() and letter.isprintable())[:WHY_CHARACTERS_MAX]


def _wire(ring: ChunkSource, chunks: Iterable[StoredChunk]) -> Iterator[WireChunk]:
    for chunk in chunks:
        yield WireChunk(chunk.meta.run, chunk.meta.sequence, chunk.meta.anchor, ring.read(chunk))


def _vitals(watched: _Watched) -> PictureVitals:
    judge, signs = watched.judge, watched.judge.signs
    return PictureVitals(
        faults=tuple(fault.value for fault in judge.faults),
        why_unjudged=judge.why_unjudged,
        taken=rfc3339(signs.taken) if signs else "",
        width=signs.width if signs else 0,
        height=signs.height if signs else 0,
        brightness=signs.brightness if signs else None,
        sharpness=signs.sharpness / 1000 if signs and signs.sharpness is not None else None,
        likeness=judge.likeness / 1000 if judge.likeness is not None else None,
        group_bytes=watched.groups.newest,
        looks=watched.looks,
        looks_failed=watched.failed,
    )
