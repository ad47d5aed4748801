"""The promises of the design, each attacked: what must never leave, never be forgotten, and never stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.acquire.stream import CameraId
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime
from agent.command.request import RefusalReason, UploadTarget
from agent.command.trust import open_first_bundle
from agent.crypto import Secret, sha256_hex
from agent.deliver.part import SealedPart
from agent.deliver.upload import PATCH_BYTES_MAX
from agent.demo.authority import clip_params, command_of, upload_params, window_claim
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.signing import thumbprint
from tests.simulators.clips import window_of
from tests.simulators.eventually import eventually
from tests.simulators.export_site import EVIDENCE_KEY, HUB, NOW, Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.simulators.signing_store import contents_of
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, OWNER, trust_claims

NARROW = window_of(1.0, 1.5)
NARROW_PICTURES = 13
OTHER_CAMERA = CameraId("bedroom")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of 0.8 s."""
    with export_site(tmp_path, past_s=0.8) as made:
        yield made


def answer(envelope: bytes, decision: str, **claims: object) -> str:
    """Sign the owner's answer to a command."""
    return OWNER.answer(NOW, sha256_hex(command_of(envelope).encode()), decision, **claims)


async def asked(process: Process, envelope: bytes) -> None:
    """Send a command and wait for the question."""
    process.exporter.take(envelope)
    await process.until(lambda: process.statuses("c1")[-1].status is JobState.AWAITING_OWNER)


# ------------------------------------------------- nothing outside what was granted


def test_a_narrowed_yes_stays_narrow_over_a_crash_and_a_wider_policy(site: Site) -> None:
    """The owner said yes to half a second. A crash and a policy that would share everything do not make it more."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        process.exporter.answer(answer(envelope, "yes", window=window_claim(NARROW)))
        await process.until(lambda: site.audited("sealed"))

    async def next_life(process: Process) -> None:
        site.allow(mode="opt_in")
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert sum(len(numbers) for numbers in site.delivered().values()) == NARROW_PICTURES


def test_a_yes_covers_the_cameras_that_were_asked_about(site: Site) -> None:
    """A camera that is shared only after the question is not covered by its answer, though the command said `*`."""
    site.allow(mode="ask_first")
    upload = upload_params(f"{site.url}/files", f"{site.url}/receipts", site.store.token)
    params = clip_params(window_of(0.5, 1.9), recipients=["vault"], upload=upload)
    envelope = AUTHORITY.clip_upload(NOW, AUDIENCE, "c1", params)

    async def life(process: Process) -> None:
        await asked(process, envelope)

    async def next_life(process: Process) -> None:
        site.cameras = frozenset({CAMERA, OTHER_CAMERA})
        wider = msgspec.structs.replace(site.standing.policy, cameras={CAMERA: "ask", OTHER_CAMERA: "ask"})
        site.standing = replace(site.standing, policy=wider)
        process.exporter.resume()
        process.exporter.answer(answer(envelope, "yes"))
        await process.until_ended("c1")
        assert {part.camera for part in process.journal.parts("c1")} == {CAMERA}

    run(site, life, next_life)


def test_a_question_is_not_answered_by_a_policy(site: Site) -> None:
    """A policy that would not have asked does not answer for the owner, before a restart or after it."""
    site.allow(mode="ask_first")
    envelope = site.command("c1", exp=NOW // SECOND_NS + 3)

    async def life(process: Process) -> None:
        await asked(process, envelope)

    async def next_life(process: Process) -> None:
        site.allow(mode="opt_in")
        process.exporter.resume()
        process.exporter.answer(answer(envelope, "no"))
        assert (await process.until_ended("c1")).reason is RefusalReason.OWNER_DECLINED

    run(site, life, next_life)
    assert not site.store.seen


# ------------------------------------------------------------ the owner's last word


def test_a_no_after_a_yes_stops_what_is_on_its_way(site: Site) -> None:
    """The owner may change their mind while the clip is sent."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        process.exporter.answer(answer(envelope, "yes"))
        await process.until(lambda: site.audited("sealed"))
        process.exporter.answer(answer(envelope, "no"))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.OWNER_DECLINED)

    run(site, life)
    assert [line["detail"]["says"] for line in site.audited("owner_answered")] == ["yes", "no"]


def pictures_in(site: Site) -> set[str]:
    """Name the parts with pictures that the store has."""
    return {name for name in contents_of(site.store) if not name.endswith("manifest")}


def test_a_no_right_before_a_crash_holds_after_it(site: Site) -> None:
    """What was acknowledged is stored: the job does not go on with the earlier yes."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope, gone = site.command("c1"), set[str]()

    async def life(process: Process) -> None:
        await asked(process, envelope)
        process.exporter.answer(answer(envelope, "yes"))
        await process.until(lambda: site.audited("sealed"))
        process.exporter.answer(answer(envelope, "no"))  # and the power goes

    async def next_life(process: Process) -> None:
        gone.update(pictures_in(site))
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.CANCELED

    run(site, life, next_life)
    assert pictures_in(site) == gone


def test_a_pause_that_is_over_again_does_not_let_a_stopped_job_go_on(site: Site) -> None:
    """A job that the owner's pause has stopped ends as canceled, and its manifest says what is not in the clip."""
    site.allow()
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: len(site.audited("sealed")) > 1)
        site.receipts.only_of, site.receipts.withheld = "c1.cam-1.0000", False
        await process.until(lambda: site.audited("receipt"))
        site.allow(mode="sharing_off")
        await eventually(lambda: site.audited("withheld"))
        site.allow()
        site.receipts.only_of = ""
        assert (await process.until_ended("c1")).status is JobState.CANCELED

    run(site, life)
    manifest = open_manifest(contents_of(site.store)["c1.cam-1.manifest"][-1], verifier_of(HUB, EVIDENCE_KEY))
    assert len(manifest.parts) < len(site.audited("sealed"))
    assert manifest.gaps[-1].end == manifest.window.granted.end
    assert "consent" in manifest.gaps[-1].why


# ------------------------------------------------------------------- it goes on


def test_a_failed_job_leaves_nothing_in_the_outbox(site: Site) -> None:
    """Else the sealed parts of dead jobs fill the disk, and no later clip has room."""
    site.give_up_h = 0.3 / 3600
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        assert (await process.until_ended("c1")).status is JobState.TIMED_OUT
        await asyncio.sleep(0)
        await process.until(lambda: not process.outbox.names())

    run(site, life)


def test_what_a_crash_left_of_an_ended_job_is_removed_at_the_next_start(site: Site) -> None:
    """The power goes between the end of a job and the removal of its files."""

    async def life(process: Process) -> None:
        process.outbox.write("c0.cam-1.0000.mp4.age", lambda append: append(b"sealed"))
        process.exporter.resume()
        await process.until(lambda: not process.outbox.names())

    run(site, life)


def test_revoking_the_issuer_stops_a_running_job(site: Site) -> None:
    """Trust is asked as a whole before every effect, not the signer's own key only."""
    site.allow()
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        claims = trust_claims(version=2, revoked_keys=[thumbprint(AUTHORITY.issuer)])
        bundle = open_first_bundle(AUTHORITY.trust_bundle(claims))
        site.standing = replace(site.standing, trust=bundle)
        assert (await process.until_ended("c1")).status is JobState.CANCELED

    run(site, life)


def test_replayed_messages_are_not_answered_without_end(site: Site) -> None:
    """A ping and a running job's command can be sent again by anybody who has seen them."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        envelope, later = site.command("c1"), WallTime(NOW + SECOND_NS)
        for _ in range(200):
            process.exporter.take(envelope)
        assert len(process.statuses("c1")) < 50
        assert site.clock.now() < later

    run(site, life)


def test_the_journal_forgets_what_nobody_can_replay(site: Site) -> None:
    """It does not grow for ever; what could still be replayed stays."""

    async def life(process: Process) -> None:
        for name in ("c1", "c2"):
            process.exporter.take(site.command(name))
            await process.until_ended(name)
            if name == "c1":
                site.clock.go_on(49 * 3600)
        await eventually(lambda: not process.journal.job("c1"))
        assert process.journal.job("c2")

    run(site, life)


def test_a_pause_stops_a_part_between_two_pieces(tmp_path: Path) -> None:
    """Consent is asked before every request to the store, not only before every part."""
    asked_times: list[int] = []

    async def send(site: Site, process: Process) -> bool:
        size = 3 * PATCH_BYTES_MAX
        process.outbox.write("big", lambda append: append(bytes(size)))
        part = SealedPart("big", process.outbox.path("big"), size, "0" * 64, "x/y")
        target = UploadTarget(f"{site.url}/files", f"{site.url}/receipts", Secret(site.store.token))
        uploader = process.courier._uploader
        location = await uploader.create(part, target)

        def may_go_on() -> bool:
            asked_times.append(sum(map(len, site.store.uploads)))
            return asked_times[-1] < PATCH_BYTES_MAX

        return await uploader.send(part, target, location, may_go_on)

    async def live(site: Site) -> bool:
        async with site.running() as process:
            return await send(site, process)

    with export_site(tmp_path, is_filmed=False) as site:
        assert not asyncio.run(live(site))
        assert sum(map(len, site.store.uploads)) == PATCH_BYTES_MAX
