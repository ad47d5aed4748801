"""Footage is held while somebody decides, by the owner's rules of now, and let go as soon as they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.buffer.hold import HoldSettings
from agent.clip_job import JobState
from agent.clips.holding import hold_name
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.vectors.command.scene import OWNER

PICTURES = list(range(13, 48))  # of the window 0.5 s to 1.9 s


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


async def held(process: Process, envelope: bytes, command: str = "h1") -> None:
    """Take a hold and wait until it is one."""
    process.exporter.take(envelope)
    await process.until(lambda: (job := process.journal.job(command)) and job.state is not JobState.RECEIVED)


def names(process: Process) -> set[str]:
    """Name what is held."""
    return {hold.name for hold in process.holds.held()}


def test_a_hold_is_held_and_released(site: Site) -> None:
    """Nothing is sent; the status tells of no footage; the release destroys the copy."""

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=3600))
        status = process.statuses("h1")[-1]
        assert (status.status, status.cameras, status.detail, bool(status.until)) == (JobState.HELD, (), "", True)
        assert process.holds.footage(hold_name("h1"), CAMERA, window_of(0.5, 1.9)).chunks
        process.exporter.take(site.order("clip.release", "r1", job="h1"))
        assert (await process.until_ended("r1")).status is JobState.SUCCEEDED
        assert (await process.until_ended("h1")).status is JobState.SUCCEEDED
        await process.until(lambda: not names(process))

    run(site, life)
    assert not site.store.seen


def test_held_footage_is_cut_after_the_ring_has_lost_it(site: Site) -> None:
    """A later upload, granted by itself, has all of its pictures from the hold, also after a restart."""

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=3600))

    async def next_life(process: Process) -> None:
        assert not process.ring.footage(CAMERA, window_of(0, 4)).chunks
        process.exporter.resume()
        process.exporter.take(site.command("c1"))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        assert names(process) == {hold_name("h1")}

    run(site, life)
    for slab in (site.folder / "ring").glob("slab-*"):
        slab.unlink()
    run(site, next_life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"mode": "sharing_off"}, RefusalReason.SHARING_OFF),
        ({"cameras": {CAMERA: "never"}}, RefusalReason.CAMERA_NOT_SHARED),
        ({"agencies": []}, RefusalReason.AGENCY),
        ({"window_s_max": 1}, RefusalReason.WINDOW_TOO_LONG),
        ({"age_s_max": 30}, RefusalReason.WINDOW_TOO_OLD),
    ],
)
def test_a_hold_needs_what_an_upload_would(site: Site, policy: dict[str, object], reason: RefusalReason) -> None:
    """What the owner could not even be asked for is not held: with the same word, and a running hold ends."""

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=3600))
        assert names(process) == {hold_name("h1")}
        site.allow(**policy)
        end = await process.until_ended("h1")
        assert (end.status, end.reason) == (JobState.CANCELED, reason)
        await process.until(lambda: not names(process))
        process.exporter.take(site.order("clip.hold", "h2", hold_s=3600))
        end = await process.until_ended("h2")
        assert (end.status, end.reason) == (JobState.REJECTED, reason)

    run(site, life)


def test_a_hold_ends_by_itself_and_with_its_signer(site: Site) -> None:
    """Its time is up, or its signer's key is revoked: either way the footage goes."""

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=60))
        await held(process, site.order("clip.hold", "h2", hold_s=3600), "h2")
        site.clock.go_on(61)
        assert (await process.until_ended("h1")).status is JobState.TIMED_OUT
        site.revoke_officer()
        end = await process.until_ended("h2")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.REVOKED)
        await process.until(lambda: not names(process))

    run(site, life)


def test_held_footage_has_a_quota(site: Site) -> None:
    """A hold without room is refused; the ones there are stay."""
    site.hold_settings = HoldSettings(free_bytes_min=0, holds_max=1)

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=3600))
        process.exporter.take(site.order("clip.hold", "h2", hold_s=3600))
        end = await process.until_ended("h2")
        assert (end.status, end.reason) == (JobState.REJECTED, RefusalReason.NO_ROOM)
        assert names(process) == {hold_name("h1")}

    run(site, life)


@pytest.mark.parametrize("decision", ["yes", "no"])
def test_a_question_holds_its_footage_until_the_job_has_ended(site: Site, decision: str) -> None:
    """While the owner is asked the footage cannot be recycled; with the receipts, or the no, it is let go."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope = site.command("c1", exp=site.clock.now() // SECOND_NS + 2)  # the deadline of the question

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: names(process) == {hold_name("c1")})
        digest = sha256_hex(command_of(envelope).encode())
        process.exporter.answer(OWNER.answer(site.clock.now(), digest, decision))
        if decision == "yes":
            await process.until(lambda: site.audited("sealed"))
            assert names(process) == {hold_name("c1")}
            site.receipts.withheld = False
        await process.until_ended("c1")
        await process.until(lambda: not names(process))

    run(site, life)


def test_what_a_crash_left_held_is_destroyed_at_the_next_start(site: Site) -> None:
    """A hold whose job has ended takes no room for ever; one whose job is open stays."""

    async def life(process: Process) -> None:
        await held(process, site.order("clip.hold", "h1", hold_s=3600))
        (one,) = process.holds.held()
        process.holds.hold(msgspec.structs.replace(one, name="job-of-nobody"))

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert names(process) == {hold_name("h1")}

    run(site, life, next_life)
