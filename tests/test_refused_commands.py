"""Commands that come again, that nobody may give, or whose signer is trusted no longer: all answered, none done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clips.teller import REFUSALS_ANSWERED_PER_MINUTE_MAX
from agent.command.request import RefusalReason
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.signing_store import contents_of
from tests.test_exporter import PICTURES


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


def test_a_message_that_comes_again_starts_nothing_again(site: Site) -> None:
    """While the job runs its state is told again; after its end the answer is a refusal that names that end."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        process.exporter.take(envelope)
        assert [status.status for status in process.statuses("c1")] == [JobState.RECEIVED, JobState.RECEIVED]
        await process.until_ended("c1")
        process.exporter.take(envelope)
        replayed = process.statuses("c1")[-1]
        assert (replayed.status, replayed.reason) == (JobState.REJECTED, RefusalReason.REPLAYED)
        assert replayed.original is JobState.SUCCEEDED

    async def next_life(process: Process) -> None:
        process.exporter.take(envelope)
        assert process.statuses("c1")[-1].reason is RefusalReason.REPLAYED

    run(site, life, next_life)
    assert len(site.audited("command")) == 1
    assert [len(held) for held in contents_of(site.store).values()] == [1, 1]


def test_another_command_under_a_used_id_is_refused(site: Site) -> None:
    """An id belongs to the bytes that came with it first, whoever signs the others."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        process.exporter.take(site.command("c1", window_of(0, 3)))
        assert process.statuses("c1")[-1].reason is RefusalReason.DUPLICATE_ID
        await process.until_ended("c1")

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}


def test_bytes_that_are_no_command_are_answered_without_an_id(site: Site) -> None:
    """What cannot be understood is told as such, to nobody in particular."""

    async def life(process: Process) -> None:
        for noise in (b"", b"\xff\x00", b"[" * 60_000, b'{"v":1}', bytes(70_000)):
            process.exporter.take(noise)
        answers = process.statuses()
        assert {(a.command, a.status, a.reason) for a in answers} == {
            ("", JobState.REJECTED, RefusalReason.BAD_ENVELOPE)
        }
        assert len(answers) == len(site.audited("refused")) == 5

    run(site, life)


def test_refusals_are_answered_up_to_a_number_a_minute(site: Site) -> None:
    """A flood costs a count, not the disk; the next minute is a new one, and good commands are taken all the time."""

    async def life(process: Process) -> None:
        for _ in range(REFUSALS_ANSWERED_PER_MINUTE_MAX + 10):
            process.exporter.take(b"noise")
        assert len(process.statuses()) == len(site.audited("refused")) == REFUSALS_ANSWERED_PER_MINUTE_MAX
        assert process.exporter.refused_unanswered == 10
        process.exporter.take(site.command("c1"))
        assert process.journal.job("c1") is not None
        site.clock.go_on(60)
        process.exporter.take(b"noise")
        assert len(site.audited("refused")) == REFUSALS_ANSWERED_PER_MINUTE_MAX + 1

    run(site, life)


def test_what_the_policy_does_not_allow_is_refused(site: Site) -> None:
    """A pause is a no at once; nothing is cut and nothing is sent."""
    site.allow(mode="sharing_off")

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.REJECTED, RefusalReason.SHARING_OFF)

    run(site, life)
    assert not site.store.seen


def test_a_hub_without_a_clock_refuses(site: Site) -> None:
    """Nothing that depends on time is decided before the time is known."""
    site.clock.trusted = False

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        assert process.statuses("c1")[-1].reason is RefusalReason.CLOCK_UNTRUSTED
        assert process.journal.job("c1") is None

    run(site, life)


def test_a_signer_who_is_revoked_gets_nothing_more(site: Site) -> None:
    """The key is revoked while the job waits for the store: it ends at once, without anybody's help."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        site.revoke_officer()
        end = await process.until_ended("c1")
        assert end.status is JobState.CANCELED
        assert not process.outbox.names()

    run(site, life)
    assert "c1.cam-1.manifest" not in contents_of(site.store)


def test_a_signer_who_is_revoked_while_the_hub_is_off_gets_nothing_more(site: Site) -> None:
    """The envelope is verified again after a restart, by the trust of today."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))

    async def next_life(process: Process) -> None:
        site.revoke_officer()
        process.exporter.resume()
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.REVOKED)

    run(site, life, next_life)
