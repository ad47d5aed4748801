"""An upload that must not go any further is dropped at the store too, by either method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.clip_job import JobState, PartState
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.put_server import PutFault, PutStore
from tests.simulators.tus_server import Fault

WINDOW = window_of(0.5, 1.9)


def cancel(process: Process) -> None:
    """Let the agency cancel."""
    process.exporter.take(process.site.order("clip.cancel", "x1", WINDOW, job="c1"))


def pause(process: Process) -> None:
    """Let the owner pause."""
    process.site.allow(mode="sharing_off")


def revoke(process: Process) -> None:
    """Let the roots revoke the officer's key."""
    process.site.revoke_officer()


def has_begun(site: Site) -> bool:
    """Say whether the store has begun to take a part, and lost the connection on the way."""
    if isinstance(site.store, PutStore):
        return bool(site.store.pieces) and not site.store.faults
    return bool(site.store.uploads) and not site.store.faults


@pytest.mark.parametrize("end", [cancel, pause, revoke])
@pytest.mark.parametrize("is_presigned", [False, True])
def test_what_was_begun_is_dropped_when_the_job_ends(
    tmp_path: Path, end: Callable[[Process], None], *, is_presigned: bool
) -> None:
    """A part is half at the store, and the line breaks: the job ends, and nothing of the part stays at the store."""
    with export_site(tmp_path, is_presigned=is_presigned) as site:
        site.store.faults.append(PutFault.DROP_IN_PUT if is_presigned else Fault.DROP_IN_PATCH)

        async def life(process: Process) -> None:
            process.exporter.take(site.command("c1", WINDOW))
            await process.until(lambda: has_begun(site))
            end(process)
            assert (await process.until_ended("c1")).status is JobState.CANCELED

        run(site, life)
        assert [line["detail"]["state"] for line in site.audited("withheld")] == [PartState.CREATED]
        if isinstance(site.store, PutStore):
            assert (site.store.pieces, site.store.whole) == ({}, {})
        else:
            assert (site.store.ended, len(site.store.uploads)) == ([0], 1)


@pytest.mark.parametrize("end", [cancel, pause, revoke])
@pytest.mark.parametrize("is_presigned", [False, True])
def test_what_was_begun_is_dropped_when_the_end_comes_after_a_crash(
    tmp_path: Path, end: Callable[[Process], None], *, is_presigned: bool
) -> None:
    """The power goes with a part half at the store, and the job ends as soon as the hub is there again."""
    with export_site(tmp_path, is_presigned=is_presigned) as site:
        site.store.faults.append(PutFault.DROP_IN_PUT if is_presigned else Fault.DROP_IN_PATCH)

        async def life(process: Process) -> None:
            process.exporter.take(site.command("c1", WINDOW))
            await process.until(lambda: has_begun(site))

        async def next_life(process: Process) -> None:
            end(process)
            if end is cancel:
                await process.until_ended("x1")
            process.exporter.resume()
            assert (await process.until_ended("c1")).status is JobState.CANCELED

        run(site, life, next_life)
        assert [line["detail"]["state"] for line in site.audited("withheld")] == [PartState.CREATED]
        if isinstance(site.store, PutStore):
            assert (site.store.pieces, site.store.whole) == ({}, {})
        else:
            assert (site.store.ended, len(site.store.uploads)) == ([0], 1)
