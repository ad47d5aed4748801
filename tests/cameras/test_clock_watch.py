"""Whose clock is measured when: each minute, at once after a step of the hub's own, and never by two at a time."""

from __future__ import annotations

import asyncio
import threading

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.cameras.clock_watch import ClockWatch
from agent.clock import SECOND_NS, WallTime
from agent.errors import UnavailableError
from tests.simulators.eventually import eventually
from tests.simulators.set_clock import SetClock

DOOR, YARD = CameraId("door"), CameraId("yard")
KNOWN, NEWER = ClockOffset(0, 10), ClockOffset(1, 5)


class Place:
    """A hub with a camera at the door, whose clock is `KNOWN` from its examination, and one in the yard that hides."""

    def __init__(self) -> None:
        self.clock = SetClock(WallTime(1_790_000_000 * SECOND_NS))
        self.asked: list[CameraId] = []
        self.noted: list[tuple[CameraId, ClockOffset]] = []
        self.ignored = 0
        self.is_down = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.watch = ClockWatch(self.measure, lambda: (CameraHealth(DOOR, reports_ignored=self.ignored),), self.clock)
        self.here = {
            name: (CameraStream(name, name, f"rtsp://{name}", None, KNOWN if name == DOOR else None), f"http://{name}")
            for name in (DOOR, YARD)
        }

    def measure(self, address: str, stream: CameraStream) -> ClockOffset | None:
        """Answer, or not."""
        assert address == f"http://{stream.camera}"
        self.asked.append(stream.camera)
        self.may_answer.wait(10)
        if self.is_down:
            raise UnavailableError("the camera is away")
        return NEWER if stream.camera == DOOR else None

    def look(self) -> None:
        """Look whose turn it is."""
        self.watch.look(self.here, lambda camera, _, offset: self.noted.append((camera, offset)))

    async def settled(self, *asked: CameraId) -> None:
        """Look, and wait until exactly these were asked and have answered."""
        self.asked.clear()
        self.look()
        await eventually(lambda: not self.watch._asking)
        assert self.asked == list(asked)


def test_each_clock_is_measured_each_minute() -> None:
    """One that was just examined waits a minute, one whose clock is not known does not; a failure changes nothing."""

    async def run() -> None:
        place = Place()
        await place.settled(YARD)
        await place.settled()
        place.clock.go_on(61)
        await place.settled(DOOR, YARD)
        assert place.noted == [(DOOR, NEWER)]
        place.is_down = True
        place.clock.go_on(61)
        await place.settled(DOOR, YARD)
        assert place.noted == [(DOOR, NEWER)]
        del place.here[DOOR]
        place.clock.go_on(61)
        await place.settled(YARD)

    asyncio.run(run())


def test_reports_that_contradict_are_a_reason_to_ask_soon() -> None:
    """Two ignored since the last question, ten seconds after it."""

    async def run() -> None:
        place = Place()
        await place.settled(YARD)
        place.ignored = 2
        await place.settled()
        place.clock.go_on(11)
        await place.settled(DOOR)
        place.clock.go_on(11)
        await place.settled()

    asyncio.run(run())


def test_a_step_of_the_hubs_clock_asks_everybody_at_once_and_voids_what_is_on_its_way() -> None:
    """What was measured across the step is dropped, and nobody is asked twice at the same time."""

    async def run() -> None:
        place = Place()
        await place.settled(YARD)
        place.may_answer.clear()
        place.clock.go_on(61)
        place.look()
        await eventually(lambda: sorted(place.asked) == [DOOR, YARD, YARD])
        place.clock.set_to(WallTime(place.clock.now() + 3600 * SECOND_NS))
        place.look()
        place.may_answer.set()
        await eventually(lambda: not place.watch._asking)
        assert sorted(place.asked) == [DOOR, YARD, YARD]
        assert place.noted == []
        await place.settled(DOOR, YARD)
        assert place.noted == [(DOOR, NEWER)]

    asyncio.run(run())


def test_running_goes_on_until_it_is_cancelled() -> None:
    """It looks by itself, and leaves nothing behind."""

    async def run() -> None:
        place = Place()
        task = asyncio.create_task(place.watch.run(lambda: place.here, lambda *_: None))
        await eventually(lambda: place.asked == [YARD])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
