"""The first page: how hub and cameras do, and what is shared at this very moment."""

from __future__ import annotations

import pytest

from agent.acquire.stream import CameraId
from agent.clock import parse_rfc3339
from agent.consent.policy import Policy
from agent.consent.schedule import Mode, ScheduleRule
from agent.health.vitals import HealthWarning
from agent.owner.overview import health_of, sharing_of
from agent.owner.words import Tone
from tests.simulators.vital_signs import DOOR, YARD, camera, hub

SUNDAY_NOON = parse_rfc3339("2026-11-29T11:00:00Z")


def policy(mode: Mode, *rules: ScheduleRule) -> Policy:
    """Write a policy."""
    return Policy(hub="h", version=3, iat=0, mode=mode, zone="Europe/Berlin", schedule=rules)


@pytest.mark.parametrize(
    ("mode", "can_pause", "can_resume"),
    [
        ("opt_in", True, False),
        ("ask_first", True, False),
        ("sharing_off", False, True),
        ("recording_off", False, False),
    ],
)
def test_there_is_one_way_out_of_each_mode(mode: Mode, *, can_pause: bool, can_resume: bool) -> None:
    """Sharing can be paused, a pause ended; recording is the app's to switch on again."""
    shown = sharing_of(policy(mode), SUNDAY_NOON, is_clock_trusted=True)
    assert (shown.can_pause, shown.can_resume, shown.version) == (can_pause, can_resume, 3)


def test_the_hours_of_the_policy_count() -> None:
    """What holds now is shown, and that it is by the hours; while the time is not known, the strictest."""
    closed = ScheduleRule(mode="sharing_off", days=("sun",), from_="10:00", to="14:00")
    shown = sharing_of(policy("opt_in", closed), SUNDAY_NOON, is_clock_trusted=True)
    assert shown.title == "Sharing is off"
    assert "by the hours" in shown.words
    assert shown.can_pause
    monday = parse_rfc3339("2026-11-30T11:00:00Z")
    assert sharing_of(policy("opt_in", closed), monday, is_clock_trusted=True).title == "Sharing is on"
    assert sharing_of(policy("opt_in", closed), monday, is_clock_trusted=False).title == "Sharing is off"


def test_without_a_policy_nothing_is_shared() -> None:
    """And the page says what to do."""
    shown = sharing_of(None, SUNDAY_NOON, is_clock_trusted=True)
    assert (shown.title, shown.can_pause, shown.can_resume) == ("Nothing is shared", False, False)
    assert "Sign a policy" in shown.words


def test_cameras_are_shown_with_their_warnings() -> None:
    """A warning has its cure; one of the hub itself is not a camera's."""
    warnings = (
        HealthWarning("no_video", "it sends no pictures", "look at its cable", DOOR),
        HealthWarning("disk", "the disk fails", "replace it"),
    )
    shown = health_of(hub(camera(DOOR, state="waiting", note="later"), camera(YARD), warnings=warnings))
    assert shown is not None
    assert [one.name for one in shown.cameras] == ["Door", "Yard"]
    assert [one.tone for one in shown.cameras] == [Tone.TROUBLE, Tone.KEPT]
    assert shown.cameras[0].warnings == warnings[:1]
    assert shown.cameras[0].note == ""
    assert shown.warnings == warnings[1:]
    assert shown.ring.startswith("15.0 of 16.0 GiB")


def test_what_is_off_on_purpose_is_no_trouble() -> None:
    """Nor is a hub that has just started."""
    shown = health_of(hub(camera(CameraId("a"), state="recording off"), camera(CameraId("b"), state="waiting")))
    assert shown is not None
    assert [one.tone for one in shown.cameras] == [Tone.PLAIN, Tone.TROUBLE]
    assert health_of(None) is None
