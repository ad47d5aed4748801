"""The owner's policy in words, as sections of a page; by the functions that decide, like `transom policy explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.consent.explain import MODE_WORDS, SHARE_WORDS, Explained, by_days, explain
from agent.consent.policy import EVERY_OUTDOOR, Policy
from agent.owner.words import camera_words, length

LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "window_s_max": "The longest clip",
        "before_s_max": "How long before the report of the incident it may begin",
        "after_s_max": "How long after the report it may end",
        "age_s_max": "How old footage may be",
        "ahead_s_max": "How far ahead a clip may run",
        "uploads_per_day_max": "Clips in 24 hours",
        "answer_s_max": "Your time to answer; then silence is a no",
    }
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and lines of two columns; the first may be empty."""

    title: str
    lines: tuple[tuple[str, str], ...]


def policy_sections(policy: Policy, now: WallTime, names: Mapping[CameraId, str]) -> list[Section]:
    """Explain a policy."""
    told = explain(policy, now)
    hours = by_days(told.week, lambda hour: f"{hour.start} to {hour.to}: {MODE_WORDS[hour.mode]}")
    quiet = by_days(told.quiet, lambda hour: f"{hour.start} to {hour.to}")
    found = [Section(f"When (times of {told.zone})", tuple(hours.items()))]
    if quiet:
        found.append(Section("No question is brought to you", tuple(quiet.items())))
    found.append(Section("Which cameras", tuple(_cameras(told, names))))
    types = "any incident" if told.incident_types is None else ", ".join(told.incident_types) or "no incident"
    found.append(Section("With whom, and for what", (("", ", ".join(told.agencies) or "nobody"), ("", types))))
    if told.owner_copy or told.cosigner:
        lines = [("You can open every clip by", key) for key in told.owner_copy]
        lines += [("The log is cosigned for you by", told.cosigner)] if told.cosigner else []
        found.append(Section("Keys of yours", tuple(lines)))
    found.append(Section("At most", tuple((LIMITS.get(name, name), _limit(name, told)) for name in told.limits)))
    return found


def _cameras(told: Explained, names: Mapping[CameraId, str]) -> list[tuple[str, str]]:
    lines = []
    for name, word in told.cameras.items():
        extras = ["with sound"] if name in told.sound else []
        extras += ["parts of the picture painted over"] if name in told.masked else []
        words = "Every other camera" if name == EVERY_OUTDOOR else camera_words(name, names)
        lines.append((words, ", ".join([SHARE_WORDS[word], *extras])))
    return lines


def _limit(name: str, told: Explained) -> str:
    value = told.limits[name]
    return length(value) if name.endswith("_s_max") else str(value)
