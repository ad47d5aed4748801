"""Jobs that a crash, a missing clock or a failing disk stops go on where they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState, PartState
from agent.clips.errand import WHY_UNDELIVERED
from agent.command.request import RefusalReason
from agent.errors import UnavailableError
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from tests.simulators.clips import window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, export_site, run
from tests.simulators.full_disk import full_disk
from tests.simulators.signing_store import contents_of
from tests.simulators.tus_server import Fault


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


def test_a_job_goes_on_after_a_restart_with_the_same_sealed_bytes(site: Site) -> None:
    """A part is sealed once: what was sent before the crash and what is sent after it are the same file."""
    site.store.faults.extend([Fault.ERROR_500] * 3)
    site.receipts.withheld = True
    sealed: dict[str, bytes] = {}

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        sealed.update({name: process.outbox.path(name).read_bytes() for name in process.outbox.names()})

    async def next_life(process: Process) -> None:
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert contents_of(site.store)["c1.cam-1.0000"][-1] == sealed["c1.cam-1.0000.mp4.age"]
    assert len(site.audited("sealed")) == 1
    assert [line["detail"]["state"] for line in site.audited("resumed")] == ["IN_PROGRESS"]


def test_a_job_whose_first_step_was_never_taken_is_found_after_a_restart(site: Site) -> None:
    """The power goes right after the acknowledgement: the command is not lost, even if it has expired meanwhile."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))

    async def next_life(process: Process) -> None:
        site.clock.go_on(3600)
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_a_restarted_job_waits_for_the_clock(site: Site) -> None:
    """Without a known time a resumed job does nothing; as soon as there is one, it goes on."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))

    async def next_life(process: Process) -> None:
        site.clock.trusted = False
        process.exporter.resume()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not site.audited("job")
        site.clock.trusted = True
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_a_command_that_could_not_be_written_down_starts_when_it_comes_again(site: Site) -> None:
    """The disk is full: the message stays with the broker, nothing is half done, and the next try is as the first."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        with full_disk(), pytest.raises(UnavailableError):
            process.exporter.take(envelope)
        assert not process.statuses()
        process.exporter.take(envelope)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        assert len(site.audited("command")) == 1

    run(site, life)


def test_a_command_that_could_not_be_stored_starts_when_it_comes_again(site: Site) -> None:
    """The journal alone is full: the log names the command once more, and the job runs once."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        journal = process.journal._connection
        pages = journal.execute("PRAGMA page_count").fetchone()[0]
        journal.execute(f"PRAGMA max_page_count={pages}").close()
        with pytest.raises(UnavailableError, match="full"):
            process.exporter.take(envelope)
        journal.execute("PRAGMA max_page_count=100000").close()
        process.exporter.take(envelope)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert [len(held) for held in contents_of(site.store).values()] == [1, 1]


def test_a_disk_that_fails_in_the_middle_stops_the_job_for_a_while_only(site: Site) -> None:
    """The job meets the full disk after it was taken; it goes on after a restart, and nothing else has ended."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        with full_disk():
            for _ in range(20):
                await asyncio.sleep(0)
        assert (job := process.journal.job("c1")) is not None
        assert job.state in {JobState.RECEIVED, JobState.IN_PROGRESS}

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_what_a_crash_left_in_the_outbox_is_removed_at_the_next_start(site: Site) -> None:
    """A sealed file whose job has ended takes no room for ever."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until_ended("c1")
        process.outbox.write("c1.cam-1.0000.mp4.age", lambda append: append(b"sealed"))

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert not process.outbox.names()

    run(site, life, next_life)


def test_what_went_before_a_crash_is_told_when_the_owner_has_paused_since(tmp_path: Path) -> None:
    """One part is at the store, one is on its way: nothing more goes but the manifest of the first, with a gap."""
    with export_site(tmp_path, past_s=0.8) as site:
        site.receipts.withheld_of = "0001"

        async def life(process: Process) -> None:
            process.exporter.take(site.command("c1", window_of(0.5, 1.5)))
            await process.until(lambda: PartState.RECEIPTED in {part.state for part in process.journal.parts("c1")})

        async def next_life(process: Process) -> None:
            site.allow(mode="sharing_off")
            process.exporter.resume()
            end = await process.until_ended("c1")
            assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)

        run(site, life, next_life)
        (envelope,) = contents_of(site.store)["c1.cam-1.manifest"]
        manifest = open_manifest(envelope, verifier_of(HUB, EVIDENCE_KEY))
        assert [part.name for part in manifest.parts] == ["c1.cam-1.0000.mp4.age"]
        assert [gap.why for gap in manifest.gaps] == [WHY_UNDELIVERED]


def test_what_cannot_be_removed_from_the_outbox_holds_up_no_start(site: Site) -> None:
    """A disk that fails there is met by the jobs, one by one; the hub starts, and takes commands."""

    async def life(process: Process) -> None:
        process.outbox.path("old.mp4.age").mkdir()
        process.exporter.resume()
        process.exporter.take(site.command("c1"))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
