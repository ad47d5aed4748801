"""What a job on its way comes to: parts that a manifest has room for, and what is said of those that did not go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clip_job import JobPart, PartState
from agent.clips.errand import WHY_UNDELIVERED, fitting, nothing, outcome_of, told_of
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import ClipReport, Gap
from agent.cut.plan import PartSettings
from agent.evidence.statement import PARTS_MAX

DAY_S = 24 * 3600
CAMERA = CameraId("cam-1")


@given(st.integers(1, DAY_S), st.integers(1, 20), st.integers(0, 3 * 3600))
def test_a_running_window_of_a_day_has_no_more_parts_than_its_manifest_takes(
    window_s: int, part_s: int, longer_s: int
) -> None:
    """However short the operator wants them, and also if it is extended when it has nearly ended."""
    settings = PartSettings(live_ns=part_s * SECOND_NS)
    left_ns, made, longer_ns = window_s * SECOND_NS, 0, longer_s * SECOND_NS
    while left_ns > 0:
        now = fitting(settings, left_ns, made)
        assert settings.live_ns <= now.live_ns <= now.longest_ns
        left_ns, made = left_ns - min(left_ns, now.live_ns), made + 1
        if longer_ns and left_ns < 60 * SECOND_NS:
            left_ns, longer_ns = left_ns + longer_ns, 0
    assert made <= PARTS_MAX - 1


@pytest.mark.parametrize("window_s", [60, 1800, 2 * 3600])
def test_parts_of_an_ordinary_window_stay_as_short_as_they_are(window_s: int) -> None:
    """The first pictures are at the store after seconds."""
    settings = PartSettings()
    assert fitting(settings, window_s * SECOND_NS, 0) == settings


def part(number: int, start: int, end: int, state: PartState, report: ClipReport) -> JobPart:
    """Make a part."""
    return JobPart(
        job="c1",
        camera=CAMERA,
        number=number,
        is_manifest=False,
        start=WallTime(start),
        end=WallTime(end),
        state=state,
        size=9,
        sha256="",
        location="",
        receipt="",
        report=report,
    )


def test_what_did_not_go_is_a_gap_in_what_is_told() -> None:
    """A part that is not at the store, and what was never cut; a job that said nothing of a gap is complete."""
    whole = ClipReport(5, 5, 0, WallTime(0), WallTime(9))
    parts = [part(0, 0, 10, PartState.RECEIPTED, whole), part(1, 10, 20, PartState.SENT, whole)]
    told = told_of(parts, WallTime(30))
    assert [gap for each in told if each.report for gap in each.report.gaps] == [
        Gap(WallTime(10), WallTime(20), WHY_UNDELIVERED),
        Gap(WallTime(20), WallTime(30), WHY_UNDELIVERED),
    ]
    outcome = outcome_of(told)
    assert not outcome.is_complete
    assert [span.why for span in outcome.missing] == [WHY_UNDELIVERED] * 2
    assert outcome_of(told_of(parts[:1], WallTime(10))).is_complete
    lost = part(0, 0, 10, PartState.RECEIPTED, nothing(Window(WallTime(0), WallTime(10)), "lost"))
    assert outcome_of([lost]).gaps.startswith("0.000 s missing")
