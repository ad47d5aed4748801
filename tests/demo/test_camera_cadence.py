"""Capture ticks: exact periods, never on a millisecond, and windows that name the right ones."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import WallTime, Window
from agent.demo.camera_cadence import Cadence, CameraClock, ntp_of_ticks, start_cadence
from agent.errors import ConfigurationError

NOW = 1_795_356_451 * 90_000


@pytest.mark.parametrize("fps", [1, 5, 10, 12, 15, 20, 25, 30])
def test_no_picture_is_taken_on_a_millisecond(fps: int) -> None:
    """At every rate no capture tick is a whole millisecond, so windows in ms are never ambiguous."""
    cadence = start_cadence(CameraClock(), fps)
    assert cadence.period_ticks * fps == 90_000
    assert all(cadence.tick(number) % 90 for number in range(200))


@pytest.mark.parametrize("fps", [0, -1, 7, 31, 90_000])
def test_a_rate_without_an_exact_period_is_refused(fps: int) -> None:
    """Rates that would drift are a mistake in the settings."""
    with pytest.raises(ConfigurationError, match="exact period"):
        start_cadence(CameraClock(), fps)


@given(st.integers(0, 10**6), st.integers(1, 10**7), st.integers(-(10**7), 10**7), st.sampled_from([3000, 3600, 6000]))
def test_expected_ticks_are_those_whose_hub_time_is_in_the_window(
    lead: int, length: int, off: int, period: int
) -> None:
    """A window names a tick exactly if it holds the tick's time, whatever the camera's clock says."""
    cadence = Cadence(NOW + off * 90 + 17, period, off)
    start = cadence.hub_time(cadence.base_ticks) + lead * 977
    window = Window(WallTime(start), WallTime(start + length * 101))
    expected = cadence.expected(window)
    for ticks in {*expected[:3], *expected[-3:], expected.start - period, expected.stop}:
        exact_ns = (ticks - off * 90) * 100_000 / 9
        if abs(exact_ns - window.start) > 1000 and abs(exact_ns - window.end) > 1000 and cadence.is_tick(ticks):
            assert (ticks in expected) == (window.start <= exact_ns < window.end)


@given(st.integers(-500, 500), st.integers(0, 30 * 86_400), st.integers(-(10**7), 10**7))
def test_a_clock_that_drifts_is_taken_out_of_its_ticks(ppm: int, seconds: int, off: int) -> None:
    """After a month the hub's time of a tick is still right to the tick, and windows name it by that."""
    set_at = WallTime(NOW // 90_000 * 10**9)
    cadence = Cadence(NOW + off * 90 + 17, 6000, off, ppm, set_at)
    ticks = cadence.tick(seconds * 15)
    moment = cadence.hub_time(ticks)
    passed_ns = moment - set_at
    camera_ns = set_at + off * 10**6 + passed_ns * (10**6 + ppm) / 10**6
    assert abs(camera_ns - ticks * 10**5 / 9) < 12_000
    assert ticks in cadence.expected(Window(WallTime(moment - 20_000), WallTime(moment + 20_000)))


def test_a_clock_gains_what_it_drifts() -> None:
    """Against the machine's own monotonic clock, from the offset that it began with."""
    before_ns = time.monotonic_ns()
    clock = CameraClock(3_600_000, 100_000)
    began = clock.set_at + 3600 * 10**9
    while time.monotonic_ns() - before_ns < 20_000_000:
        pass
    least_ns = clock.now_ns() - began
    passed_ns = time.monotonic_ns() - before_ns
    assert 20_000_000 < least_ns <= passed_ns * 1.1


def test_a_window_before_the_camera_started_expects_nothing() -> None:
    """Pictures from before the first one are not missing."""
    cadence = Cadence(NOW, 6000)
    start = WallTime(NOW // 90_000 * 10**9 - 10**10)
    assert len(cadence.expected(Window(start, WallTime(start + 10**9)))) == 0
    assert len(cadence.expected(Window(start, WallTime(start + 2 * 10**10)))) == 150


@given(st.integers(NOW, NOW + 90_000 * 10**8))
def test_ntp_names_the_tick_within_a_nanosecond(ticks: int) -> None:
    """An NTP timestamp and its tick differ by less than 0.2 ns (before the NTP era ends in 2036)."""
    ntp = ntp_of_ticks(ticks)
    difference = ((ntp - (2_208_988_800 << 32)) % (1 << 64)) * 90_000 - (ticks << 32)
    assert abs(difference) / 90_000 / (1 << 32) * 1e9 < 0.2


def test_a_wrong_clock_is_wrong_by_its_offset() -> None:
    """A camera whose clock is an hour ahead says so, to within the time the test takes."""
    ahead = CameraClock(3_600_000).now_ns() - CameraClock().now_ns()
    assert abs(ahead - 3600 * 10**9) < 10**8
