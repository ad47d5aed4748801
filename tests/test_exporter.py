"""Story two from the message to the end of the job, on a real disk, with a real store and real cuts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from tests.simulators.clips import pictures_of, window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.signing_store import contents_of
from tests.vectors.command.scene import AUDIENCE, AUTHORITY

PICTURES = list(range(13, 48))  # of the window 0.5 s to 1.9 s
QUESTIONS = 6  # of the store, more than one that was under way


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


def states(process: Process, command: str) -> list[JobState]:
    """Return the states that were told, without repetitions."""
    told = [status.status for status in process.statuses(command)]
    return [state for place, state in enumerate(told) if place == 0 or told[place - 1] is not state]


def test_a_good_command_becomes_a_clip_at_the_store(site: Site) -> None:
    """Exactly the pictures of the window arrive, sealed; each step is told and written down; nothing is left behind."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        end = await process.until_ended("c1")
        assert end.status is JobState.SUCCEEDED
        assert (end.cameras[0].parts, end.cameras[0].pictures) == (1, 35)
        assert states(process, "c1") == [JobState.RECEIVED, JobState.IN_PROGRESS, JobState.SUCCEEDED]
        assert not process.outbox.names()

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}
    assert "c1.cam-1.manifest" in contents_of(site.store)
    assert [line["kind"] for line in site.audit_lines()] == ["command", "job", "sealed", "receipt", "receipt", "job"]


def test_the_job_is_stored_and_written_down_before_the_message_may_be_acknowledged(site: Site) -> None:
    """When `take` returns, another process that opens the files sees the job and its audit entry."""

    async def life(process: Process) -> None:
        envelope = site.command("c1")
        process.exporter.take(envelope)
        with sqlite3.connect(site.folder / "journal.db") as other:
            rows = other.execute("SELECT id, state, envelope FROM job").fetchall()
            told = other.execute("SELECT payload FROM outgoing").fetchall()
        other.close()
        assert rows == [("c1", "RECEIVED", envelope)]
        assert b'"RECEIVED"' in told[0][0]
        (entry,) = site.audited("command")
        assert entry["detail"]["sha256"] == sha256_hex(command_of(envelope).encode())
        assert not site.audited("job")  # nothing has been decided, let alone done
        assert not site.store.seen

    run(site, life)


def test_a_ping_is_answered_and_makes_no_job(site: Site) -> None:
    """Somebody asks whether the hub is there."""

    async def life(process: Process) -> None:
        process.exporter.take(AUTHORITY.ping(site.clock.now(), AUDIENCE, "p1"))
        (answer,) = process.statuses("p1")
        assert answer.status is JobState.SUCCEEDED
        assert process.journal.job("p1") is None

    run(site, life)


def test_footage_that_is_not_there_is_told_as_a_gap(site: Site) -> None:
    """The window begins before the recording: what there is arrives, and the end says how much is missing."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", window_of(-2, 1)))
        end = await process.until_ended("c1")
        assert end.status is JobState.PARTIAL
        assert "2.000 s missing" in end.detail

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": list(range(25))}


def test_the_owners_masks_reach_the_clip_even_after_a_crash_and_a_looser_policy(site: Site) -> None:
    """What was masked when it was granted is in the journal with the grant, and stays masked."""
    lower_half = ((0, 4000), (10_000, 4000), (10_000, 10_000), (0, 10_000))
    site.allow(masks={"cam-1": [lower_half]})

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: (job := process.journal.job("c1")) and job.state is JobState.IN_PROGRESS)

    async def next_life(process: Process) -> None:
        assert (job := process.journal.job("c1")) is not None
        assert job.masks == {"cam-1": (lower_half,)}
        site.allow()
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    delivered = site.delivered()
    assert delivered == {"c1.cam-1.0000": PICTURES[:12], "c1.cam-1.0001": PICTURES[12:]}  # the first ones leave early
    for part in delivered:
        for picture in pictures_of(site.clips()[part]).values():
            assert picture[48:].std() < 1
            assert picture[:32].std() > 20


def test_a_pause_stops_a_running_job(site: Site) -> None:
    """The owner's no counts at once, not after the upload."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        site.allow(mode="sharing_off")
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)

    run(site, life)


def test_a_clock_that_is_set_back_and_right_again_ends_no_job(site: Site) -> None:
    """By the wrong time the trust bundle is not in date yet, but nobody has taken back anything."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        right = site.clock.now()
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        site.clock.set_to(WallTime(right - 24 * 3600 * SECOND_NS))
        asked = len(site.store.seen)
        await process.until(lambda: len(site.store.seen) > asked + QUESTIONS)
        site.clock.set_to(right)
        site.receipts.withheld = False
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.SUCCEEDED, None)

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}


def test_a_store_that_takes_nothing_ends_the_job_as_timed_out(site: Site) -> None:
    """After the time we try, somebody is told."""
    site.give_up_h = 0.3 / 3600
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        end = await process.until_ended("c1")
        assert end.status is JobState.TIMED_OUT
        assert "no receipt" in end.detail

    run(site, life)
