"""The power goes after any write of a job's life: each job ends exactly once, in the right state, and leaves nothing.

A child process runs the real exporter on real files until its n-th durable write (journal, audit log, outbox, held log)
and is gone; the next child goes on from what is on the disk.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from agent.clip_job import OPEN_STATES, JobState, PartState, Status
from agent.clock import SECOND_NS, WallTime
from tests.simulators.clips import window_of
from tests.simulators.dying_disk import KILLED, QuickCutter, dying_disk
from tests.simulators.export_site import Process, Site, export_site
from tests.simulators.h264_source import EPOCH
from tests.simulators.signing_store import contents_of

RUNNING, LONGER = window_of(0.5, 3.4), window_of(0.5, 3.8)
WRITES_MAX: Final = 120  # of one life: more would be a job that never ends
STRIDE: Final = 1 if os.environ.get("TRANSOM_EVERY_WRITE") else 10
"""An ordinary run takes every tenth write, other ones each time; TRANSOM_EVERY_WRITE=1 takes all (2 minutes)."""


@dataclass(frozen=True)
class Messages:
    """What the broker has for the hub: the same bytes for every life."""

    upload: bytes
    hold: bytes
    release: bytes
    cancel: bytes
    extend: bytes


def messages(site: Site) -> Messages:
    """Sign one of each."""
    return Messages(
        site.command("c1", RUNNING),
        site.order("clip.hold", "h1", RUNNING, hold_s=3600),
        site.order("clip.release", "r1", RUNNING, job="h1"),
        site.order("clip.cancel", "x1", RUNNING, job="c1"),
        site.order("clip.extend", "e1", LONGER, job="c1"),
    )


def deliver(process: Process, command: str, envelope: bytes) -> None:
    """Deliver what was not acknowledged: the broker keeps a message until its job is in the journal."""
    if process.journal.job(command) is None:
        process.exporter.take(envelope)


def state(process: Process, command: str) -> JobState:
    """Return a job's state as it is on the disk."""
    job = process.journal.job(command)
    assert job is not None
    return job.state


async def until_sending(process: Process) -> None:
    """Wait until something of the upload has its receipt, or it has ended."""
    parts = process.journal.parts
    await process.until(
        lambda: (
            state(process, "c1") not in OPEN_STATES or any(part.state is PartState.RECEIPTED for part in parts("c1"))
        )
    )


async def upload(process: Process, sent: Messages) -> None:
    """Let the window end, and all of it go."""
    process.site.clock.go_on(20)
    deliver(process, "c1", sent.upload)
    await process.until_ended("c1")


async def hold(process: Process, sent: Messages) -> None:
    """Hold, then release."""
    deliver(process, "h1", sent.hold)
    await process.until(lambda: state(process, "h1") is not JobState.RECEIVED)
    deliver(process, "r1", sent.release)
    await process.until_ended("r1")
    await process.until_ended("h1")


async def cancel(process: Process, sent: Messages) -> None:
    """Cancel in the middle of the window."""
    deliver(process, "c1", sent.upload)
    await until_sending(process)
    deliver(process, "x1", sent.cancel)
    await process.until_ended("x1")
    await process.until_ended("c1")


async def extend(process: Process, sent: Messages) -> None:
    """Extend in the middle of the window, then let it end."""
    deliver(process, "c1", sent.upload)
    await until_sending(process)
    deliver(process, "e1", sent.extend)
    await process.until_ended("e1")
    process.site.clock.go_on(20)
    await process.until_ended("c1")


Story = Callable[[Process, Messages], Awaitable[None]]
STORIES: Final[dict[str, tuple[Story, dict[str, JobState]]]] = {
    "upload": (upload, {"c1": JobState.SUCCEEDED}),
    "hold": (hold, {"h1": JobState.SUCCEEDED, "r1": JobState.SUCCEEDED}),
    "cancel": (cancel, {"c1": JobState.CANCELED, "x1": JobState.SUCCEEDED}),
    "extend": (extend, {"c1": JobState.SUCCEEDED, "e1": JobState.SUCCEEDED}),
}


def live(site: Site, story: Story, sent: Messages, writes: int) -> int:
    """Run one life in a child process that ends after so many writes; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        site.disk = dying_disk(writes)

        async def run() -> None:
            async with site.running() as process:
                process.exporter.resume()
                await story(process, sent)
                await process.until(lambda: not process.outbox.names() and not process.exporter._tasks)

        asyncio.run(run())
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        raise
    finally:
        os._exit(code)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film once."""
    folder = tmp_path_factory.mktemp("filmed")
    with export_site(folder) as site:
        return site.folder / "ring"


@pytest.mark.parametrize("name", [*sorted(STORIES), "upload by presigned URLs", "cancel by presigned URLs"])
def test_a_job_ends_once_wherever_the_power_goes(name: str, ring: Path, tmp_path: Path) -> None:
    """The next start ends what the n-th write left, with one end for each job and nothing left behind."""
    kind, _, way = name.partition(" ")
    story, ends = STORIES[kind]
    for writes in range(1 + secrets.randbelow(STRIDE), WRITES_MAX, STRIDE):
        folder = tmp_path / str(writes)
        folder.mkdir()
        with export_site(folder, is_filmed=False, is_presigned=bool(way)) as site:
            shutil.copytree(ring, folder / "ring")
            site.clock.set_to(WallTime(EPOCH + 3 * SECOND_NS))
            pace = {"live_ns": SECOND_NS, "poll_ns": SECOND_NS // 50, "reorder_ns": 60 * SECOND_NS}
            site.settings = replace(site.settings, **pace)
            site.cutter = QuickCutter()
            site.allow(ahead_s_max=60)
            sent = messages(site)
            code = live(site, story, sent, writes)
            assert code in {0, KILLED}, f"the life of {writes} writes"
            if code == KILLED:
                assert live(site, story, sent, 10 * WRITES_MAX) == 0, f"after {writes} writes"
            check(site, ends, f"after {writes} writes")
        shutil.rmtree(folder)
        if code == 0:
            break
    else:
        pytest.fail("the job writes without end")
    assert writes > 4 * len(ends)  # else the power never went in the middle of anything


def check(site: Site, ends: dict[str, JobState], when: str) -> None:
    """Look at what is on the disk and at the store when all is over."""
    journal = site.journal()
    try:
        assert {name: job.state for name in ends if (job := journal.job(name))} == ends, when
        assert journal.open_jobs() == ()
        said = [msgspec.json.decode(message.payload, type=Status) for message in journal.outgoing(0, 1000)]
        final = Counter(status.command for status in said if status.status not in OPEN_STATES)
        assert final == dict.fromkeys(ends, 1), when
        is_cut_off = ends.get("c1") is JobState.CANCELED
        assert is_cut_off or all(part.state is PartState.RECEIPTED for part in journal.parts("c1")), when
        covered = sum(part.end - part.start for part in journal.parts("c1") if not part.is_manifest)
        window = (job.window.end - job.window.start) if (job := journal.job("c1")) and job.window else 0
        assert covered == window or is_cut_off, when
        assert window == (LONGER.end - LONGER.start if "e1" in ends else window)
    finally:
        journal.close()
    assert list((site.folder / "outbox").iterdir()) == [], when
    held = site.folder / "ring" / "held"
    assert not held.exists() or list(held.iterdir()) == [], when
    for name, contents in contents_of(site.store).items():
        assert len(set(contents)) == 1, f"{name} came twice with other bytes {when}"
