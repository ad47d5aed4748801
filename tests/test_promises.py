"""The promises of the design, each attacked: what must never leave, never be forgotten, and never stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.acquire.stream import CameraId
from agent.auditor import verify_audit
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime
from agent.command.request import RefusalReason
from agent.command.trust import open_first_bundle
from agent.consent.standing import Standing
from agent.crypto import SigningKey, public_jwk, sha256_hex, thumbprint
from agent.demo.authority import Owner, clip_params, command_of, upload_params, window_claim
from agent.documents import REFUSALS_PER_HOUR_MAX, Desk
from agent.errors import BadInputError, UnavailableError
from agent.evidence.audit import CHECKPOINTS_BYTES_MAX, CHECKPOINTS_NAME
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.outside.audit_file import open_audit
from agent.outside.database import Database
from agent.ports import Document
from tests.simulators.clips import window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, NOW, RECIPE, Process, Site, export_site, record
from tests.simulators.h264_source import CAMERA, film
from tests.simulators.set_clock import SetClock
from tests.simulators.signing_store import contents_of
from tests.vectors.command import scene
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, MALLORY, OWNER, fixed_key, trust_claims

NARROW = window_of(1.0, 1.5)
NARROW_PICTURES = 13
OTHER_CAMERA = CameraId("bedroom")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of 0.8 s."""
    with export_site(tmp_path, past_s=0.8) as made:
        yield made


def run(site: Site, *lives: Callable[[Process], Awaitable[None]]) -> None:
    """Run the exporter once for each function; it crashes between them."""

    async def live() -> None:
        for life in lives:
            async with site.running() as process:
                await life(process)

    asyncio.run(live())


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
    envelope = site.command("c1")

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


def test_a_no_right_before_a_crash_holds_after_it(site: Site) -> None:
    """What was acknowledged is stored: the job does not go on with the earlier yes."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        process.exporter.answer(answer(envelope, "yes"))
        await process.until(lambda: site.audited("sealed"))
        process.exporter.answer(answer(envelope, "no"))  # and the power goes

    async def next_life(process: Process) -> None:
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.CANCELED

    run(site, life, next_life)
    assert not [name for name in contents_of(site.store) if name.endswith("0001")]


def test_a_pause_that_is_over_again_does_not_let_a_stopped_job_go_on(site: Site) -> None:
    """A job that the owner's pause has stopped ends as canceled, and its manifest says what is not in the clip."""
    site.allow()
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: len(site.audited("sealed")) > 1)
        site.receipts.withheld = False
        await process.until(lambda: site.audited("receipt"))
        site.receipts.withheld = True
        site.allow(mode="paused")
        async with asyncio.timeout(10):
            while not site.audited("withheld"):  # noqa: ASYNC110 - the log on the disk sends no event
                await asyncio.sleep(0.01)
        site.allow()
        site.receipts.withheld = False
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
        assert (await process.until_ended("c1")).status is JobState.FAILED
        await asyncio.sleep(0)
        assert process.outbox.names() == frozenset()

    run(site, life)


def test_what_a_crash_left_of_an_ended_job_is_removed_at_the_next_start(site: Site) -> None:
    """The power goes between the end of a job and the removal of its files."""

    async def life(process: Process) -> None:
        process.outbox.write("c0.cam-1.0000.mp4.age", lambda append: append(b"sealed"))
        process.exporter.resume()
        assert process.outbox.names() == frozenset()

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


# ------------------------------------------------------------ whom the hub believes


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    """Return what makes the desk of a hub anew, as a restart does, on one journal and one audit log."""
    clock = SetClock(scene.NOW)
    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        audit = open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)
        first = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(trust_claims())), OWNER.key)
        with closing(audit):
            yield lambda: Desk(first, journal, audit, lambda _: "no", clock)


def successor(version: int, signers: list[SigningKey] | None = None, **claims: object) -> bytes:
    """Sign a later trust bundle."""
    return AUTHORITY.trust_bundle(trust_claims(version=version, **claims), signers=signers)


def test_a_revocation_reaches_the_hub_and_survives_a_restart(desk: Callable[[], Desk]) -> None:
    """The roots take a key back: the next bundle is believed now and later, and an older one never again."""
    officer = thumbprint(AUTHORITY.officer)
    assert desk().take_trust(successor(3, revoked_keys=[officer]))
    after_restart = desk()
    assert after_restart.standing.trust.revoked_keys == (officer,)
    assert not after_restart.take_trust(successor(2))
    assert not after_restart.take_trust(successor(3, revoked_keys=[officer]))


def test_no_server_can_swap_the_trust_bundle(desk: Callable[[], Desk]) -> None:
    """A bundle that a threshold of the known roots has not signed changes nothing."""
    evil = [public_jwk(MALLORY), public_jwk(AUTHORITY.roots[0])]
    for forged in (
        successor(4, signers=[MALLORY]),
        successor(4, signers=[AUTHORITY.roots[0]]),
        successor(4, signers=[MALLORY, AUTHORITY.roots[0]], roots=evil),
        b"",
        b"\xff",
        b"{}",
    ):
        hub = desk()
        before = hub.standing
        assert not hub.take_trust(forged)
        assert hub.standing is before


def test_no_server_can_read_by_a_bundle_that_lists_the_owners_root_beside_its_own() -> None:
    """At enrolment a server hands out a bundle of its own: the true root is listed, but has not signed it."""
    roots = [public_jwk(MALLORY), public_jwk(AUTHORITY.roots[0])]
    mixed = trust_claims(roots=roots, threshold=1)
    with pytest.raises(BadInputError, match="1 of 2 root signatures"):
        open_first_bundle(AUTHORITY.trust_bundle(mixed, signers=[MALLORY]))


def test_a_policy_of_an_earlier_owner_does_not_stop_the_hub(desk: Callable[[], Desk]) -> None:
    """After a factory reset and a new pairing the journal still has the old owner's policy: it is worth nothing."""
    hub = desk()
    assert hub.take_policy(OWNER.policy(scene.NOW, 1, mode="opt_in").encode())
    hub._stored.put_document("policy", Document(7, Owner(HUB, fixed_key("earlier owner")).policy(scene.NOW, 7)))
    again = desk()
    assert again.standing.policy is None
    assert again.take_policy(OWNER.policy(scene.NOW, 1, mode="opt_in").encode())


def test_bad_documents_do_not_fill_the_audit_log(desk: Callable[[], Desk]) -> None:
    """Anybody behind the broker can send them without end."""
    hub = desk()
    entries, _ = hub._audit.head()
    for number in range(300):
        hub.take_policy(b"x%d" % number)
        hub.take_trust(b"x%d" % number)
        hub.take_pairing(b"x%d" % number)
    assert hub._audit.head()[0] - entries == REFUSALS_PER_HOUR_MAX
    assert hub.refused_unwritten == 900 - REFUSALS_PER_HOUR_MAX


def test_an_earlier_owners_footage_dies_with_the_reset(tmp_path: Path) -> None:
    """A hub without an owner destroys what its ring holds before it can be paired again."""
    with export_site(tmp_path) as site:
        with closing(site.ring()) as ring:
            assert ring.footage(CAMERA, window_of(0, 4)).chunks
            ring.clear()
            assert not ring.footage(CAMERA, window_of(0, 4)).chunks
        with closing(site.ring()) as ring:
            assert not ring.footage(CAMERA, window_of(0, 4)).chunks
            record(ring, film(RECIPE))
            assert ring.footage(CAMERA, window_of(0, 4)).chunks


# --------------------------------------------------------------- what is written down


def test_many_checkpoints_do_not_look_like_tampering(tmp_path: Path) -> None:
    """The checkpoints' file stays within its limit, and the log is as provable as before."""
    clock = SetClock(NOW)
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        audit.append("started", "", {})
        audit.checkpoint()
    checkpoints = tmp_path / "audit" / CHECKPOINTS_NAME
    stored = checkpoints.read_bytes()
    checkpoints.write_bytes(stored * (CHECKPOINTS_BYTES_MAX // len(stored)))
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        for _ in range(20):
            audit.append("job", "c1", {})
            audit.checkpoint()
            assert checkpoints.stat().st_size <= CHECKPOINTS_BYTES_MAX
        assert checkpoints.stat().st_size < CHECKPOINTS_BYTES_MAX * 0.6
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        assert audit.head()[0] == 21
    assert verify_audit(tmp_path / "audit", str(verifier_of(HUB, EVIDENCE_KEY))).is_intact


# -------------------------------------------------------------------- a full disk


def test_a_full_disk_is_a_failure_to_wait_for(tmp_path: Path) -> None:
    """Every call of the journal says so in the words of its port, and works again when there is room."""
    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        pages = journal._query("PRAGMA page_count")[0][0]
        journal._query(f"PRAGMA max_page_count={pages + 2}")
        big = Document(1, "x" * 100_000)
        with pytest.raises(UnavailableError, match="full"):
            journal.put_document("policy", big)
        journal._query("PRAGMA max_page_count=1000")
        journal.put_document("policy", big)
        assert journal.document("policy") == big
