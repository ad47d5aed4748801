"""Footage that nobody can date does not leave the hub, and a clip says so; what is dated has its whole bound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.clock_eras import ClockEra, encode_eras
from agent.clip_job import JobState
from agent.clips.dated_footage import DatedFootage
from agent.clock import TimeSource
from agent.cut.plan import WHY_UNDATED
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.ports import Document
from agent.trust.clock_past import ClockPast
from tests.simulators.clips import window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, export_site
from tests.simulators.h264_source import CAMERA
from tests.simulators.signing_store import contents_of

MS = 1_000_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site."""
    with export_site(tmp_path) as made:
        yield made


def delivered(site: Site, error_ns: int) -> tuple[JobState, str]:
    """Let an officer have a clip of a run with this bound; return how the job ended, and its first gap's why."""

    async def life() -> tuple[JobState, str]:
        async with site.running() as process:
            dated(process, error_ns)
            process.exporter.take(site.command("c1"))
            end = await process.until_ended("c1")
            return end.status, end.gaps[0].why if end.gaps else ""

    return asyncio.run(life())


def dated(process: Process, error_ns: int) -> DatedFootage:
    """Let the process cut from footage whose hub's clock was off by so much."""
    run = process.ring.last_run
    eras = (ClockEra(run, TimeSource.NONE, error_ns), ClockEra(run + 1, TimeSource.NETWORK))
    process.journal.put_document("clock past", Document(1, encode_eras(eras)))
    footage = DatedFootage(process.footage.source, ClockPast(process.journal, process.site.clock, lambda: ()))
    process.footage.source = footage
    return footage


def test_a_bound_of_the_hubs_clock_is_in_the_manifest(site: Site) -> None:
    """It is added to that of the camera's times; the pictures are those of the window by the times they have."""
    assert delivered(site, 700 * MS)[0] is JobState.SUCCEEDED
    (envelope,) = [held[-1] for name, held in contents_of(site.store).items() if name.endswith("manifest")]
    stated = open_manifest(envelope, verifier_of(HUB, EVIDENCE_KEY))
    assert 700 * MS < stated.clock.error_ns < 1200 * MS
    assert site.delivered() == {"c1.cam-1.0000": list(range(13, 48))}


def test_what_nobody_can_date_stays_and_the_clip_says_why(site: Site) -> None:
    """No picture of it leaves, whatever its times say."""
    assert delivered(site, -1) == (JobState.PARTIAL, WHY_UNDATED)
    assert site.delivered() == {}


def test_without_anything_noted_footage_is_as_it_was(site: Site) -> None:
    """A ring from before this was kept."""

    async def life() -> None:
        async with site.running() as process:
            plain = process.footage.source
            past = ClockPast(process.journal, site.clock, lambda: ())
            window = window_of(0.5, 1.9)
            assert DatedFootage(plain, past).footage(CAMERA, window) == plain.footage(CAMERA, window)

    asyncio.run(life())


def test_where_it_was_left_out_is_told_within_the_window(site: Site) -> None:
    """By the times that the pictures have; the newest picture of the camera is still known."""

    async def life() -> None:
        async with site.running() as process:
            window, plain = window_of(0.5, 1.9), process.footage.source
            all_of_it = plain.footage(CAMERA, window)
            left = dated(process, -1).footage(CAMERA, window)
            assert (left.chunks, left.headers) == ((), ())
            assert left.newest_picture == all_of_it.newest_picture
            assert left.left_out == ((window, WHY_UNDATED),)
            assert replace(left, chunks=all_of_it.chunks, headers=all_of_it.headers, left_out=()) == all_of_it

    asyncio.run(life())
