"""An owner's policy in plain words, and by the hours of the week: what it shares, with whom, when.

Rules of this file: words come from the same functions that decide, so they cannot promise less than is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from agent.acquire.stream import CameraId
from agent.clock import WallTime, rfc3339
from agent.command.trust import is_post_quantum
from agent.consent.policy import EVERY_OUTDOOR, Policy, share_of
from agent.consent.schedule import DAY_MINUTES, DAYS, MODES, Mode, instant_of, mode_in, stricter, week_of

MODE_WORDS: Final[dict[Mode, str]] = {
    "opt_in": "shared without asking",
    "ask_first": "shared only after your yes to that incident",
    "sharing_off": "recorded, never shared",
    "recording_off": "not recorded",
}
KEY_CHARS_SHOWN: Final = 70  # a classical key whole

SHARE_WORDS: Final[dict[str, str]] = {
    "share": "shared as the hour says",
    "ask": "shared only after your yes, at any hour",
    "never": "never shared",
}


class Hour(msgspec.Struct, frozen=True):
    """A stretch of one day in which one mode holds; local time, `to` up to 24:00."""

    day: str
    start: str
    to: str
    mode: Mode


class Explained(msgspec.Struct, frozen=True):
    """A policy, explained. `cameras` has each that the policy names, and `*` for all others."""

    version: int
    mode: Mode
    zone: str
    week: tuple[Hour, ...]
    quiet: tuple[Hour, ...]
    cameras: dict[str, str]
    sound: tuple[str, ...]
    masked: tuple[str, ...]
    owner_copy: tuple[str, ...]
    cosigner: str  # thumbprint; empty: the owner's own key
    agencies: tuple[str, ...]
    incident_types: tuple[str, ...] | None
    limits: dict[str, int]
    at: str = ""
    mode_at: Mode | None = None


def explain(policy: Policy, at: WallTime | None = None) -> Explained:
    """Explain a policy; `at`: also which mode it has at that moment."""
    named = sorted({*policy.cameras, *policy.placement, *policy.sound, *policy.masks} - {EVERY_OUTDOOR})
    cameras = {name: str(share_of(policy, CameraId(name))) for name in named} | {EVERY_OUTDOOR: "never"}
    mode = None if at is None else mode_in(policy.mode, policy.schedule, policy.zone, instant_of(at))
    limits = {name: value for name, value in msgspec.structs.asdict(policy).items() if name.endswith("_max")}
    return Explained(
        version=policy.version,
        mode=policy.mode,
        zone=policy.zone or "UTC",
        week=_hours(tuple(stricter(policy.mode, MODES[level]) for level in week_of(policy.schedule))),
        quiet=tuple(
            hour for hour in _hours(tuple(MODES[level] for level in week_of(policy.quiet))) if hour.mode != "opt_in"
        ),
        cameras=cameras,
        sound=tuple(sorted(name for name in policy.sound if cameras[name] != "never")),
        masked=tuple(sorted(name for name, masks in policy.masks.items() if masks)),
        owner_copy=policy.owner_copy,
        cosigner=policy.cosigner.thumbprint if policy.cosigner else "",
        agencies=tuple(one.id for one in policy.agencies if one.roots),
        incident_types=policy.incident_types,
        limits=limits,
        at="" if at is None else rfc3339(at),
        mode_at=mode,
    )


def describe(explained: Explained) -> str:
    """Write it for a person."""
    lines = [f"Policy {explained.version}, times of {explained.zone}", ""]
    if explained.mode_at is not None:
        lines += [f"At {explained.at}: {MODE_WORDS[explained.mode_at]}", ""]
    lines += _days(explained.week, lambda hour: f"{hour.start}-{hour.to} {MODE_WORDS[hour.mode]}")
    if explained.quiet:
        lines += ["", "No question is brought to you"]
        lines += [f"  {line}" for line in _days(explained.quiet, lambda hour: f"{hour.start}-{hour.to}")]
    lines += ["", "Cameras"]
    for name, word in explained.cameras.items():
        extras = [
            text for names, text in ((explained.sound, "with sound"), (explained.masked, "masked")) if name in names
        ]
        lines.append(f"  {'every other' if name == EVERY_OUTDOOR else name}: {', '.join([SHARE_WORDS[word], *extras])}")
    types = "any incident" if explained.incident_types is None else ", ".join(explained.incident_types) or "no incident"
    lines += ["", f"With {', '.join(explained.agencies) or 'nobody'}, for {types}"]
    for key in explained.owner_copy:
        kind = "post-quantum" if is_post_quantum(key) else "classical"
        shown = key if len(key) <= KEY_CHARS_SHOWN else f"{key[:KEY_CHARS_SHOWN]}..."
        lines.append(f"You can open every clip for {kind} keys by {shown}")
    if explained.cosigner:
        lines.append(f"The audit log is cosigned for you by the key {explained.cosigner}")
    lines.append(f"At most {', '.join(f'{name} {value}' for name, value in explained.limits.items())}")
    return "\n".join(lines)


def _days(hours: tuple[Hour, ...], words: Callable[[Hour], str]) -> list[str]:
    named = by_days(hours, words)
    width = max(map(len, named), default=0)
    return [f"{days:{width}}  {text}" for days, text in named.items()]


def by_days(hours: tuple[Hour, ...], words: Callable[[Hour], str]) -> dict[str, str]:
    """Write each day's hours in words, once for all days on which they are the same."""
    by_day = {day: "; ".join(words(hour) for hour in hours if hour.day == day) for day in DAYS}
    found: dict[str, list[str]] = {}
    for day, text in by_day.items():
        found.setdefault(text.replace("00:00-24:00 ", ""), []).append(day)
    return {"every day" if len(days) == len(DAYS) else " ".join(days): text for text, days in found.items() if text}


def _hours(minutes: tuple[Mode, ...]) -> tuple[Hour, ...]:
    """Join the minutes of a week, from Monday 00:00, to stretches within each day."""
    found = []
    for number, day in enumerate(DAYS):
        of_day, start = minutes[number * DAY_MINUTES : (number + 1) * DAY_MINUTES], 0
        for minute in range(1, DAY_MINUTES + 1):
            if minute == DAY_MINUTES or of_day[minute] != of_day[start]:
                found.append(Hour(day, _clock(start), _clock(minute), of_day[start]))
                start = minute
    return tuple(found)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
