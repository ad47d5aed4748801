"""Discovery over real sockets on the loopback interface, among devices that behave and devices that do not.

Each test's device answers from its own loopback address, so that tests running side by side do not mix.
"""

from __future__ import annotations

import time
from contextlib import closing
from threading import Event

import pytest

from agent.acquire.search import SearchCounts
from agent.errors import ConfigurationError
from agent.outside.camera_table import discover_table
from agent.outside.discovery_sockets import discover, search, usable_interfaces
from tests.simulators.discovery_replies import EPR, NOT_CAMERAS, UNREADABLE, match, replies, reply
from tests.simulators.discovery_responder import answering
from tests.simulators.onvif_device import OnvifDevice, serve

SEARCH_S = 0.7


def test_every_usable_camera_is_found_among_the_rubbish() -> None:
    """One network with every kind of answer: all cameras are found, the rubbish is counted."""
    address, counts = "127.0.77.1", SearchCounts()
    with answering(address, lambda probe_id: list(replies(probe_id, address).values())) as heard:
        found = [camera for camera in discover(["lo"], SEARCH_S, counts=counts) if camera.sender == address]
    assert len(found) == len(replies("", address)) - len(NOT_CAMERAS) + 1
    assert all(address in url for camera in found for url in camera.addresses)
    assert counts.bad >= len(UNREADABLE)
    assert counts.repeated > 0
    assert len(heard) >= 2


def test_the_first_camera_is_known_at_once() -> None:
    """The search yields a camera as it answers, long before its time is over, and closes its sockets when left."""
    address = "127.0.77.2"
    started = time.monotonic()
    with (
        answering(address, lambda probe_id: [reply(probe_id, match(1, f"http://{address}/"))]),
        closing(search(["lo"], 30.0)) as cameras,
    ):
        first = next(camera for camera in cameras if camera.sender == address)
    assert first.epr == EPR.format(1)
    assert time.monotonic() - started < 5


def test_cloned_devices_are_both_listed_and_said_to_be_so() -> None:
    """Two devices with one identity: both rows say that one must go."""
    one, two = "127.0.77.3", "127.0.77.4"
    with (
        serve(OnvifDevice(login="none"), one) as here,
        serve(OnvifDevice(login="none", clock_offset_s=90), two) as there,
        answering(one, lambda probe_id: [reply(probe_id, match(33, here))]),
        answering(two, lambda probe_id: [reply(probe_id, match(33, there))]),
    ):
        rows = discover_table(["lo"], SEARCH_S, now=time.time_ns)  # type: ignore[arg-type] - WallTime is an int
    rows = [row for row in rows if row.epr == EPR.format(33)]
    assert [row.address for row in rows] == [here, there]
    assert all("another device answers with the same identity" in row.note for row in rows)
    assert "1 min fast" in rows[1].note
    assert {row.device.model for row in rows} == {"Dome 4"}


def test_a_flood_does_not_hide_a_camera() -> None:
    """A device that sends hundreds of invented cameras costs bounded time and space."""
    flooder, camera, counts = "127.0.77.5", "127.0.77.6", SearchCounts()

    def flood(probe_id: str) -> list[bytes]:
        return [reply(probe_id, match(n % 100, "").replace("aa", f"{n:04x}")) for n in range(100)] + [b"<" * 60000] * 10

    with (
        answering(flooder, flood),
        answering(camera, lambda probe_id: [reply(probe_id, match(1, f"http://{camera}/"))]),
    ):
        found = discover(["lo"], SEARCH_S, counts=counts)
    assert sum(one.sender == flooder for one in found) <= 16
    assert sum(one.sender == camera for one in found) == 1
    assert counts.over_limit > 0


def test_a_stopped_search_ends() -> None:
    """The daemon need not wait for the end of a search."""
    stop = Event()
    stop.set()
    started = time.monotonic()
    assert discover(["lo"], 30.0, stop) == []
    assert time.monotonic() - started < 5


def test_interfaces_are_chosen_with_care() -> None:
    """Loopback only by name; a name that does not exist is told to a person."""
    assert "lo" not in usable_interfaces()
    with pytest.raises(ConfigurationError, match=r"no network interface 'eth99' \(name one of: .*lo"):
        discover(["eth99"], 1.0)
    assert discover([], 30.0) == []
