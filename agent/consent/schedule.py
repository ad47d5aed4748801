"""The owner's week: which hours are stricter than the policy's mode, and in which nobody is woken to be asked.

Rules of this file:
- Local wall time of a named zone decides, minute by minute: an hour that a clock change repeats counts both times, one
  that it skips does not exist.
- A rule can only tighten. Whatever cannot be known (the zone, the time) makes every rule hold at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from agent.clock import SECOND_NS, WallTime, Window
from agent.command.words import Claims
from agent.errors import BadInputError

Mode = Literal["opt_in", "ask_first", "sharing_off", "recording_off"]
MODES: Final[tuple[Mode, ...]] = ("opt_in", "ask_first", "sharing_off", "recording_off")
"""From the widest to the strictest."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ClockTime = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z")]
ZoneName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}\Z")]

DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
MINUTE_NS: Final = 60 * SECOND_NS
SCAN_MINUTES_MAX: Final = DAY_MINUTES + 1  # a longer stretch counts as a whole week: no policy allows so long a window


class Hours(Claims, frozen=True):
    """The same hours on some days of the week; `to` before `from` reaches into the day after."""

    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)] = DAYS
    from_: ClockTime = field(default="00:00", name="from")
    to: ClockTime = "24:00"

    @property
    def minutes(self) -> tuple[int, int]:
        """Start and end in minutes of the day; the end is over 1440 if it is on the day after."""
        start, end = _minute_of_day(self.from_), _minute_of_day(self.to)
        return start, end + DAY_MINUTES if end < start else end


class ScheduleRule(Hours, frozen=True, kw_only=True):
    """Hours in which a stricter mode holds."""

    mode: Literal["ask_first", "sharing_off", "recording_off"]


def stricter(one: Mode, other: Mode) -> Mode:
    """Return the stricter of two modes."""
    return max(one, other, key=MODES.index)


def check_hours(hours: Iterable[Hours], zone: str | None) -> None:
    """Raise BadInputError unless every entry has a length and this hub knows the zone."""
    for entry in hours:
        start, end = entry.minutes
        if start in {end, DAY_MINUTES}:
            raise BadInputError(f"hours from {entry.from_} to {entry.to} are none")
        if zone is None or zone_of(zone) is None:
            raise BadInputError(f"hours need the name of a time zone that this hub knows, not {zone!r}")


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return a zone by its IANA name, or None if this hub does not know it."""
    try:
        return ZoneInfo(name) if name else None
    except (LookupError, ValueError, OSError):  # unknown; a path; a directory
        return None


def mode_in(base: Mode, rules: tuple[ScheduleRule, ...], zone: str | None, stretch: Window) -> Mode:
    """Return the strictest mode that holds at any moment of a stretch of time: the policy's own, or a rule's."""
    strictest = _strictest_minute(rules, zone, stretch)
    return stricter(base, MODES[strictest])


def mode_of_all(base: Mode, rules: tuple[ScheduleRule, ...]) -> Mode:
    """Return the mode while nobody knows what time it is: as if every rule held."""
    return max((base, *(rule.mode for rule in rules)), key=MODES.index)


def instant_of(moment: WallTime) -> Window:
    """Return the shortest stretch that begins at a moment."""
    return Window(moment, WallTime(moment + 1))


def first_outside(hours: tuple[Hours, ...], zone: str | None, moment: WallTime, end: WallTime) -> WallTime | None:
    """Return the first moment from `moment` on that is in none of the hours; None if there is none before `end`."""
    if not hours:
        return moment if moment < end else None
    table, place = week_of(hours), zone_of(zone)
    first = moment // MINUTE_NS
    for minute in range(first, min(-(-end // MINUTE_NS), first + SCAN_MINUTES_MAX)):
        if place is not None and not table[minute_of_week(minute, place)]:
            return WallTime(max(moment, minute * MINUTE_NS))
    return None


@lru_cache(maxsize=64)
def week_of(hours: tuple[Hours, ...]) -> bytes:
    """Return the strictest level (index into MODES; 1 for plain hours) of each minute from Monday 00:00 local."""
    table = bytearray(WEEK_MINUTES)
    for entry in hours:
        level = MODES.index(entry.mode) if isinstance(entry, ScheduleRule) else 1
        start, end = entry.minutes
        for day in entry.days:
            midnight = DAYS.index(day) * DAY_MINUTES
            for minute in range(midnight + start, midnight + end):
                table[minute % WEEK_MINUTES] = max(table[minute % WEEK_MINUTES], level)
    return bytes(table)


def minute_of_week(minute: int, zone: ZoneInfo) -> int:
    """Turn a minute since 1970 UTC into a minute of the local week. Zones differ from UTC by whole minutes today."""
    local = datetime.fromtimestamp(minute * 60, zone)
    return local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute


def _strictest_minute(rules: tuple[ScheduleRule, ...], zone: str | None, stretch: Window) -> int:
    if not rules:
        return 0
    table, place = week_of(rules), zone_of(zone)
    first, last = stretch.start // MINUTE_NS, (stretch.end - 1) // MINUTE_NS
    if place is None or last - first >= SCAN_MINUTES_MAX:
        return max(table)
    return max(table[minute_of_week(minute, place)] for minute in range(first, last + 1))


def _minute_of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
