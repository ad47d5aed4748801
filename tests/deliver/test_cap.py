"""Which cap holds: the lower of two, the hours' own in their hours, the lowest of all while nobody knows the time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from agent.clock import SECOND_NS, WallTime
from agent.deliver.cap import KBIT_S_MIN, NO_CAPS, CappedHours, Caps, cap_bytes_per_s, has_share

BERLIN = "Europe/Berlin"


def moment(text: str) -> WallTime:
    """Return a local time in Berlin."""
    return WallTime(int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp()) * SECOND_NS)


MONDAY = moment("2026-11-23T12:00")


@pytest.mark.parametrize(
    ("caps", "uplink", "expected"),
    [
        (NO_CAPS, 1e6, None),
        (Caps(kbit_s_max=800), None, 100_000),
        (Caps(uplink_share=0.5), 1e6, 500_000),
        (Caps(uplink_share=0.5), None, None),
        (Caps(kbit_s_max=800, uplink_share=0.5), 1e6, 100_000),
        (Caps(kbit_s_max=8000, uplink_share=0.5), 1e6, 500_000),
        (Caps(uplink_share=0.05), 1000, KBIT_S_MIN * 125),
    ],
)
def test_the_lower_cap_holds(caps: Caps, uplink: float | None, expected: float | None) -> None:
    """A share of what is not known is none, and of nearly nothing no less than the least cap."""
    assert cap_bytes_per_s(caps, MONDAY, uplink) == expected


WORK = Caps(
    kbit_s_max=8000,
    hours=(
        CappedHours(from_="08:00", to="18:00", days=("mon", "tue"), kbit_s_max=400),
        CappedHours(from_="22:00", to="06:00"),
    ),
    zone=BERLIN,
)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-11-23T07:59", 1_000_000),
        ("2026-11-23T08:00", 50_000),
        ("2026-11-23T17:59", 50_000),
        ("2026-11-23T18:00", 1_000_000),
        ("2026-11-25T12:00", 1_000_000),  # a Wednesday
        ("2026-11-25T23:00", None),  # at night there is none
        ("2026-11-26T05:59", None),
        ("2026-07-20T08:00", 50_000),  # in summer time too
    ],
)
def test_hours_have_caps_of_their_own(when: str, expected: float | None) -> None:
    """By local time, higher or lower than the other hours' or none."""
    assert cap_bytes_per_s(WORK, moment(when), None) == expected


def test_while_the_time_is_not_known_the_lowest_holds() -> None:
    """Nobody's line is filled in office hours since a clock was wrong."""
    assert cap_bytes_per_s(WORK, None, None) == 50_000


def test_hours_of_which_the_first_covers_a_moment_hold() -> None:
    """The order in the file counts."""
    hours = (CappedHours(kbit_s_max=800), CappedHours(kbit_s_max=80))
    assert cap_bytes_per_s(Caps(hours=hours, zone=BERLIN), MONDAY, None) == 100_000


def test_when_the_uplink_must_be_measured() -> None:
    """Only where a share of it counts, which may be at some hours."""
    assert not has_share(WORK, MONDAY)
    assert has_share(Caps(uplink_share=0.9), MONDAY)
    at_noon = Caps(hours=(CappedHours(from_="11:00", to="13:00", uplink_share=0.5),), zone=BERLIN)
    assert has_share(at_noon, MONDAY)
    assert not has_share(at_noon, moment("2026-11-23T14:00"))
    assert has_share(at_noon, None)
