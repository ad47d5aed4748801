"""A hub whose audit log is full: it says no, it goes on with what was begun, and it takes the command again later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.command.request import RefusalReason
from agent.evidence.room import RESERVED_BYTES, LogRoom
from tests.simulators.export_site import Site, export_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a hub's disk with footage, and a store."""
    with export_site(tmp_path) as made:
        yield made


def test_a_command_without_room_for_its_entries_is_refused_and_may_come_again(site: Site) -> None:
    """No job, no grant, no picture; the refusal is written down; the same message starts once there is room."""

    async def life() -> None:
        async with site.running() as process:
            process.audit._room = LogRoom(log_bytes_max=RESERVED_BYTES + 100)
            process.exporter.take(site.command("c1"))
            (status,) = process.statuses("c1")
            assert (status.status, status.reason) == (JobState.REJECTED, RefusalReason.NO_ROOM)
            assert process.journal.job("c1") is None
            assert [line["detail"]["reason"] for line in site.audit_lines()] == ["no_room"]
            process.audit._room = LogRoom()
            process.exporter.take(site.command("c1"))
            assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    asyncio.run(life())
    assert site.delivered()


def test_what_was_begun_is_written_to_its_end(site: Site) -> None:
    """A log that fills up while a job runs stops the next command, not the job."""

    async def life() -> None:
        async with site.running() as process:
            process.exporter.take(site.command("c1"))
            process.audit._room = LogRoom(log_bytes_max=RESERVED_BYTES + 100)
            process.exporter.take(site.command("c2"))
            assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
            assert process.statuses("c2")[-1].reason is RefusalReason.NO_ROOM

    asyncio.run(life())
    assert [line["ref"] for line in site.audited("receipt")] == ["c1", "c1"]
