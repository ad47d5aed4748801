"""A firmware is kept once the hub has done its work under it for long enough, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from agent.acquire.health import CameraState
from agent.clock import SECOND_NS, Instant
from agent.errors import BadInputError, UnavailableError
from agent.health.vitals import HubVitals, RingVitals
from agent.maintenance.firmware_trial import TRIAL_S_MAX, WELL_S_MIN, FirmwareTrial, does_its_work
from agent.outside.bridge import firmware_slots, keep_firmware
from tests.simulators.audit_log import NOW
from tests.simulators.eventually import eventually
from tests.simulators.private_bus import PrivateBus
from tests.simulators.rauc_service import Behaviour, RaucService
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
    trial = FirmwareTrial(lambda: WELL, lambda: is_well(now), lambda: None, lambda: None)
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

        trial = FirmwareTrial(lambda: WELL, lambda: True, keep, lambda: None)
        trial.has_passed(clock.instant())
        clock.go_on(WELL_S_MIN)
        asyncio.run(asyncio.wait_for(trial.run(clock, 0.01, 0.01), 30))
        assert (asked, behaviour.marked) == (2, [("good", "booted")])
        assert bridge.client.mark_good() == "2026.10.1"
        assert firmware_slots(bridge.socket)[0].boot_status == "good"
    with pytest.raises(UnavailableError, match="is not kept"):
        keep_firmware(tmp_path / "nobody")


def lived(is_well: Callable[[float], bool], give_ups: list[Exception], hours: float) -> tuple[list[float], list[float]]:
    """Let a firmware run for so long; return when it was kept, and when it was given up."""
    clock, began, looks = SetClock(NOW), 0.0, 0
    kept, given_up = list[float](), list[float]()

    def seconds() -> float:
        return clock.instant() / SECOND_NS - began

    def keep() -> None:
        kept.append(seconds())

    def give_up() -> None:
        given_up.append(seconds())
        if give_ups:
            raise give_ups.pop(0)

    def vitals() -> HubVitals:
        nonlocal looks
        looks += 1
        return WELL

    began = seconds()
    trial = FirmwareTrial(vitals, lambda: is_well(seconds()), keep, give_up)

    def has_looked(before: int, task: asyncio.Task[None]) -> bool:
        return looks > before or task.done()

    async def life() -> None:
        task = asyncio.create_task(trial.run(clock, 0, 0))
        while seconds() < hours * 3600 and not task.done():
            await eventually(partial(has_looked, looks, task))  # what a look has led to has ended then
            clock.go_on(30)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(life())
    return kept, given_up


def test_a_firmware_that_never_does_its_work_is_given_up() -> None:
    """After an hour, not before; what is well then has its ten minutes still."""
    kept, given_up = lived(lambda _: False, [], 1.5)
    assert kept == []
    assert TRIAL_S_MAX <= given_up[0] <= TRIAL_S_MAX + 120
    kept, given_up = lived(lambda at: at > TRIAL_S_MAX - 300, [], 1.5)
    assert given_up == []
    assert len(kept) == 1


def test_a_firmware_that_is_not_on_trial_is_left_as_it_is() -> None:
    """Nothing is gone back from: asked once, and kept whenever it does its work again."""
    kept, given_up = lived(lambda at: at > 2 * TRIAL_S_MAX, [BadInputError("not on trial")], 3)
    assert len(given_up) == 1
    assert len(kept) == 1


def test_what_was_given_up_is_not_kept_any_more() -> None:
    """The next start goes back: a machine that may not go down yet is asked again, however well it is meanwhile."""
    kept, given_up = lived(lambda at: at > TRIAL_S_MAX + 60, [UnavailableError("logged in")] * 5, 2)
    assert kept == []
    assert len(given_up) >= 6
