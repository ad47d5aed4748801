"""When a certificate is renewed, and how often that is tried, for every life it may have."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.issuing import issue_chain
from provisioning.keys import make_key, read_chain
from provisioning.renewal_pace import LATE, PAUSE_S_MAX, WINDOW, Validity, pause_s
from tests.simulators.enrolment_server import make_authority

DAY_S = 86400.0


@given(st.floats(0, 4e9), st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_due_before_late_before_the_end(begins_s: float, life_s: float, spread: float) -> None:
    """In this order, whatever the dates; the window lies between two thirds and three quarters."""
    life = Validity(begins_s, begins_s + life_s, spread)
    assert begins_s <= life.due_s <= life.late_s <= life.ends_s
    assert WINDOW[1] < LATE
    assert Validity(0, 90 * DAY_S, 0).due_s == pytest.approx(60 * DAY_S)
    assert Validity(0, 90 * DAY_S, 0).late_s == pytest.approx(75 * DAY_S)


def test_certificates_of_one_night_are_spread() -> None:
    """Each has a moment of its own, always the same one."""
    authority, key = make_authority(), make_key().public_key()
    leaves = [read_chain(issue_chain(key, f"hub {number}", authority, 1_795_000_000))[0] for number in range(60)]
    spread = [Validity.of(leaf).spread for leaf in leaves]
    assert spread == [Validity.of(leaf).spread for leaf in leaves]
    assert min(spread) < 0.2
    assert max(spread) > 0.8
    assert 0.3 < statistics.mean(spread) < 0.7


@given(st.floats(1, 1e9), st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_a_bound(life_s: float, failures: int, chance: float) -> None:
    """Never shorter than half a second, never longer than half a day, and never shorter than the one before."""
    wait_s = pause_s(life_s, failures, chance)
    assert 0.5 <= wait_s <= PAUSE_S_MAX[1]
    assert wait_s <= pause_s(life_s, failures + 1, chance)


def test_ninety_days_are_tried_often_enough_and_not_more() -> None:
    """From 15 minutes to 12 hours: between 60 and 150 tries until the certificate ends."""
    passed_s, tries = 0.0, 0
    while passed_s < 90 * DAY_S / 4:
        passed_s += pause_s(90 * DAY_S, tries, 0.5)
        tries += 1
    assert pause_s(90 * DAY_S, 0, 0) == 15 * 60
    assert 60 <= tries <= 150
