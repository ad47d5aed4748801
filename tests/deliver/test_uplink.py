"""How fast the uplink is: by what uploads reached, and no single one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.deliver.uplink import MEASURE_EVERY_NS, SAMPLES_MAX, WINDOW_NS, Uplink

START = Instant(1_000 * SECOND_NS)


def after(seconds: float) -> Instant:
    """Return a later time."""
    return Instant(START + round(seconds * SECOND_NS))


def measured(*rates: float, every_s: float = 60) -> Uplink:
    """Measure these rates, in bytes a second, one after the other."""
    uplink = Uplink()
    for number, rate in enumerate(rates):
        uplink.note(round(rate * 4), 4.0, after(number * every_s))
    return uplink


def test_it_is_learned_from_the_first_upload() -> None:
    """Before that nobody knows."""
    assert Uplink().bytes_per_s is None
    assert measured(100_000).bytes_per_s == pytest.approx(100_000)


def test_one_that_was_too_fast_is_not_believed() -> None:
    """A burst that some box on the way swallowed; nor do slow ones lower it."""
    assert measured(100_000, 90_000, 5_000_000, 20_000).bytes_per_s == pytest.approx(100_000)


def test_a_line_that_got_slower_is_believed_after_an_hour() -> None:
    """And one that got faster at its second measurement."""
    uplink = measured(*[1_000_000] * 4)
    uplink.note(400_000, 4.0, after(600))
    assert uplink.bytes_per_s == pytest.approx(1_000_000)
    for number in range(5):
        uplink.note(400_000, 4.0, after(WINDOW_NS / SECOND_NS + 300 + 60 * number))
    assert uplink.bytes_per_s == pytest.approx(100_000)
    for number in range(2):
        uplink.note(20_000_000, 4.0, after(WINDOW_NS / SECOND_NS + 900 + number))
    assert uplink.bytes_per_s == pytest.approx(5_000_000)


def test_what_was_measured_long_ago_is_better_than_nothing() -> None:
    """A hub that sent nothing for a day has the same line."""
    uplink = measured(100_000, 100_000, 100_000)
    uplink.note(4_000, 0.1, after(86_400))  # says nothing: too small
    assert uplink.bytes_per_s == pytest.approx(100_000)


def test_when_to_measure() -> None:
    """Three times after the start, then a quarter of an hour after the last time."""
    assert Uplink().is_due(START)
    assert measured(1e5, 1e5).is_due(after(61))
    uplink = measured(1e5, 1e5, 1e5, every_s=1)
    assert not uplink.is_due(after(60))
    assert uplink.is_due(after(2 + MEASURE_EVERY_NS / SECOND_NS + 1))


@given(st.lists(st.tuples(st.integers(0, 10**8), st.floats(0, 1000), st.integers(0, 100_000)), max_size=150))
def test_it_is_some_rate_that_was_reached(noted: list[tuple[int, float, int]]) -> None:
    """Whatever is noted, in whatever order of time, in bounded memory."""
    uplink = Uplink()
    for length, seconds, when in noted:
        uplink.note(length, seconds, after(when))
    rates = [length / seconds for length, seconds, _ in noted if seconds > 0]
    assert uplink.bytes_per_s is None or uplink.bytes_per_s in rates
    assert len(uplink._samples) <= SAMPLES_MAX
