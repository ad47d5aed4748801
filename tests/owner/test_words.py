"""What the owner reads: every word of the code has its own, and times are of the owner's zone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.command.request import RefusalReason
from agent.command.roles import ROLE_ACTIONS
from agent.owner.words import ACTIONS, REASONS, Times, Tone, because, camera_words, length, state_words


def test_every_action_and_state_has_words() -> None:
    """Nothing that can be asked for, and no state, is shown by the code's word."""
    actions = {action for allowed in ROLE_ACTIONS.values() for action in allowed} - {"hub.ping"}
    assert actions <= set(ACTIONS)
    for action in actions:
        for state in JobState:
            words, tone = state_words(action, state)
            assert words
            assert tone in Tone


def test_only_an_upload_is_sent() -> None:
    """A hold or an order that has succeeded has sent nothing, and does not say so."""
    assert state_words("clip.upload", JobState.SUCCEEDED) == ("Sent", Tone.LEFT)
    assert state_words("clip.hold", JobState.SUCCEEDED) == ("Done", Tone.PLAIN)


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_reason_can_be_read(reason: RefusalReason) -> None:
    """In the owner's words, or at least as words."""
    assert "_" not in because(reason)
    assert because(reason) == REASONS.get(reason, because(reason))


def test_a_reason_of_another_version_is_shown_as_it_is() -> None:
    """An older page does not fail over a newer log."""
    assert because("no_such_reason") == "no such reason"
    assert because("") == because(None) == ""


def test_times_are_of_the_owners_zone() -> None:
    """Summer and winter, and UTC where the zone is not known; a span tells the day once."""
    winter, summer = parse_rfc3339("2026-01-05T23:30:00Z"), parse_rfc3339("2026-07-05T22:30:00Z")
    berlin = Times("Europe/Berlin")
    assert berlin.when(winter) == "Tue 6 Jan 2026, 00:30:00"
    assert berlin.when(summer) == "Mon 6 Jul 2026, 00:30:00"
    assert (Times(None).zone, Times("No/Where").zone) == ("UTC", "UTC")
    assert Times(None).when(winter) == "Mon 5 Jan 2026, 23:30:00"
    end = WallTime(winter + 90 * SECOND_NS)
    assert berlin.span(winter, end) == "Tue 6 Jan 2026, 00:30:00 to 00:31:30 (90 s)"
    assert Times(None).span(winter, WallTime(winter + 3600 * SECOND_NS)).endswith("to Tue 6 Jan, 00:30:00 (60 minutes)")
    assert berlin.when_text("yesterday") == "yesterday"


@given(st.floats(0, 10**8))
def test_lengths_are_short(seconds: float) -> None:
    """However long something is, it is a number and a unit."""
    number, unit = length(seconds).split(" ")
    assert float(number) >= 0
    assert unit in {"s", "minutes", "hours", "days"}


def test_a_camera_has_its_own_name_and_the_hubs() -> None:
    """Its own alone would not be enough: two cameras may have the same."""
    assert camera_words("cam-1", {CameraId("cam-1"): "Door"}) == "Door (cam-1)"
    assert camera_words("cam-1", {}) == "cam-1"


def test_an_hour_that_comes_twice_says_which_it_is() -> None:
    """On the night on which clocks are put back, ten past two summer time is not ten past two winter time."""
    times = Times("Europe/Berlin")
    first = parse_rfc3339("2026-10-25T00:50:00Z")
    later = WallTime(first + 20 * 60 * SECOND_NS)
    assert times.span(first, later) == "Sun 25 Oct 2026, 02:50:00 CEST to 02:10:00 CET (20 minutes)"
    assert times.when(WallTime(first + 3600 * SECOND_NS)) == "Sun 25 Oct 2026, 02:50:00 CET"
    assert times.when(WallTime(first + 2 * 3600 * SECOND_NS)) == "Sun 25 Oct 2026, 03:50:00"


def test_no_interval_looks_shorter_than_it_is() -> None:
    """Parts of a second at its end are written as a whole one."""
    start = parse_rfc3339("2026-11-22T13:50:00.900Z")
    end = parse_rfc3339("2026-11-22T13:50:59.1Z")
    assert Times(None).span(start, end) == "Sun 22 Nov 2026, 13:50:00 to 13:51:00 (58.2 s)"
