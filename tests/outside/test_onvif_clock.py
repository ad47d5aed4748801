"""How a camera's clock stands: measured again from what is known, or as a stranger's; never over a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.acquire.camera import Login
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime
from agent.crypto import Secret
from agent.outside.onvif_clock import CLOCK_ERROR_ENOUGH_NS, measure_again
from agent.outside.onvif_failures import CameraUnreachableError
from agent.outside.soap_login import Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

LOGIN = Login(USER, Secret(PASSWORD))
HOUR_NS = 3600 * SECOND_NS
MS = 1_000_000


@dataclass
class HubClock:
    """The hub's clock, which a test sets at its n-th reading."""

    step_ns: int = 0
    step_at: int = 1 << 30
    readings: int = field(default=0)

    def __call__(self) -> WallTime:
        """Read it."""
        self.readings += 1
        return WallTime(time.time_ns() + (self.step_ns if self.readings >= self.step_at else 0))


def measured(device: OnvifDevice, known: ClockOffset | None, now: Callable[[], WallTime] | None = None) -> ClockOffset:
    """Measure a device's clock, which it tells."""
    with serve(device) as address:
        offset = measure_again(address, LOGIN, known, now or HubClock(), Refusals())
    assert offset is not None
    return offset


def holds(offset: ClockOffset, truth_ns: int) -> bool:
    """Say whether the truth is in it."""
    return offset.low_ns <= truth_ns <= offset.high_ns


def test_what_is_known_is_narrowed_by_few_questions() -> None:
    """An hour wrong, known within a tenth of a second a minute ago: it is known well again, and the moment is noted."""
    device, began = OnvifDevice(login="none", clock_offset_s=3600.02), time.time_ns()
    known = ClockOffset(HOUR_NS - 20 * MS, HOUR_NS + 80 * MS, WallTime(began - 60 * SECOND_NS))
    offset = measured(device, known)
    assert holds(offset, HOUR_NS + 20 * MS)
    assert offset.high_ns - offset.low_ns < 120 * MS
    assert offset.at is not None
    assert began <= offset.at <= time.time_ns()
    assert set(device.asked) == {"GetSystemDateAndTime"}
    assert 1 <= len(device.asked) <= 8


def test_a_clock_that_was_set_is_measured_as_a_strangers() -> None:
    """What was known contradicts the camera: it counts for nothing."""
    device = OnvifDevice(login="none", clock_offset_s=-7.25)
    assert holds(measured(device, ClockOffset(HOUR_NS, HOUR_NS + 50 * MS, WallTime(time.time_ns()))), -7_250 * MS)


def test_a_camera_that_wants_a_login_for_its_time_gets_it() -> None:
    """Its login is signed in the time that is known."""
    device = OnvifDevice(login="token", clock_offset_s=3600.0, is_clock_secret=True)
    known = ClockOffset(HOUR_NS - 100 * MS, HOUR_NS + 100 * MS, WallTime(time.time_ns()))
    assert holds(measured(device, known), HOUR_NS)
    assert device.refused_logins == 0


def test_a_step_of_the_hubs_clock_voids_the_measurement() -> None:
    """The hub's clock is set by two seconds between the first reading and the last."""
    with serve(OnvifDevice(login="none")) as address:
        now = HubClock(step_ns=2 * SECOND_NS, step_at=3)
        assert measure_again(address, LOGIN, None, now, Refusals()) is None


def test_nothing_new_is_no_measurement() -> None:
    """Known well enough still, or a camera that keeps its time to itself: nothing is claimed."""
    known = ClockOffset(-CLOCK_ERROR_ENOUGH_NS // 2, CLOCK_ERROR_ENOUGH_NS // 2)
    device = OnvifDevice(login="none")
    with serve(device) as address:
        assert measure_again(address, LOGIN, known, HubClock(), Refusals()) is None
        assert device.asked == []
    with pytest.raises(CameraUnreachableError):
        measure_again(address, LOGIN, None, HubClock(), Refusals())
