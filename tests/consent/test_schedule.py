"""The owner's week, by local time of a named zone, on the days when the clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.consent.schedule import (
    DAYS,
    MODES,
    Hours,
    Mode,
    ScheduleRule,
    check_hours,
    first_outside,
    instant_of,
    mode_in,
    mode_of_all,
    stricter,
)
from agent.errors import BadInputError

BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"  # the latter moves its clock by half an hour


def rules(*entries: dict[str, object]) -> tuple[ScheduleRule, ...]:
    """Return the rules of a policy."""
    return msgspec.convert(entries, tuple[ScheduleRule, ...])


def at(moment: str, hours: tuple[ScheduleRule, ...], zone: str = BERLIN, base: Mode = "opt_in") -> str:
    """Return the mode at one moment."""
    return mode_in(base, hours, zone, instant_of(parse_rfc3339(moment)))


CLOSED = rules(
    {"mode": "ask_first", "days": ["mon", "tue", "wed", "thu", "fri"], "from": "18:00", "to": "08:00"},
    {"mode": "sharing_off", "days": ["sun"]},
)


@pytest.mark.parametrize(
    ("moment", "mode"),
    [
        ("2026-11-23T08:00:00Z", "opt_in"),  # Monday, 09:00 in Berlin
        ("2026-11-23T16:59:59.999Z", "opt_in"),
        ("2026-11-23T17:00:00Z", "ask_first"),  # 18:00
        ("2026-11-24T06:59:59Z", "ask_first"),  # 07:59 on the day after
        ("2026-11-24T07:00:00Z", "opt_in"),
        ("2026-11-28T06:30:00Z", "ask_first"),  # Saturday: of Friday's evening
        ("2026-11-28T22:59:59Z", "opt_in"),
        ("2026-11-28T23:00:00Z", "sharing_off"),  # Sunday begins in Berlin
        ("2026-11-29T22:59:59Z", "sharing_off"),
        ("2026-11-29T23:00:00Z", "opt_in"),  # Monday 00:00: nobody said Sunday evening
    ],
)
def test_hours_are_local_and_belong_to_the_day_on_which_they_begin(moment: str, mode: str) -> None:
    """Evening hours reach over midnight; a whole day ends where the next begins."""
    assert at(moment, CLOSED) == mode


@pytest.mark.parametrize(
    ("moment", "zone", "mode"),
    [
        ("2026-10-25T00:30:00Z", BERLIN, "sharing_off"),  # 02:30 for the first time
        ("2026-10-25T01:30:00Z", BERLIN, "sharing_off"),  # 02:30 once more
        ("2026-10-25T02:00:00Z", BERLIN, "opt_in"),
        ("2026-03-29T00:59:00Z", BERLIN, "opt_in"),  # 01:59, and the next minute is 03:00
        ("2026-03-29T01:00:00Z", BERLIN, "opt_in"),
        ("2026-04-04T14:45:00Z", LORD_HOWE, "opt_in"),  # 01:45 with daylight saving, the clocks go back at 15:00Z
        ("2026-04-04T15:00:00Z", LORD_HOWE, "opt_in"),  # 01:30 once more
        ("2026-04-04T15:30:00Z", LORD_HOWE, "sharing_off"),
    ],
)
def test_days_on_which_the_clocks_change(moment: str, zone: str, mode: str) -> None:
    """An hour that comes twice counts twice, one that is skipped does not exist."""
    assert at(moment, rules({"mode": "sharing_off", "from": "02:00", "to": "03:00"}), zone) == mode


def test_the_strictest_moment_of_a_stretch_counts() -> None:
    """A minute of a stricter mode inside is enough; its ends are half open."""
    lunch = rules({"mode": "sharing_off", "from": "12:00", "to": "12:01"})
    start, noon = parse_rfc3339("2026-11-24T10:30:00Z"), parse_rfc3339("2026-11-24T11:00:00Z")
    assert mode_in("opt_in", lunch, BERLIN, Window(start, noon)) == "opt_in"
    assert mode_in("opt_in", lunch, BERLIN, Window(start, WallTime(noon + 1))) == "sharing_off"
    over = WallTime(noon + 60 * SECOND_NS)
    assert mode_in("opt_in", lunch, BERLIN, Window(over, WallTime(over + 3600 * SECOND_NS))) == "opt_in"


def test_what_is_not_known_makes_every_rule_hold() -> None:
    """A zone this hub does not know, a time nobody trusts, a stretch longer than any window."""
    moment = "2026-11-24T09:00:00Z"
    assert at(moment, CLOSED) == "opt_in"
    assert at(moment, CLOSED, "Europe/Atlantis") == "sharing_off"
    assert mode_of_all("opt_in", CLOSED) == "sharing_off"
    start = parse_rfc3339(moment)
    assert mode_in("opt_in", CLOSED, BERLIN, Window(start, WallTime(start + 48 * 3600 * SECOND_NS))) == "sharing_off"


HOURS = st.builds(
    lambda days, start, end, mode: ScheduleRule(days=tuple(days), from_=start, to=end, mode=mode),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    st.integers(0, 1439).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}"),
    st.integers(1, 1440).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}"),
    st.sampled_from(MODES[1:]),
).filter(lambda one: one.from_ != one.to)
RULES = st.lists(HOURS, max_size=4).map(tuple)
ZONES = st.sampled_from([BERLIN, LORD_HOWE, "America/New_York", "Asia/Kathmandu", "UTC"])
MOMENTS = st.integers(1_790_000_000, 1_810_000_000).map(lambda second: WallTime(second * SECOND_NS))


@settings(max_examples=150)
@given(st.sampled_from(MODES), RULES, HOURS, ZONES, MOMENTS, st.integers(1, 7200))
def test_schedules_only_tighten(
    base: Mode, hours: tuple[ScheduleRule, ...], more: ScheduleRule, zone: str, start: WallTime, length_s: int
) -> None:
    """No rule makes a mode wider, no further rule and no longer stretch does, and the rules' order does not matter."""
    stretch = Window(start, WallTime(start + length_s * SECOND_NS))
    mode = mode_in(base, hours, zone, stretch)
    assert stricter(mode, base) == mode
    assert stricter(mode_in(base, (*hours, more), zone, stretch), mode) == mode_in(base, (more, *hours), zone, stretch)
    assert stricter(mode_in(base, hours, zone, instant_of(start)), mode) == mode
    assert stricter(mode, mode_of_all(base, hours)) == mode_of_all(base, hours)


@settings(max_examples=100)
@given(HOURS, ZONES, MOMENTS)
def test_a_moment_is_inside_exactly_if_a_wall_clock_says_so(hours: ScheduleRule, zone: str, moment: WallTime) -> None:
    """By plain arithmetic on what a clock on the wall shows."""
    local = datetime.fromtimestamp(moment // SECOND_NS, UTC).astimezone(ZoneInfo(zone))
    shown, yesterday = f"{local:%H:%M}", DAYS[(local - timedelta(days=1)).weekday()]
    today = DAYS[local.weekday()]
    if hours.from_ < hours.to:
        is_inside = today in hours.days and hours.from_ <= shown < hours.to
    else:
        is_inside = (today in hours.days and shown >= hours.from_) or (yesterday in hours.days and shown < hours.to)
    assert (mode_in("opt_in", (hours,), zone, instant_of(moment)) == hours.mode) is is_inside


def test_quiet_hours_end() -> None:
    """A question waits for the end of the hours, and comes to nobody if its deadline is sooner."""
    night = msgspec.convert([{"from": "22:00", "to": "07:00"}], tuple[Hours, ...])
    asked, morning = parse_rfc3339("2026-11-24T02:00:30Z"), parse_rfc3339("2026-11-24T06:00:00Z")
    assert first_outside(night, BERLIN, asked, WallTime(morning + SECOND_NS)) == morning
    assert first_outside(night, BERLIN, asked, morning) is None
    assert first_outside((), None, asked, morning) == asked
    assert first_outside(night, BERLIN, WallTime(morning + 5), WallTime(morning + 6)) == morning + 5
    assert first_outside(night, "Europe/Atlantis", morning, WallTime(morning + SECOND_NS)) is None


@pytest.mark.parametrize(
    ("hours", "zone"),
    [
        ({"from": "08:00", "to": "08:00"}, BERLIN),
        ({"from": "24:00", "to": "08:00"}, BERLIN),
        ({}, None),
        ({}, "Europe"),
        ({}, "Europe/Atlantis"),
        ({}, "../Europe/Berlin"),
    ],
)
def test_hours_that_mean_nothing_are_refused(hours: dict[str, str], zone: str | None) -> None:
    """An owner who writes them would think that they hold."""
    with pytest.raises(BadInputError):
        check_hours(msgspec.convert([hours], tuple[Hours, ...]), zone)
