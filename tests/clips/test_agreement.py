"""A job that is withdrawn while it runs ends within a part, in one way, whatever the disk does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
import pytest

from agent.clip_job import JobState, PartState
from agent.clips.errand import WHY_UNDELIVERED
from agent.clips.sending import MANIFEST_SPARE_BYTES
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import Manifest
from agent.outside.outbox_files import OutboxFiles
from agent.ports import OutboxFullError
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, export_site, run
from tests.simulators.full_disk import full_disk
from tests.simulators.signing_store import contents_of

T = TypeVar("T")
QUOTA_BYTES = 1_000_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of 0.8 s."""
    with export_site(tmp_path, past_s=0.8) as made:
        yield made


class CrowdedOutbox(OutboxFiles):
    """Has room whenever it is asked; from a file of some kind on somebody else takes it all before it is written."""

    refused: ClassVar[list[str]] = []
    kind = "mp4.age"
    others_bytes = QUOTA_BYTES

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, QUOTA_BYTES)
        self.refused.clear()

    def write(self, name: str, fill: Callable[[Callable[[bytes], object]], T], spare_bytes: int = 0) -> T:
        """Write it, unless others were faster."""
        others = self.path("others.mp4.age")
        if name.endswith(self.kind):
            others.write_bytes(bytes(self.others_bytes))
        try:
            return super().write(name, fill, spare_bytes)
        except OutboxFullError:
            self.refused.append(name)
            raise
        finally:
            others.unlink(missing_ok=True)


class FullForManifests(CrowdedOutbox):
    """Is full to its limit when a manifest comes."""

    kind = "json"


class NoRoomForManifests(FullForManifests):
    """Is beyond it, as where the disk has nothing left."""

    others_bytes = QUOTA_BYTES + MANIFEST_SPARE_BYTES


def manifest_at(site: Site) -> Manifest:
    """Open the manifest at the store."""
    return open_manifest(contents_of(site.store)["c1.cam-1.manifest"][-1], verifier_of(HUB, EVIDENCE_KEY))


def pause(process: Process) -> None:
    """Let the owner pause."""
    process.site.allow(mode="sharing_off")


def cancel(process: Process) -> None:
    """Let the agency cancel."""
    process.exporter.take(process.site.order("clip.cancel", "x1", job="c1"))


def revoke(process: Process) -> None:
    """Let the roots revoke the officer's key."""
    process.site.revoke_officer()


def expire(process: Process) -> None:
    """Let the trust bundle run out, and nobody bring a new one."""
    site = process.site
    over = msgspec.structs.replace(site.standing.trust, exp=site.clock.now() // SECOND_NS - 61)
    site.standing = replace(site.standing, trust=over)


ENDS = [
    (pause, RefusalReason.SHARING_OFF),
    (cancel, RefusalReason.AGENCY_CANCELED),
    (revoke, RefusalReason.REVOKED),
    (expire, RefusalReason.TRUST_EXPIRED),
]


@pytest.mark.parametrize(("end", "reason"), ENDS[::2])
def test_an_outbox_that_stays_full_keeps_no_withdrawn_job(
    site: Site, end: Callable[[Process], None], reason: RefusalReason
) -> None:
    """Before each new try consent is asked again: the job ends, and nothing was cut for it meanwhile."""
    site.disk = replace(site.disk, outbox=CrowdedOutbox)

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: CrowdedOutbox.refused)
        end(process)
        tried = len(CrowdedOutbox.refused)
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, reason)
        assert len(CrowdedOutbox.refused) == tried

    run(site, life)
    assert not site.store.seen
    assert not site.audited("sealed")
    assert [(line["detail"]["state"], line["detail"].get("reason")) for line in site.audited("job")][-1] == (
        JobState.CANCELED,
        reason,
    )


@pytest.mark.parametrize(("end", "reason"), ENDS[1::2])
def test_a_withdrawn_job_ends_without_the_manifest_that_there_is_no_room_for(
    site: Site, end: Callable[[Process], None], reason: RefusalReason
) -> None:
    """What went has its receipts in the log, and the log says that no manifest tells of it."""
    site.disk = replace(site.disk, outbox=NoRoomForManifests)

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: CrowdedOutbox.refused)
        assert {part.state for part in process.journal.parts("c1")} == {PartState.RECEIPTED}
        end(process)
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, reason)
        await process.until(lambda: not process.outbox.names())

    run(site, life)
    assert [line["detail"]["camera"] for line in site.audited("untold")] == ["cam-1"]
    assert "c1.cam-1.manifest" not in contents_of(site.store)


def test_a_manifest_goes_where_there_is_no_room_for_pictures(site: Site) -> None:
    """It is small, and without it nobody knows what the parts are."""
    site.disk = replace(site.disk, outbox=FullForManifests)

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert not CrowdedOutbox.refused
    assert manifest_at(site).parts


@pytest.mark.parametrize(("end", "reason"), ENDS)
@pytest.mark.parametrize("is_off", [False, True], ids=["while it runs", "while the hub is off"])
def test_a_withdrawn_job_ends_in_one_way(
    site: Site, end: Callable[[Process], None], reason: RefusalReason, *, is_off: bool
) -> None:
    """One part is at the store, one is on its way: the manifest tells of the first, and that the rest did not go."""
    site.receipts.withheld_of = "0001"

    async def begin(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: PartState.RECEIPTED in {part.state for part in process.journal.parts("c1")})

    async def finish(process: Process) -> None:
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, reason)
        assert process.statuses("c1")[-1] == told
        await process.until(lambda: not process.outbox.names())

    async def life(process: Process) -> None:
        await begin(process)
        if not is_off:
            end(process)
            await finish(process)

    async def next_life(process: Process) -> None:
        end(process)
        process.exporter.resume()
        await finish(process)

    run(site, life, *([next_life] if is_off else []))
    manifest = manifest_at(site)
    names = [part.name for part in manifest.parts]
    assert "c1.cam-1.0000.mp4.age" in names
    assert "c1.cam-1.0001.mp4.age" not in names
    assert {gap.why for gap in manifest.gaps} == {WHY_UNDELIVERED}
    assert [line["detail"]["state"] for line in site.audited("job")].count("CANCELED") == 1


def test_a_pause_that_was_over_when_the_hub_came_back_still_ends_the_job(site: Site) -> None:
    """The first no is on the disk before anything is done about it: no restart makes the decision wider again."""
    site.receipts.withheld_of = "000"

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: len(site.audited("sealed")) > 1)
        site.allow(mode="sharing_off")
        await process.until(lambda: (job := process.journal.job("c1")) and job.withdrawn)

    async def next_life(process: Process) -> None:
        site.allow()
        site.receipts.withheld_of = ""
        process.exporter.resume()
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)

    run(site, life, next_life)
    assert not [name for name in contents_of(site.store) if name.endswith("0001")]


def test_a_no_that_the_disk_does_not_take_holds_all_the_same(site: Site) -> None:
    """The job stops for a full disk, which has room again when the pause is over: it was stopped, and stays so."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: len(site.audited("sealed")) > 1)
        with full_disk():
            site.allow(mode="sharing_off")
            await process.until(lambda: "c1" in process.exporter._words.ended)
            assert (job := process.journal.job("c1")) is not None
            assert job.withdrawn is None
        site.allow()
        site.receipts.withheld = False
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)

    run(site, life)


def test_the_manifest_names_the_policy_that_granted_it(site: Site) -> None:
    """A restart under a newer policy, which allows it too, changes nothing about what was granted by which."""
    site.receipts.withheld = True
    before = site.standing.policy

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))

    async def next_life(process: Process) -> None:
        site.allow()
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert before is not None
    assert manifest_at(site).policy.version == before.version


def test_a_withdrawn_job_whose_manifest_nobody_takes_ends_as_what_it_is(site: Site) -> None:
    """The store is away for as long as the hub tries: the job was withdrawn, and has not timed out."""
    site.receipts.withheld_of = "manifest"
    site.give_up_h = 2 / 3600

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: any(part.is_manifest for part in process.journal.parts("c1")))
        site.allow(mode="sharing_off")
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)
        assert "no receipt" in told.detail

    run(site, life)


def test_a_job_that_no_room_is_found_for_ends_as_timed_out(site: Site) -> None:
    """A disk that others keep full is waited for as long as a store that is away, and not for ever."""
    site.disk = replace(site.disk, outbox=CrowdedOutbox)
    site.give_up_h = 1 / 3600

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        told = await process.until_ended("c1")
        assert (told.status, told.reason) == (JobState.TIMED_OUT, None)
        assert "no room" in told.detail

    run(site, life)
    assert not site.store.seen
