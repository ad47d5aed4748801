"""The table of a job's life: whatever happens, it comes to an end, and an end is an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.acquire.stream import CameraId
from agent.clip_job import (
    OPEN_STATES,
    ORDER_TRANSITIONS,
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
TABLES = {**TRANSITIONS, "clip.cancel": ORDER_TRANSITIONS}
FRONT, BACK = CameraId("front"), CameraId("back")


def part(camera: CameraId, number: int, state: PartState, *, is_manifest: bool = False) -> JobPart:
    """Make a part of ten pictures in second `number`."""
    start, end = WallTime(number * SECOND_NS), WallTime((number + 1) * SECOND_NS)
    report = None if is_manifest else ClipReport(10, 10, 0, start, end)
    return JobPart("c1", camera, number, is_manifest, start, end, state, 9, "ff", "", "", report)


@pytest.mark.parametrize("action", sorted(TABLES))
def test_every_open_state_reaches_an_end(action: str) -> None:
    """From each state that a job can be in some chain of events leads to an end."""
    table = TABLES[action]
    for state in {origin for origin, _ in table}:
        reached, growing = {state}, True
        while growing:
            new = {to for (origin, _), to in table.items() if origin in reached} - reached
            reached |= new
            growing = bool(new)
        assert reached & ENDS
    entered = {JobState.RECEIVED, *table.values()}
    assert {origin for origin, _ in table} == entered - ENDS  # nobody gets stuck, and no state is out of reach


@pytest.mark.parametrize("action", sorted(TABLES))
def test_no_transition_leaves_an_end(action: str) -> None:
    """An end is final: no event is known there, and asking for one is a bug of ours."""
    ends = {JobState.SUCCEEDED, JobState.PARTIAL, JobState.REJECTED, JobState.FAILED}
    assert ends | {JobState.CANCELED, JobState.TIMED_OUT} == ENDS
    for state in ENDS:
        for event in JobEvent:
            with pytest.raises(KeyError):
                after(action, state, event)


def test_no_chain_of_events_goes_in_circles() -> None:
    """A job cannot live for ever: no state can follow itself."""
    order = [JobState.RECEIVED, JobState.AWAITING_OWNER, JobState.HELD, JobState.IN_PROGRESS]
    for table in TABLES.values():
        for (origin, _), to in table.items():
            assert to in ENDS or order.index(to) > order.index(origin)


def test_every_state_and_event_is_used() -> None:
    """There is no word in the protocol that the hub can never say."""
    moves = [(event, to) for table in TABLES.values() for (_, event), to in table.items()]
    assert {JobState.RECEIVED, *(to for _, to in moves)} == set(JobState)
    assert {event for event, _ in moves} == set(JobEvent)


def test_nothing_is_delivered_without_a_yes() -> None:
    """Only the policy's yes and the owner's lead an upload into IN_PROGRESS; only from there is anything delivered."""
    uploads = TRANSITIONS["clip.upload"]
    into = {event for (_, event), to in uploads.items() if to is JobState.IN_PROGRESS}
    assert into == {JobEvent.GRANTED, JobEvent.OWNER_SAID_YES}
    out = {origin for (origin, _), to in uploads.items() if to in {JobState.SUCCEEDED, JobState.PARTIAL}}
    assert out == {JobState.IN_PROGRESS}
    delivering = {JobEvent.DELIVERED, JobEvent.DELIVERED_WITH_GAPS}
    assert not delivering & {event for table in (TRANSITIONS["clip.hold"], ORDER_TRANSITIONS) for _, event in table}


def test_an_action_without_a_table_of_its_own_is_an_order() -> None:
    """What an order may do is the same for all of them, and an upload's events are none of it."""
    assert after("config.set", JobState.RECEIVED, JobEvent.DONE) is JobState.SUCCEEDED
    with pytest.raises(KeyError):
        after("config.set", JobState.RECEIVED, JobEvent.GRANTED)


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


def test_what_is_delivered_until_a_time_has_no_hole() -> None:
    """The newest part may be there first: it counts, but nobody is told that all before it is there."""
    parts = [
        part(FRONT, 0, PartState.RECEIPTED),
        part(FRONT, 1, PartState.CREATED),
        part(FRONT, 2, PartState.RECEIPTED),
    ]
    assert progress_of(parts) == (CameraProgress(FRONT, 2, 20, "1970-01-01T00:00:01.000Z"),)
    parts = [part(FRONT, 0, PartState.SEALED), part(FRONT, 1, PartState.RECEIPTED)]
    assert progress_of(parts) == (CameraProgress(FRONT, 1, 10, ""),)


def test_a_part_that_is_a_gap_is_not_told_as_one_at_the_store() -> None:
    """Footage that was missing, or withheld: nothing more comes of that time, and nobody is told of a part of it."""
    nothing = ClipReport(0, 0, 0, None, None)
    gap = replace(part(FRONT, 1, PartState.RECEIPTED), size=0, report=nothing)
    parts = [part(FRONT, 0, PartState.RECEIPTED), gap, part(FRONT, 2, PartState.SENT)]
    assert progress_of(parts) == (CameraProgress(FRONT, 1, 10, "1970-01-01T00:00:02.000Z"),)
    assert progress_of([gap]) == ()


def test_names_at_the_store_tell_parts_and_manifest_apart() -> None:
    """A part has four digits, the manifest its word."""
    assert part(FRONT, 7, PartState.SEALED).id == "c1.front.0007"
    assert part(FRONT, 7, PartState.SEALED, is_manifest=True).id == "c1.front.manifest"
