"""An upload is decided once, as of its receipt, and what was granted is stored whole before anything leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.clip_job import Job, JobState
from agent.command.request import RefusalReason
from agent.command.trust import TrustBundle
from agent.consent.decide import OPT_IN, OWNER_SAID_YES
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.vectors.command.scene import OWNER

WINDOW = window_of(0.5, 1.9)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera, and whose store gives no receipts."""
    with export_site(tmp_path) as made:
        made.receipts.withheld = True
        yield made


def job_of(process: Process, command: str = "c1") -> Job:
    """Return a job as it is on the disk."""
    job = process.journal.job(command)
    assert job is not None
    return job


async def begun(process: Process, command: str = "c1") -> None:
    """Wait until a job sends."""
    await process.until(lambda: command in process.exporter._errands)


def yes(site: Site, envelope: bytes) -> str:
    """Sign the owner's yes."""
    return OWNER.answer(site.clock.now(), sha256_hex(command_of(envelope).encode()), "yes")


def test_what_was_granted_is_stored_whole(site: Site) -> None:
    """Cameras, window, the policy that gave it, and the trust by which its command was believed."""
    policy = site.standing.policy
    assert policy is not None

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", WINDOW))
        await begun(process)
        job = job_of(process)
        assert (job.cameras, job.window) == ((CAMERA,), WINDOW)
        assert job.policy == (policy.version, site.standing.policy_sha256)
        assert msgspec.json.decode(job.trust, type=TrustBundle) == site.standing.trust

    run(site, life)


@pytest.mark.parametrize(("mode", "word"), [("opt_in", OPT_IN), ("ask_first", OWNER_SAID_YES)])
def test_a_restart_takes_up_the_grant_as_it_was(site: Site, mode: str, word: str) -> None:
    """Also under a newer policy; whether it was the owner who said yes is what their signed answer says."""
    site.allow(mode=mode)
    envelope = site.command("c1", WINDOW)
    granted = []

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        if mode == "ask_first":
            await process.until(lambda: job_of(process).state is JobState.AWAITING_OWNER)
            process.exporter.answer(yes(site, envelope))
        await begun(process)
        granted.append(process.exporter._errands["c1"].grant)
        await process.until(lambda: site.audited("sealed"))

    async def next_life(process: Process) -> None:
        site.allow(mode=mode)
        process.exporter.resume()
        await begun(process)
        granted.append(process.exporter._errands["c1"].grant)

    run(site, life, next_life)
    first, second = (replace(grant, command=granted[0].command) for grant in granted)  # secrets are never equal
    assert first == second
    assert first.mode == word


def test_a_command_is_decided_as_of_its_receipt(site: Site) -> None:
    """A hub that was off for two hours right after it came does not find its window too old."""
    site.allow(age_s_max=3600)

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", WINDOW))

    async def next_life(process: Process) -> None:
        site.clock.go_on(2 * 3600)
        process.exporter.resume()
        await begun(process)

    run(site, life, next_life)


def test_questions_count_as_uploads_of_the_day(site: Site) -> None:
    """Else an agency could ask for more at once than the owner lets go in a day."""
    site.allow(mode="ask_first", uploads_per_day_max=2)

    async def life(process: Process) -> None:
        for command in ("c1", "c2"):
            process.exporter.take(site.command(command, WINDOW))
            await process.until(lambda command=command: job_of(process, command).state is JobState.AWAITING_OWNER)
        process.exporter.take(site.command("c3", WINDOW))
        assert (await process.until_ended("c3")).reason is RefusalReason.TOO_MANY_UPLOADS

    run(site, life)


def test_a_cancel_before_the_decision_is_one(site: Site) -> None:
    """The job never begins."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", WINDOW))
        process.journal.stop_job("c1", "x1")
        await asyncio.sleep(0)
        assert (await process.until_ended("c1")).reason is RefusalReason.AGENCY_CANCELED

    run(site, life)
    assert not site.store.seen
