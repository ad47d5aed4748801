"""A search as it goes: batches that settle, twins, places, and searches that fail or never end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

from agent.acquire.discovery import FoundCamera
from agent.acquire.stream import CameraId
from agent.cameras.sightings import SETTLE_S, Sightings
from agent.errors import UnavailableError
from tests.simulators.eventually import PATIENCE_S, eventually

DOOR, YARD = CameraId("door"), CameraId("yard")


def at(camera: CameraId, host: str) -> FoundCamera:
    """Make a sighting."""
    return FoundCamera(camera, f"urn:{camera}", camera, "", host, (f"http://{host}/",))


def test_a_sighting_does_not_wait_for_the_end_of_the_search() -> None:
    """It is given a moment after it was made, with what settled meanwhile; the rest at the end."""
    is_over = threading.Event()

    def search() -> Iterator[FoundCamera]:
        yield at(DOOR, "10.0.0.1")
        yield at(DOOR, "10.0.0.2")
        assert is_over.wait(PATIENCE_S), "the first ones were not given before the search was over"
        yield at(YARD, "10.0.0.3")

    async def run() -> list[tuple[float, int]]:
        began, batches, sightings = time.monotonic(), [], Sightings()
        async for batch in sightings.batches(search):
            batches.append((time.monotonic() - began, len(batch)))
            is_over.set()
            assert sightings.twins() == {DOOR}
        return batches

    (first_s, first), (_, second) = asyncio.run(run())
    assert first_s >= SETTLE_S
    assert (first, second) == (2, 1)


def test_a_search_that_fails_has_seen_what_it_has_seen() -> None:
    """The next one may do better."""

    def search() -> Iterator[FoundCamera]:
        yield at(DOOR, "10.0.0.1")
        raise UnavailableError("the network is down")

    async def run() -> list[FoundCamera]:
        return [seen async for batch in Sightings().batches(search) for seen in batch]

    assert asyncio.run(run()) == [at(DOOR, "10.0.0.1")]


def test_nobody_waits_for_a_search_when_the_hub_stops() -> None:
    """It is left to itself."""
    has_begun, is_over, has_ended = threading.Event(), threading.Event(), threading.Event()

    def search() -> Iterator[FoundCamera]:
        has_begun.set()
        is_over.wait(60)
        has_ended.set()
        yield at(DOOR, "10.0.0.1")

    async def run() -> None:
        async for _ in Sightings().batches(search):
            pass

    async def stop_soon() -> None:
        task = asyncio.create_task(run())
        await eventually(has_begun.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(stop_soon())
    assert not has_ended.is_set()
    is_over.set()
    assert has_ended.wait(PATIENCE_S)


def test_who_was_seen_elsewhere_is_known() -> None:
    """A camera counts as elsewhere when its own endpoint reference answered at its own place beside this sighting."""
    sightings, places = Sightings(), {DOOR: ("urn:door", "10.0.0.1"), YARD: ("urn:yard", "10.0.0.2")}
    clone = at(DOOR, "10.0.0.66")
    sightings.all = [at(DOOR, "10.0.0.1"), clone]
    assert sightings.elsewhere(clone, places) == {DOOR}
    assert sightings.elsewhere(sightings.all[0], places) == set()
