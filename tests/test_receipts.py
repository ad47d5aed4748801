"""A part is done with its receipt and not before: stores that are late with it, forget it, or answer another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobPart, JobState, PartState
from agent.clips.courier import RECEIPTS_MISSED_MAX, outbox_name
from agent.clips.holding import hold_name
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.signing_store import contents_of


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site."""
    with export_site(tmp_path) as made:
        yield made


def clip(process: Process) -> JobPart | None:
    """Return the clip's only part, as the journal has it."""
    return next(iter(process.journal.parts("c1")), None)


def is_sent(process: Process) -> bool:
    """Say whether the store has all its bytes."""
    part = clip(process)
    return part is not None and part.state is PartState.SENT


@pytest.mark.parametrize("status", [404, 202, 503])
def test_a_receipt_that_is_late_is_asked_for_again(site: Site, status: int) -> None:
    """Whatever the store says meanwhile; not a byte is sent again, and the job is not done before."""
    site.store.no_receipt, site.receipts.late = status, 3

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: is_sent(process))
        part = clip(process)
        assert part is not None
        assert process.outbox.path(outbox_name(part)).exists()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        assert not process.outbox.names()

    run(site, life)
    assert site.receipts.asked.count("c1.cam-1.0000") == 4
    assert {name: len(held) for name, held in contents_of(site.store).items()} == {
        "c1.cam-1.0000": 1,
        "c1.cam-1.manifest": 1,
    }


def test_a_receipt_of_another_part_is_no_receipt(site: Site) -> None:
    """Nothing is sent again for it: the store's bytes are not in question."""
    site.receipts.mistaken = 2

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        part = clip(process)
        assert part is not None
        assert part.receipt.encode() == site.receipts.get("c1.cam-1.0000")

    run(site, life)
    assert len(contents_of(site.store)["c1.cam-1.0000"]) == 1
    assert [line["detail"]["part"] for line in site.audited("receipt")] == ["c1.cam-1.0000", "c1.cam-1.manifest"]


def test_a_store_that_forgets_a_part_is_sent_it_again(site: Site) -> None:
    """Before its receipt it is the hub's: after some tries the store is asked what it has, and that is nothing."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: is_sent(process))
        site.store.uploads[0].clear()  # its disk was restored from yesterday's copy
        site.receipts.withheld = False
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert site.receipts.asked.count("c1.cam-1.0000") >= RECEIPTS_MISSED_MAX
    assert site.delivered() == {"c1.cam-1.0000": list(range(13, 48))}


def test_footage_that_is_held_is_let_go_with_the_receipts_only(site: Site) -> None:
    """All that time it can be cut again, also after a restart."""
    site.receipts.withheld = True
    name = hold_name("c1")

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: is_sent(process))
        job = process.journal.job("c1")
        assert job is not None
        await process.exporter._granting.pin(job)
        asked = len(site.receipts.asked)
        await process.until(lambda: len(site.receipts.asked) >= asked + 2)
        assert [hold.name for hold in process.holds.held()] == [name]

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        await process.until(lambda: site.receipts.asked[-1:] == ["c1.cam-1.0000"])
        assert [hold.name for hold in process.holds.held()] == [name]
        assert is_sent(process)
        site.receipts.withheld = False
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        await process.until(lambda: not process.holds.held())

    run(site, life, next_life)


def test_a_job_without_its_last_receipt_is_not_done(site: Site) -> None:
    """The manifest's counts like the parts'."""
    site.receipts.withheld_of = "manifest"

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.receipts.asked.count("c1.cam-1.manifest") >= 2)
        states = [part.state for part in process.journal.parts("c1")]
        assert states == [PartState.RECEIPTED, PartState.SENT]
        job = process.journal.job("c1")
        assert job is not None
        assert job.state is JobState.IN_PROGRESS
        site.receipts.withheld_of = ""
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
