"""What a camera sends now, by counts that somebody looks at once a second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.rates import LOSS_S, RateMeter, WireRates, WireTotals
from agent.clock import SECOND_NS, Instant


def at(seconds: float) -> Instant:
    """Return an instant."""
    return Instant(round(seconds * SECOND_NS) + 1_000_000_007)


def steady(seconds: float) -> WireTotals:
    """Return what a camera of 4 Mbit/s and 25 pictures a second has sent in this time."""
    return WireTotals(round(500_000 * seconds), round(25 * seconds), round(400 * seconds), 0)


@pytest.mark.parametrize("every_s", [0.5, 1.0, 1.3, 5.0])
def test_a_steady_camera_has_a_steady_rate(every_s: float) -> None:
    """However often somebody looks."""
    meter = RateMeter()
    for step in range(round(100 / every_s)):
        rates = meter.note(at(step * every_s), steady(step * every_s))
    assert rates.bytes_per_s == pytest.approx(500_000, rel=0.01)
    assert rates.pictures_per_s == pytest.approx(25, rel=0.01)
    assert rates.loss_share == 0


def test_a_rate_is_of_the_last_ten_seconds() -> None:
    """A camera that falls silent has no rate soon after; the loss of a minute is remembered for a minute."""
    meter = RateMeter()
    for second in range(30):
        meter.note(at(second), steady(second)._replace(packets_lost=second * 4))
    silent = steady(29)._replace(packets_lost=29 * 4)
    rates = [meter.note(at(30 + second), silent) for second in range(90)]
    assert 0 < rates[6].bytes_per_s < 500_000
    assert rates[12].bytes_per_s == rates[12].pictures_per_s == 0
    assert rates[12].loss_share == pytest.approx(0.01, rel=0.02)
    assert rates[70].loss_share == 0


def test_before_there_is_a_time_there_is_no_rate() -> None:
    """One look says nothing; two within a second say no more."""
    meter = RateMeter()
    assert meter.note(at(0), steady(0)) == WireRates()
    assert meter.note(at(0.9), steady(0.9)) == WireRates()


def test_everything_lost_is_everything() -> None:
    """Shares stay between none and all."""
    meter = RateMeter()
    meter.note(at(0), WireTotals())
    assert meter.note(at(5), WireTotals(packets_lost=50)).loss_share == 1.0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 10**6), st.integers(0, 1000)), max_size=150))
def test_it_stays_small_and_sane(steps: list[tuple[float, int, int]]) -> None:
    """Whatever the pace: few samples, no negative rate, a share between 0 and 1."""
    meter, now, totals = RateMeter(), 0.0, WireTotals()
    for passed, size, lost in steps:
        now += passed
        totals = WireTotals(totals.bytes + size, totals.pictures + 1, totals.packets + 5, totals.packets_lost + lost)
        rates = meter.note(at(now), totals)
        assert min(rates) >= 0
        assert rates.loss_share <= 1
        assert len(meter._samples) <= LOSS_S // 2 + 2
