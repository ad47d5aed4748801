"""What was sealed goes, or is a gap for good; the manifest says which."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import PartState
from tests.simulators.clip_work import LEFT, PART_S, Work, manifest_at, sides_masked
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.simulators.tus_server import Fault


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of one picture group."""
    with export_site(tmp_path, past_s=PART_S) as made:
        yield made


def test_when_consent_ends_the_manifest_says_what_went(site: Site) -> None:
    """The parts that went are told with their receipts; the rest of the window is a gap; no part follows."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: any(part.state is PartState.RECEIPTED for part in work.parts()))
        task.cancel()

    async def next_life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        await work.deliver(allowed=0)
        assert work.parts()[-1].is_manifest
        process.clips.discard("c1")
        assert not process.outbox.names()
        sent = list(site.store.seen)
        await work.deliver()  # a manifest is the end: what it does not name does not follow it
        assert site.store.seen == sent

    run(site, life, next_life)
    manifest = manifest_at(site)
    went = sum(len(numbers) for name, numbers in site.delivered().items() if f"{name}.mp4.age" in str(manifest.parts))
    assert manifest.parts
    assert sum(part.pictures for part in manifest.parts) == went
    assert manifest.gaps or went == 65


def test_a_part_that_shows_what_is_masked_since_does_not_go(site: Site) -> None:
    """Cut before the owner masked more, it waits for the store: it becomes a gap, for good."""
    site.store.faults.extend([Fault.ERROR_500] * 3)

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(work.parts)
        site.allow(masks={CAMERA: [LEFT]})
        outcome = await task
        assert not outcome.is_complete
        site.allow()
        await work.deliver()

    run(site, life)
    assert all(left for left, _ in sides_masked(site))
    assert any("masked more" in gap.why for gap in manifest_at(site).gaps)
    assert site.audited("withheld")


def test_a_mask_that_was_only_drawn_otherwise_holds_nothing_up(site: Site) -> None:
    """What counts is what is covered: a sealed part goes if it hides as much as the policy of now asks."""
    site.allow(masks={CAMERA: [LEFT]})

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(work.parts)
        site.allow(masks={CAMERA: [[*LEFT[1:], LEFT[0]]]})
        assert (await task).is_complete

    run(site, life)
    assert sides_masked(site) == {(True, False)}


def test_what_was_withheld_is_a_gap_for_good(site: Site) -> None:
    """The power goes after a part was withheld and its file is gone, and the owner allows it again: it is a gap."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: work.parts() and work.parts()[0].state is PartState.SENT)
        task.cancel()

    async def next_life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        await work.deliver(allowed=0)
        assert not process.outbox.names()

    async def last_life(process: Process) -> None:
        site.receipts.withheld = False
        work = Work(site, process, window_of(0.5, 1.3))
        assert not (await work.deliver()).is_complete
        assert [part.state for part in work.parts()] == [PartState.RECEIPTED] * len(work.parts())

    run(site, life, next_life, last_life)
    withheld = [line["detail"]["part"] for line in site.audited("withheld")]
    manifest = manifest_at(site)
    assert withheld
    assert not {f"{part}.mp4.age" for part in withheld} & {part.name for part in manifest.parts}
    assert any("consent had ended" in gap.why for gap in manifest.gaps)
