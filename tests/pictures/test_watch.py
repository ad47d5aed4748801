"""Real ring, real child: each camera is looked at in turn, and nothing a camera sends does more than go unjudged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from agent.acquire.stream import CameraId, Track
from agent.buffer.chunk import StoredChunk
from agent.clock import SECOND_NS, WallTime
from agent.crypto import Secret
from agent.cut.clip import WireChunk
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from agent.outside.slab_files import SlabLog
from agent.pictures.judge import Fault
from agent.pictures.watch import EARLY_S, EVERY_S, KEY_BYTES_MAX, PictureWatch, key_chunks
from tests.simulators.eventually import eventually
from tests.simulators.export_site import RING, record
from tests.simulators.h264_source import CAMERA, EPOCH, Gray, Recipe, Source, film, film_pictures, rtp_frame
from tests.simulators.ring_content import StillClock, media
from tests.simulators.watched_scene import Moment, Scene

LIMITS = ChildLimits(deadline_s=20.0, memory_bytes=1024 * 1024 * 1024, cpu_s=10)


@dataclass
class Site:
    """A ring, a clock, and what was published."""

    ring: SlabLog
    clock: StillClock
    published: list[tuple[CameraId, bytes]] = field(default_factory=list)
    cameras: tuple[CameraId, ...] = (CAMERA,)

    def watch(self, limits: ChildLimits = LIMITS, *, has_snapshots: bool = False) -> PictureWatch:
        """Watch the pictures of this site."""

        def publish(camera: CameraId, jpeg: bytes) -> None:
            self.published.append((camera, jpeg))

        watch = PictureWatch(ChildCutter(limits), lambda: self.cameras, self.clock, publish if has_snapshots else None)
        watch.attach(self.ring, lambda _camera: ())
        return watch

    def film(self, source: Source) -> None:
        """Record a film that ends now."""
        record(self.ring, source)
        self.clock.wall = WallTime(max(source.times) + SECOND_NS)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make an empty ring."""
    clock = StillClock(EPOCH)
    with closing(SlabLog(tmp_path / "ring", Secret(bytes(32)), RING, clock)) as ring:
        yield Site(ring, clock)


def gray(moment: Moment) -> Gray:
    """Take a picture without colour."""
    return Scene(4).picture(moment)[..., 1].copy()


async def minute_by_minute(site: Site, watch: PictureWatch, pictures: list[Gray], *, first: int = 1) -> None:
    """Film each picture twice in a minute of its own, and take the turn."""
    for minute, picture in enumerate(pictures, first):
        start = WallTime(EPOCH + minute * 60 * SECOND_NS)
        site.film(film_pictures([picture] * 2, gop=20, run=minute, start=start))
        assert await watch.turn() == CAMERA


def test_a_camera_is_judged_from_the_ring_by_a_child(site: Site) -> None:
    """It is well, then it is covered: said once it has lasted, with what was measured."""

    async def story() -> None:
        watch = site.watch()
        await minute_by_minute(site, watch, [gray(Moment(seed=look)) for look in range(2)])
        well = watch.vitals()[CAMERA]
        assert (well.faults, well.why_unjudged, well.width, well.height, well.looks) == ((), "", 960, 540, 2)
        assert well.likeness is not None
        assert well.likeness > 0.9
        covered = [gray(Moment(seed=look, cover="paint")) for look in range(10, 14)]
        await minute_by_minute(site, watch, covered, first=3)
        assert watch.vitals()[CAMERA].faults == (Fault.BLINDED,)

    asyncio.run(story())


def test_a_snapshot_is_made_if_anybody_wants_it_and_goes_when_there_is_none(site: Site) -> None:
    """An older one may lack today's masks."""

    async def story() -> None:
        watch = site.watch(has_snapshots=True)
        await minute_by_minute(site, watch, [gray(Moment())])
        ((camera, jpeg),) = site.published
        assert (camera, jpeg[:2], jpeg[-2:]) == (CAMERA, b"\xff\xd8", b"\xff\xd9")
        site.clock.wall = WallTime(site.clock.wall + 3600 * SECOND_NS)
        await watch.turn()
        assert site.published[1:] == [(CAMERA, b"")]

    asyncio.run(story())


def test_nothing_is_shown_any_more_at_the_end(site: Site) -> None:
    """A hub that stops leaves no clear picture behind."""

    async def story() -> None:
        site.film(film(Recipe(pictures=30)))
        running = asyncio.create_task(site.watch(has_snapshots=True).run())
        await eventually(lambda: site.published)
        running.cancel()
        await asyncio.wait({running})
        assert [bool(jpeg) for _, jpeg in site.published] == [True, False]

    asyncio.run(story())


def damaged(source: Source, seed: int) -> Source:
    """Break a film's slices here and there; the framing is left whole."""
    random = np.random.default_rng(seed)
    chunks = []
    for chunk in source.chunks:
        wire, at = bytearray(chunk.wire), 0
        while at < len(wire):
            size = 4 + int.from_bytes(wire[at + 2 : at + 4], "big")
            if wire[at + 1] == 0 and size > 200:
                for place in random.integers(at + 20, at + size, 20):
                    wire[place] = int(random.integers(0, 256))
            at += size
        chunks.append(WireChunk(chunk.run, chunk.sequence, chunk.anchor, bytes(wire)))
    return replace(source, chunks=tuple(chunks))


def test_hostile_key_pictures_go_unjudged_and_nothing_else(site: Site) -> None:
    """Damaged slices, noise for packets, and a codec that is none; then the camera is judged again."""

    async def story() -> None:
        watch = site.watch(has_snapshots=True)
        small = Recipe(pictures=2, width=320, height=240)
        for minute in range(1, 9):
            start = WallTime(EPOCH + minute * 60 * SECOND_NS)
            source = damaged(film(small, run=minute, start=start), minute)
            if minute == 7:
                noise = np.random.default_rng(7).bytes(3000)
                anchor = source.chunks[0].anchor
                wire = rtp_frame(1, anchor.rtp, b"\x7c\x85" + noise, marker=True)
                wire += rtp_frame(2, anchor.rtp + 3600, noise[:99], marker=True)
                source = replace(source, chunks=(WireChunk(7, 0, anchor, wire),))
            if minute == 8:
                (track,) = source.header.tracks
                header = msgspec.structs.replace(source.header, tracks=(replace_encoding(track),))
                source = replace(source, header=header)
            site.film(source)
            await watch.turn()
            assert watch.vitals()[CAMERA].why_unjudged != ""
        vitals = watch.vitals()[CAMERA]
        assert (vitals.faults, vitals.looks, vitals.looks_failed) == ((Fault.UNJUDGED,), 8, 8)
        assert vitals.why_unjudged.startswith("codec not supported: X-OTHER")
        assert {jpeg for _, jpeg in site.published} == {b""}
        await minute_by_minute(site, watch, [gray(Moment(seed=look)) for look in range(2)], first=9)
        assert watch.vitals()[CAMERA].faults == ()

    asyncio.run(story())


def replace_encoding(track: Track) -> Track:
    """Say that a track is of a codec that nobody knows."""
    return msgspec.structs.replace(track, encoding="X-OTHER")


def test_a_child_that_needs_too_much_is_ended(site: Site) -> None:
    """Its memory and its time are bounded; the camera goes unjudged."""

    async def story() -> None:
        for number, limits in enumerate(
            [replace(LIMITS, memory_bytes=180 * 1024 * 1024), replace(LIMITS, deadline_s=0.05)], 1
        ):
            watch = site.watch(limits)
            await minute_by_minute(site, watch, [gray(Moment())], first=number)
            assert (watch.vitals()[CAMERA].looks_failed, watch.vitals()[CAMERA].taken) == (1, "")

    asyncio.run(story())


def test_cameras_take_turns(site: Site) -> None:
    """One look each a minute; a camera without footage costs no child and stops nobody."""

    async def story() -> None:
        site.cameras = (CameraId("a"), CAMERA, CameraId("z"))
        site.film(film(Recipe(pictures=30)))
        watch = site.watch()
        turns = []
        for _ in range(4):
            turns.append(await watch.turn())
            site.clock.wall = WallTime(site.clock.wall + SECOND_NS)
        assert sorted(name for name in turns if name) == ["a", "cam-1", "z"]
        assert turns[3] is None
        assert [watch.vitals()[camera].looks for camera in site.cameras] == [0, 1, 0]
        site.clock.wall = WallTime(site.clock.wall + round(EARLY_S - 3) * SECOND_NS)
        assert await watch.turn() == "a"
        site.clock.wall = WallTime(site.clock.wall + round(EVERY_S - EARLY_S) * SECOND_NS)
        assert {await watch.turn() for _ in range(3)} == {"a", CAMERA, "z"}
        site.cameras = (CAMERA,)
        await watch.turn()
        assert set(watch.vitals()) == {CAMERA}

    asyncio.run(story())


def test_an_unusual_group_brings_the_turn_forward(site: Site) -> None:
    """By the index alone: a picture that costs a fraction of the usual is looked at before its minute is over."""

    async def story() -> None:
        watch = site.watch()
        lively = [np.random.default_rng(look).integers(0, 255, (144, 176), np.uint8) for look in range(22)]
        flat = [np.full((144, 176), 90, np.uint8)] * 22
        for minute in range(1, 12):
            start = WallTime(EPOCH + minute * 60 * SECOND_NS)
            site.film(film_pictures(lively, gop=20, run=minute, start=start))
            assert await watch.turn() == CAMERA
            site.clock.wall = WallTime(site.clock.wall + round(EARLY_S) * SECOND_NS)
            assert await watch.turn() is None
        start = WallTime(site.clock.wall + SECOND_NS)
        site.film(film_pictures(flat, gop=20, run=12, start=start))
        assert await watch.turn() == CAMERA

    asyncio.run(story())


def test_nothing_is_looked_at_without_a_ring(site: Site) -> None:
    """Before the hub has an owner, and after the ring was closed."""

    async def story() -> None:
        site.film(film(Recipe(pictures=30)))
        watch = site.watch()
        await watch.detach()
        assert await watch.turn() is None

    asyncio.run(story())


def chunk(
    sequence: int, first: int, last: int, *, is_key: bool = False, length: int = 1000, run: int = 1
) -> StoredChunk:
    """Return a chunk of the index with pictures of these timestamps."""
    meta = replace(media(sequence, is_key=is_key, run=run), first_rtp=first, last_rtp=last)
    return StoredChunk(meta, 1, sequence * 4096, length)


def test_of_the_newest_key_picture_only_what_holds_it_is_read() -> None:
    """Up to the chunk in which another picture begins; one that is not whole yet is left for later."""
    first = [chunk(1, 0, 0, is_key=True), chunk(2, 0, 0), chunk(3, 0, 9000), chunk(4, 9000, 9000)]
    assert key_chunks(first) == first[:3]
    assert key_chunks([*first, chunk(5, 18_000, 18_000, is_key=True)]) == first[:3]
    assert key_chunks([*first, chunk(5, 18_000, 27_000, is_key=True)])[0].meta.sequence == 5
    assert key_chunks(first[1:]) == []
    assert key_chunks([first[0], first[2]]) == []
    assert key_chunks([first[0], chunk(2, 0, 9000, run=2)]) == []
    assert key_chunks([first[0], chunk(2, 0, 9000, length=KEY_BYTES_MAX)]) == []
