"""The table of a job's life: whatever happens, it comes to an end, and an end is an end."""

from __future__ import annotations

import pytest

from agent.acquire.stream import CameraId
from agent.clip_job import (
    OPEN_STATES,
    TRANSITIONS,
    CameraProgress,
    JobEvent,
    JobPart,
    JobState,
    PartState,
    after,
    progress_of,
)
from agent.clock import SECOND_NS, WallTime
from agent.cut.clip import ClipReport

ENDS = frozenset(JobState) - OPEN_STATES
FRONT, BACK = CameraId("front"), CameraId("back")


def part(camera: CameraId, number: int, state: PartState, *, is_manifest: bool = False) -> JobPart:
    """Make a part of ten pictures in second `number`."""
    start, end = WallTime(number * SECOND_NS), WallTime((number + 1) * SECOND_NS)
    report = None if is_manifest else ClipReport(10, 10, 0, start, end)
    return JobPart("c1", camera, number, is_manifest, start, end, state, 9, "ff", "", "", report)


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_every_open_state_reaches_an_end(state: JobState) -> None:
    """From each open state some chain of events leads to an end, and every single event leads somewhere."""
    reached, growing = {state}, True
    while growing:
        new = {to for (origin, _), to in TRANSITIONS.items() if origin in reached} - reached
        reached |= new
        growing = bool(new)
    assert reached & ENDS


def test_no_transition_leaves_an_end() -> None:
    """An end is final: no event is known there, and asking for one is a bug of ours."""
    assert {JobState.SUCCEEDED, JobState.PARTIAL, JobState.REJECTED, JobState.FAILED, JobState.CANCELED} == ENDS
    for state in ENDS:
        for event in JobEvent:
            with pytest.raises(KeyError):
                after(state, event)


def test_no_chain_of_events_goes_in_circles() -> None:
    """A job cannot live for ever: no state can follow itself."""
    order = [JobState.RECEIVED, JobState.AWAITING_OWNER, JobState.IN_PROGRESS]
    for (origin, _), to in TRANSITIONS.items():
        assert to in ENDS or order.index(to) > order.index(origin)


def test_every_state_and_event_is_used() -> None:
    """There is no word in the protocol that the hub can never say."""
    assert {JobState.RECEIVED, *TRANSITIONS.values()} == set(JobState)
    assert {event for _, event in TRANSITIONS} == set(JobEvent)


def test_nothing_is_delivered_without_a_yes() -> None:
    """Only the policy's yes and the owner's lead into IN_PROGRESS, and only from there is anything delivered."""
    into = {event for (_, event), to in TRANSITIONS.items() if to is JobState.IN_PROGRESS}
    assert into == {JobEvent.GRANTED, JobEvent.OWNER_SAID_YES}
    out = {origin for (origin, _), to in TRANSITIONS.items() if to in {JobState.SUCCEEDED, JobState.PARTIAL}}
    assert out == {JobState.IN_PROGRESS}


def test_progress_counts_what_has_a_receipt() -> None:
    """Parts on their way and manifests are not progress; each camera has its own line."""
    parts = [
        part(FRONT, 0, PartState.RECEIPTED),
        part(FRONT, 1, PartState.RECEIPTED),
        part(FRONT, 2, PartState.SENT),
        part(FRONT, 3, PartState.RECEIPTED, is_manifest=True),
        part(BACK, 0, PartState.RECEIPTED),
        part(BACK, 1, PartState.SEALED),
    ]
    assert progress_of(parts) == (
        CameraProgress(FRONT, 2, 20, "1970-01-01T00:00:02.000Z"),
        CameraProgress(BACK, 1, 10, "1970-01-01T00:00:01.000Z"),
    )
    assert progress_of([]) == ()


def test_names_at_the_store_tell_parts_and_manifest_apart() -> None:
    """A part has four digits, the manifest its word."""
    assert part(FRONT, 7, PartState.SEALED).id == "c1.front.0007"
    assert part(FRONT, 7, PartState.SEALED, is_manifest=True).id == "c1.front.manifest"
