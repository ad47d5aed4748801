"""A camera without footage is shown by its own picture: redrawn, masked, asked rarely, left for a key picture."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from agent.acquire.encoding import Encoding
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime
from agent.consent.mask import Masks
from agent.crypto import Secret
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.cutter import ChildCutter
from agent.outside.slab_files import SlabLog
from agent.pictures.own_snapshots import EVERY_S, REFUSED_S, OwnSnapshots
from agent.pictures.watch import PictureWatch
from tests.cut.test_still import LEFT, brightness, white
from tests.simulators.eventually import eventually
from tests.simulators.export_site import RING, record
from tests.simulators.h264_source import CAMERA, EPOCH, Recipe, film
from tests.simulators.ring_content import StillClock

STREAM = Encoding("H264", 640, 360)


class Front:
    """A camera's own picture, as often as it is asked for, and what came of it."""

    def __init__(self, clock: StillClock, failure: Exception | None = None) -> None:
        self.asked = 0
        self.published: list[tuple[CameraId, bytes]] = []
        self.failure = failure
        self.source = OwnSnapshots(ChildCutter(), self.fetch, self.publish, clock)

    def fetch(self, _camera: CameraId) -> tuple[bytes, Encoding | None]:
        """Send it, or fail."""
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return white(), STREAM

    def publish(self, camera: CameraId, jpeg: bytes) -> None:
        """Take what is shown."""
        self.published.append((camera, jpeg))


def no_masks(_camera: CameraId) -> Masks:
    """Cover nothing."""
    return ()


async def settled(front: Front, asked: int) -> None:
    """Wait until the camera was asked so often, and what came of it is over."""
    await eventually(lambda: front.asked >= asked and not front.source.is_asking)


def test_a_camera_without_footage_is_shown_by_its_own_picture(tmp_path: Path) -> None:
    """Until there is a key picture, which is shown instead; the owner's masks cover both."""
    clock = StillClock(WallTime(EPOCH - 3600 * SECOND_NS))

    async def story(ring: SlabLog) -> None:
        front = Front(clock)
        watch = PictureWatch(ChildCutter(), lambda: (CAMERA,), clock, front.publish, front.source)
        watch.attach(ring, lambda _camera: LEFT)
        await watch.turn()
        await eventually(lambda: any(jpeg for _, jpeg in front.published))
        left, right, _ = brightness(front.published[-1][1])
        assert 120 < left < 136
        assert right > 250
        source = film(Recipe(pictures=30))
        record(ring, source)
        clock.wall = WallTime(max(source.times) + SECOND_NS)
        await watch.turn()
        assert front.asked == 1
        assert front.published[-1][1] != front.published[-2][1]

    with closing(SlabLog(tmp_path / "ring", Secret(bytes(32)), RING, clock)) as ring:
        asyncio.run(story(ring))


def test_a_camera_is_asked_once_a_minute() -> None:
    """However often it is wanted."""
    clock = StillClock(EPOCH)

    async def story() -> None:
        front = Front(clock)
        for _ in range(3):
            front.source.want(CAMERA, no_masks)
            await settled(front, 1)
        clock.wall = WallTime(clock.wall + round(EVERY_S * SECOND_NS))
        front.source.want(CAMERA, no_masks)
        await settled(front, 2)
        assert (front.asked, len(front.published)) == (2, 2)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("failure", "pause_s"), [(UnavailableError("silent"), EVERY_S), (ConfigurationError("refused"), REFUSED_S)]
)
def test_a_camera_that_fails_is_asked_again_later(failure: Exception, pause_s: float) -> None:
    """After a minute if it was silent, after hours if it refused the login; nothing is shown."""
    clock = StillClock(EPOCH)

    async def story() -> None:
        front = Front(clock, failure)
        front.source.want(CAMERA, no_masks)
        await settled(front, 1)
        clock.wall = WallTime(clock.wall + round((pause_s - 1) * SECOND_NS))
        front.source.want(CAMERA, no_masks)
        await settled(front, 1)
        clock.wall = WallTime(clock.wall + SECOND_NS)
        front.source.want(CAMERA, no_masks)
        await settled(front, 2)
        assert (front.asked, front.published) == (2, [])

    asyncio.run(story())


def test_what_is_on_its_way_is_dropped_for_a_key_picture() -> None:
    """A slow camera does not replace what has come meanwhile."""
    clock = StillClock(EPOCH)

    async def story() -> None:
        front = Front(clock)
        front.source.want(CAMERA, no_masks)
        front.source.leave(CAMERA)
        await eventually(lambda: not front.source.is_asking)
        assert front.published == []

    asyncio.run(story())
