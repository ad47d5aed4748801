"""Orders about a job that runs: ended within a part, extended exactly, and nobody else's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of, window_claim
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from tests.simulators.clips import window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, incident_site, run
from tests.simulators.signing_store import contents_of
from tests.vectors.command.scene import OWNER

RUNNING = window_of(0.5, 3.4)  # until the clock is 5 s behind its end, its last pictures are waited for
LONGER = window_of(0.5, 3.8)
SOON_S = 2  # until a question's deadline: all but a yes is told then


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site in the middle of an incident: three of the film's four seconds have passed."""
    with incident_site(tmp_path) as made:
        yield made


async def sending(process: Process, envelope: bytes, command: str = "c1") -> None:
    """Take an upload and wait until its first part has its receipt."""
    process.exporter.take(envelope)
    site = process.site
    await process.until(lambda: any(line["ref"] == command for line in site.audited("receipt")))


async def asked(process: Process, command: str) -> None:
    """Wait until the owner is asked about a command."""
    await process.until(lambda: (job := process.journal.job(command)) and job.state is JobState.AWAITING_OWNER)


def yes(envelope: bytes, site: Site, decision: str = "yes", **claims: object) -> str:
    """Sign the owner's answer."""
    return OWNER.answer(site.clock.now(), sha256_hex(command_of(envelope).encode()), decision, **claims)


def shown(site: Site) -> list[int]:
    """Return the numbers of all pictures at the store."""
    return [number for numbers in site.delivered().values() for number in numbers]


# ------------------------------------------------------------------------- cancel


def test_a_cancel_stops_a_running_incident_within_a_part(site: Site) -> None:
    """What was delivered stays and is in the manifest; nothing more is cut; both commands are told how they ended."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        sealed = len(site.audited("sealed"))
        process.exporter.take(site.order("clip.cancel", "x1", RUNNING, job="c1"))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.AGENCY_CANCELED)
        assert (await process.until_ended("x1")).status is JobState.SUCCEEDED
        assert len(site.audited("sealed")) <= sealed + 1
        await process.until(lambda: not process.outbox.names())

    run(site, life)
    assert "c1.cam-1.manifest" in contents_of(site.store)
    numbers = shown(site)
    assert numbers == list(range(13, 13 + len(numbers)))
    assert numbers[-1] < 85
    assert [line["detail"]["by"] for line in site.audited("stopped")] == ["x1"]


def test_a_cancel_withdraws_a_question(site: Site) -> None:
    """The owner is not asked any longer, and a yes that comes later allows nothing."""
    site.allow(mode="ask_first", ahead_s_max=60)
    envelope = site.command("c1", RUNNING)

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await asked(process, "c1")
        process.exporter.take(site.order("clip.cancel", "x1", RUNNING, job="c1"))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.AGENCY_CANCELED)
        process.exporter.answer(yes(envelope, site))
        assert site.audited("answer_refused")

    run(site, life)
    assert not site.store.seen


def test_a_cancel_right_before_a_crash_holds_after_it(site: Site) -> None:
    """What was acknowledged is stored: the job does not go on when the hub is back, and ends as canceled."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", RUNNING))
        await process.until(lambda: site.audited("sealed"))
        process.exporter.take(site.order("clip.cancel", "x1", RUNNING, job="c1"))  # and the power goes

    async def next_life(process: Process) -> None:
        site.receipts.withheld = False
        process.exporter.resume()
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.AGENCY_CANCELED)
        assert (await process.until_ended("x1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


# ------------------------------------------------------------------------- extend


def test_an_extension_moves_the_end_and_nothing_else(site: Site) -> None:
    """The clip has exactly the pictures up to the later end, across the border that was the end before."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        process.exporter.take(site.order("clip.extend", "e1", LONGER, job="c1"))
        assert (await process.until_ended("e1")).status is JobState.SUCCEEDED
        job = process.journal.job("c1")
        assert job is not None
        assert (job.window, job.extended_by) == (LONGER, ("e1",))
        site.clock.go_on(20)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert shown(site) == list(range(13, 95))
    assert [line["detail"]["by"] for line in site.audited("extended")] == ["e1"]
    envelope = contents_of(site.store)["c1.cam-1.manifest"][-1]
    stated = open_manifest(envelope, verifier_of(HUB, EVIDENCE_KEY))
    assert stated.extended_by == ("e1",)
    assert stated.window.asked.end < stated.window.granted.end


def test_an_extension_survives_a_crash(site: Site) -> None:
    """The later end is in the journal with the order that moved it; neither is done twice."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        process.exporter.take(site.order("clip.extend", "e1", LONGER, job="c1"))
        await process.until_ended("e1")

    async def next_life(process: Process) -> None:
        site.clock.go_on(20)
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert shown(site) == list(range(13, 95))
    assert len(site.audited("extended")) == 1


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"window_s_max": 3, "ahead_s_max": 60}, RefusalReason.WINDOW_TOO_LONG),
        ({"ahead_s_max": 0}, RefusalReason.WINDOW_TOO_FAR_AHEAD),
    ],
)
def test_an_extension_stays_within_the_owners_limits(
    site: Site, policy: dict[str, object], reason: RefusalReason
) -> None:
    """The whole window counts, as if it had been asked for at once; the job goes on with the end it had."""
    first = window_of(0.5, 2.9)

    async def life(process: Process) -> None:
        site.allow(**policy)
        await sending(process, site.command("c1", first))
        process.exporter.take(site.order("clip.extend", "e1", window_of(0.5, 3.8), job="c1"))
        end = await process.until_ended("e1")
        assert (end.status, end.reason) == (JobState.REJECTED, reason)
        site.clock.go_on(20)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert shown(site) == list(range(13, 73))


def test_an_extension_asks_the_owner_again(site: Site) -> None:
    """Where an upload is asked for, so is its longer window, by a question of its own."""
    site.allow(mode="ask_first", ahead_s_max=60)
    envelope, longer = site.command("c1", RUNNING), site.order("clip.extend", "e1", LONGER, job="c1")

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await asked(process, "c1")
        process.exporter.answer(yes(envelope, site))
        await process.until(lambda: site.audited("receipt"))
        process.exporter.take(longer)
        await asked(process, "e1")
        job = process.journal.job("c1")
        assert job is not None
        assert job.window == RUNNING
        process.exporter.answer(yes(longer, site))
        assert (await process.until_ended("e1")).status is JobState.SUCCEEDED
        site.clock.go_on(20)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert shown(site) == list(range(13, 95))


@pytest.mark.parametrize(
    ("decision", "claims"),
    [
        ("no", {}),
        ("yes", {"window": window_claim(window_of(0.5, 3.0))}),
        ("yes", {"window": window_claim(window_of(1, 4))}),
    ],
    ids=["no", "less than there is", "another start"],
)
def test_an_owner_who_says_no_to_more_has_said_yes_to_what_was(
    site: Site, decision: str, claims: dict[str, object]
) -> None:
    """The extension is declined, the job delivers what it was granted."""
    site.allow(mode="ask_first", ahead_s_max=60)
    envelope, longer = (
        site.command("c1", RUNNING),
        site.order("clip.extend", "e1", LONGER, job="c1", exp=site.clock.now() // SECOND_NS + SOON_S),
    )

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await asked(process, "c1")
        process.exporter.answer(yes(envelope, site))
        await process.until(lambda: site.audited("receipt"))
        process.exporter.take(longer)
        await asked(process, "e1")
        process.exporter.answer(yes(longer, site, decision, **claims))
        end = await process.until_ended("e1")
        assert (end.status, end.reason) == (JobState.REJECTED, RefusalReason.OWNER_DECLINED)
        site.clock.go_on(20)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert shown(site) == list(range(13, 85))


def test_an_extension_that_comes_too_late_is_refused(site: Site) -> None:
    """Behind a manifest no part goes any more: while it waits for its receipt, the job is not extended."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", RUNNING))
        await process.until(lambda: site.audited("sealed"))
        site.clock.go_on(20)
        await process.until(lambda: sum(part.end - part.start for part in process.journal.parts("c1")) >= 2.9e9)
        await process.until(lambda: process.exporter._errands["c1"].is_closing)
        process.exporter.take(site.order("clip.extend", "e1", window_of(0.5, 30), job="c1"))
        assert (await process.until_ended("e1")).reason is RefusalReason.TOO_LATE
        site.receipts.withheld = False
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert shown(site) == list(range(13, 85))


def test_an_extension_that_comes_with_a_restart_is_too_late_behind_a_manifest(site: Site) -> None:
    """The manifest was sealed before the power went: it tells of the window that there was, and of no longer one."""
    site.receipts.withheld_of = "manifest"

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", RUNNING))
        await process.until(lambda: site.audited("sealed"))
        site.clock.go_on(20)
        await process.until(lambda: any(part.is_manifest for part in process.journal.parts("c1")))

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        process.exporter.take(site.order("clip.extend", "e1", window_of(0.5, 30), job="c1"))
        assert (await process.until_ended("e1")).reason is RefusalReason.TOO_LATE
        site.receipts.withheld_of = ""
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert not site.audited("extended")


# ------------------------------------------------------------------- whose business


@pytest.mark.parametrize(
    "changed",
    [
        {"job": "c2"},
        {"cameras": ["*"]},
        {"cameras": ["cam-1", "cam-2"]},
        {"window": window_claim(window_of(0.0, 3.8))},
        {"incident": {"id": "another-1", "type": "alarm.burglary", "reported_at": "2026-11-18T11:06:40Z"}},
    ],
    ids=["another job", "every camera", "one camera more", "an earlier start", "another incident"],
)
@pytest.mark.parametrize("action", ["clip.cancel", "clip.extend"])
def test_an_order_must_describe_its_job(site: Site, action: str, changed: dict[str, object]) -> None:
    """Whoever does not know what the job is about has nothing to say about it, and widens nothing."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        process.exporter.take(site.order(action, "x1", LONGER, **{"job": "c1", **changed}))
        end = await process.until_ended("x1")
        assert (end.status, end.reason) == (JobState.REJECTED, RefusalReason.UNKNOWN_JOB)
        job = process.journal.job("c1")
        assert job is not None
        assert (job.state, job.window, job.stopped_by) == (JobState.IN_PROGRESS, RUNNING, "")

    run(site, life)


def test_an_order_of_the_wrong_kind_knows_no_job(site: Site) -> None:
    """A hold is released, an upload is canceled; neither is the other."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        process.exporter.take(site.order("clip.release", "r1", RUNNING, job="c1"))
        assert (await process.until_ended("r1")).reason is RefusalReason.UNKNOWN_JOB

    run(site, life)


def test_what_has_ended_cannot_be_ended_again(site: Site) -> None:
    """The answer names the end there was, and an extension that ends no later is none."""

    async def life(process: Process) -> None:
        await sending(process, site.command("c1", RUNNING))
        process.exporter.take(site.order("clip.extend", "e1", RUNNING, job="c1"))
        assert (await process.until_ended("e1")).reason is RefusalReason.NOT_LATER
        site.clock.go_on(20)
        await process.until_ended("c1")
        process.exporter.take(site.order("clip.cancel", "x1", RUNNING, job="c1"))
        end = await process.until_ended("x1")
        assert (end.reason, end.detail) == (RefusalReason.JOB_ENDED, "SUCCEEDED")

    run(site, life)
