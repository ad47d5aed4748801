"""A firmware is kept once the hub has done its work under it for long enough, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from agent.acquire.health import CameraState
from agent.clock import SECOND_NS, Instant
from agent.errors import UnavailableError
from agent.firmware_trial import WELL_S_MIN, FirmwareTrial, does_its_work
from agent.outside.bridge import firmware_slots, keep_firmware
from agent.vitals import HubVitals, RingVitals
from tests.simulators.audit_log import NOW
from tests.simulators.rauc_service import Behaviour, PrivateBus, RaucService
from tests.simulators.real_rauc import BridgeProcess
from tests.simulators.set_clock import SetClock
from tests.simulators.vital_signs import camera

RING = RingVitals(0, 1, 60, 0, 0, 0, 0, "", 0, 0, 0, is_direct=True)
WELL = HubVitals("hub-1", "1", "2026-11-28T08:00:00Z", 0, is_clock_trusted=True, cameras=(), ring=RING)


def hub(*states: CameraState) -> HubVitals:
    """Return a well hub with cameras."""
    return msgspec.structs.replace(WELL, cameras=tuple(camera(state=state.value) for state in states))


@pytest.mark.parametrize(
    ("vitals", "is_connected", "is_well"),
    [
        (None, True, False),
        (WELL, True, True),
        (WELL, False, False),
        (msgspec.structs.replace(WELL, ring=None), True, True),
        (msgspec.structs.replace(WELL, is_clock_trusted=False), True, False),
        (msgspec.structs.replace(WELL, ring=msgspec.structs.replace(RING, last_error="EIO")), True, False),
        (hub(CameraState.WAITING, CameraState.RECORDING), True, True),
        (hub(CameraState.OFF), True, True),
        (hub(CameraState.WAITING, CameraState.LOGIN_REFUSED), True, False),
    ],
    ids=["not looked", "well", "no broker", "no owner", "no time", "bad disk", "a camera", "switched off", "no camera"],
)
def test_a_hub_does_its_work(vitals: HubVitals | None, *, is_connected: bool, is_well: bool) -> None:
    """Without time, broker, disk or any camera it does not; what the owner switched off is no failure."""
    assert does_its_work(vitals, is_connected=is_connected) is is_well


def judged(seconds: Sequence[float], is_well: Callable[[float], bool]) -> list[float]:
    """Return the moments at which a hub has passed, of those at which it was looked at."""
    now = 0.0
    trial = FirmwareTrial(lambda: WELL, lambda: is_well(now), lambda: None)
    passed = []
    for now in seconds:
        passed += [now] if trial.has_passed(Instant(round(now * SECOND_NS))) else []
    return passed


def test_it_must_be_well_on_end() -> None:
    """The time begins again after every look at which it is not."""
    looks = [float(second) for second in range(0, 1400, 5)]
    assert judged(looks, lambda _: True)[0] == WELL_S_MIN
    assert judged(looks, lambda now: now != 300)[0] == 305 + WELL_S_MIN
    assert judged(looks, lambda now: now % 500 > 0) == []


def test_it_is_kept_by_the_real_bridge_as_soon_as_rauc_has_time(tmp_path: Path) -> None:
    """A RAUC that installs is asked again; then the slot is marked good once, and its version is the floor."""
    behaviour = Behaviour(is_busy=True)
    clock = SetClock(NOW)
    (tmp_path / "bundles").mkdir()
    asked = 0
    with (
        PrivateBus() as bus,
        RaucService(bus.address, behaviour),
        BridgeProcess(tmp_path / "bridge", tmp_path / "bundles", bus.address) as bridge,
    ):

        def keep() -> str:
            nonlocal asked
            asked += 1
            try:
                return keep_firmware(bridge.socket)
            finally:
                behaviour.is_busy = False

        trial = FirmwareTrial(lambda: WELL, lambda: True, keep)
        trial.has_passed(clock.instant())
        clock.go_on(WELL_S_MIN)
        asyncio.run(asyncio.wait_for(trial.run(clock, 0.01, 0.01), 30))
        assert (asked, behaviour.marked) == (2, [("good", "booted")])
        assert bridge.client.mark_good() == "2026.10.1"
        assert firmware_slots(bridge.socket)[0].boot_status == "good"
    with pytest.raises(UnavailableError, match="is not kept"):
        keep_firmware(tmp_path / "nobody")
