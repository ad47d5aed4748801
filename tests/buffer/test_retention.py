"""What leaves the ring, and which cameras are kept apart so that the others keep theirs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.buffer.retention import (
    RATE_TIME_S,
    Rates,
    SlabUse,
    apart_bytes,
    choose_victim,
    expired_slabs,
    noisy_cameras,
)
from agent.buffer.slab import Lane
from agent.clock import WallTime
from tests.simulators.ring_content import at

DOOR, YARD, ROOF = CameraId("door"), CameraId("yard"), CameraId("roof")
NOBODY: frozenset[CameraId] = frozenset()
RATES = st.dictionaries(
    st.sampled_from([CameraId(name) for name in "abcdefgh"]), st.floats(1, 10**7), min_size=1, max_size=8
)


def test_age_destroys_nothing_while_the_clock_is_not_trusted() -> None:
    """Only whole slabs behind the limit go, and only by a clock that is known to be right."""
    arrivals = {1: at(0), 2: at(100), 3: at(200)}
    assert expired_slabs(arrivals, at(201), 100, is_clock_trusted=True) == (1, 2)
    assert expired_slabs(arrivals, at(200), 100, is_clock_trusted=True) == (1,)
    assert expired_slabs(arrivals, WallTime(2 * at(0)), 100, is_clock_trusted=False) == ()


def test_nobody_is_noisy_while_the_ring_holds_the_floor_of_all() -> None:
    """A camera may send what it likes as long as it costs nobody anything; without a floor nobody is judged."""
    assert noisy_cameras({DOOR: 1, YARD: 99}, 1000, 10, frozenset({YARD})) == NOBODY
    assert noisy_cameras({DOOR: 1, YARD: 99}, 1000, 0, NOBODY) == NOBODY
    assert noisy_cameras({}, 1000, 10, NOBODY) == NOBODY


def test_a_flood_is_noisy_and_who_needs_little_gives_nothing_away() -> None:
    """The share is what is left after the small ones had all they need."""
    rates = {DOOR: 10.0, YARD: 20.0, ROOF: 500.0}
    assert noisy_cameras(rates, 1000, 10, NOBODY) == {ROOF}
    assert apart_bytes(rates, frozenset({ROOF}), 1000, 10) == 700
    assert noisy_cameras({DOOR: 10.0, YARD: 60.0, ROOF: 60.0}, 1000, 10, NOBODY) == {YARD, ROOF}


@pytest.mark.parametrize(
    ("rate", "was_noisy", "is_noisy"),
    [(62.0, False, False), (63.0, False, True), (48.0, True, True), (47.0, True, False)],
)
def test_a_camera_near_its_share_does_not_swing(rate: float, *, was_noisy: bool, is_noisy: bool) -> None:
    """Noisy from 1.25 times the share (here 50) on, quiet again below 0.9 times of what it is then."""
    noisy = frozenset({YARD}) if was_noisy else NOBODY
    assert (YARD in noisy_cameras({DOOR: 1000.0, ROOF: 10.0, YARD: rate}, 1100, 10, noisy)) is is_noisy


def test_if_all_are_noisy_none_is() -> None:
    """Eight cameras that send the same too much are treated alike."""
    rates = {CameraId(name): 100.0 for name in "abcdefgh"}
    assert noisy_cameras(rates, 1000, 10, NOBODY) == NOBODY
    assert noisy_cameras(rates, 1000, 10, frozenset(rates)) == NOBODY


@given(RATES, st.integers(10**3, 10**9), st.integers(1, 3600), st.sampled_from([False, True]))
@settings(max_examples=200)
def test_keeping_the_noisy_apart_gives_everyone_else_the_floor(
    rates: dict[CameraId, float],
    bytes_max: int,
    floor_s: int,
    was_noisy: bool,  # noqa: FBT001 - hypothesis fills it
) -> None:
    """The others' lane has room for all they send in the floor's time, or for their fair share of the ring."""
    noisy = noisy_cameras(rates, bytes_max, floor_s, frozenset(rates) if was_noisy else NOBODY)
    apart = apart_bytes(rates, noisy, bytes_max, floor_s)
    assert noisy < rates.keys()
    assert (apart == 0) == (not noisy)
    if noisy:
        assert sum(rates.values()) * floor_s > bytes_max
        quiet = [rate for camera, rate in rates.items() if camera not in noisy]
        fair = bytes_max / floor_s / len(rates)
        assert bytes_max - apart >= sum(min(rate, fair) for rate in quiet) * floor_s * 0.999 - 1
        assert apart >= min(len(noisy) * fair * 0.9 * floor_s, bytes_max) * 0.999 - 1
        assert min(rates[camera] for camera in noisy) > 0.9 * fair


def test_the_lane_over_its_share_gives_up_its_oldest_slab() -> None:
    """A flood costs its own footage first, and never more than what is over its share."""
    slabs = [
        SlabUse(1, Lane.SHARED, 64),
        SlabUse(2, Lane.SHARED, 64),
        SlabUse(3, Lane.APART, 64),
        SlabUse(4, Lane.APART, 64),
    ]
    assert choose_victim(slabs, 127) == 3
    assert choose_victim(slabs, 128) == 1
    assert choose_victim(slabs[2:], 128) == 3
    assert choose_victim(slabs[:2], 1) == 1


def test_without_cameras_apart_the_oldest_slab_goes() -> None:
    """What a camera that was noisy once has left is no worse than the others' footage."""
    assert choose_victim([SlabUse(1, Lane.SHARED, 64), SlabUse(2, Lane.APART, 64)], 0) == 1
    assert choose_victim([SlabUse(2, Lane.SHARED, 64), SlabUse(1, Lane.APART, 64)], 0) == 1


def test_an_open_slab_counts_and_stays() -> None:
    """The slab that is written to is part of the lane's use and is not given up."""
    slabs = [
        SlabUse(1, Lane.SHARED, 64),
        SlabUse(2, Lane.APART, 64, is_open=True),
        SlabUse(3, Lane.APART, 64),
    ]
    assert choose_victim(slabs, 100) == 3
    assert choose_victim(slabs[:2], 10) == 1
    with pytest.raises(ValueError, match="empty"):
        choose_victim(slabs[1:2], 10)


def test_rates_settle_and_fade() -> None:
    """A steady camera's rate is found within minutes, a burst hardly counts, and a silent camera is forgotten."""
    rates = Rates()
    for _ in range(200):
        rates.add(DOOR, 5000)
        rates.add(DOOR, 5000)
        found = rates.update(10)
    assert found[DOOR] == pytest.approx(1000, rel=0.01)
    rates.add(YARD, 10_000)
    assert rates.update(1)[YARD] == pytest.approx(10_000 / RATE_TIME_S, rel=0.01)
    for _ in range(400):
        found = rates.update(10)
    assert found == {}


def test_the_pace_of_updates_does_not_matter() -> None:
    """One look every second and one every ten see the same rate."""
    often, seldom = Rates(), Rates()
    for second in range(1, 301):
        often.add(DOOR, 700)
        fine = often.update(1)
        seldom.add(DOOR, 700)
        if second % 10 == 0:
            coarse = seldom.update(10)
    assert fine[DOOR] == pytest.approx(coarse[DOOR])
    assert seldom.update(0) == coarse
