"""The owner is asked, and whatever ends a question is told in the same words at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState, Status
from agent.clips.teller import REFUSALS_ANSWERED_PER_MINUTE_MAX
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from tests.simulators.export_site import NOW, Process, Site, export_site, run
from tests.simulators.signing_store import contents_of
from tests.test_exporter import PICTURES, states
from tests.vectors.command.scene import OWNER

ASKED_S = 3  # how long a question is open whose end a test waits for


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


def asked(site: Site, answer: Callable[[bytes], str] | None, **claims: object) -> tuple[JobState, RefusalReason | None]:
    """Ask the owner; give their answer; return how it ended."""
    envelope = site.command("c1", **claims)
    ended: list[tuple[JobState, RefusalReason | None]] = []

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        assert process.statuses("c1")[-1].answer_by
        if answer:
            process.exporter.answer(answer(envelope))
        end = await process.until_ended("c1")
        ended.append((end.status, end.reason))

    run(site, life)
    return ended[0]


def answer_to(envelope: bytes, decision: str, **claims: object) -> str:
    """Sign the owner's answer."""
    return OWNER.answer(NOW, sha256_hex(command_of(envelope).encode()), decision, **claims)


def question(site: Site, answer: Callable[[bytes], str] | None) -> tuple[list[Status], float]:
    """Ask for some seconds and give an answer; return what the server was told, and after how many seconds it ended."""
    envelope = site.command("c1", exp=NOW // SECOND_NS + ASKED_S)
    told: list[Status] = []
    took_s: list[float] = []

    async def life(process: Process) -> None:
        began = time.monotonic()
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        if answer:
            process.exporter.answer(answer(envelope))
            await process.until(lambda: site.audited("owner_answered"))
        await process.until_ended("c1")
        took_s.append(time.monotonic() - began)
        told.extend(process.statuses("c1"))

    run(site, life)
    assert not site.store.seen
    return told, took_s[0]


def test_the_owner_says_yes(site: Site) -> None:
    """Then the clip goes, and the log says who said it."""
    site.allow(mode="ask_first")
    assert asked(site, lambda envelope: answer_to(envelope, "yes")) == (JobState.SUCCEEDED, None)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}
    assert [line["detail"]["says"] for line in site.audited("owner_answered")] == ["yes"]


def test_the_owner_says_yes_to_less(site: Site) -> None:
    """Only what they said yes to leaves the hub."""
    site.allow(mode="ask_first")
    narrow = {"start": "2026-11-18T11:06:41.000Z", "end": "2026-11-18T11:06:41.500Z"}
    asked(site, lambda envelope: answer_to(envelope, "yes", window=narrow))
    (numbers,) = site.delivered().values()
    assert set(numbers) < set(PICTURES)
    assert len(numbers) in {12, 13}


@pytest.mark.parametrize("decision", [None, "no", "yes-to-nothing", "yes-while-sharing-is-off"])
def test_a_no_is_told_as_and_when_silence_is(site: Site, decision: str | None) -> None:
    """The same words at the deadline, whatever the owner did before it: the server cannot tell whether they looked."""
    site.allow(mode="ask_first")

    def answer(envelope: bytes) -> str:
        if decision == "yes-while-sharing-is-off":
            site.allow(mode="sharing_off")
            return answer_to(envelope, "yes")
        return answer_to(envelope, "yes", cameras=[]) if decision == "yes-to-nothing" else answer_to(envelope, "no")

    told, took_s = question(site, answer if decision else None)
    assert took_s >= ASKED_S - 0.1
    assert [(status.status, status.notify) for status in told] == [
        (JobState.RECEIVED, False),
        (JobState.AWAITING_OWNER, False),
        (JobState.AWAITING_OWNER, True),
        (JobState.REJECTED, False),
    ]
    assert (told[-1].reason, told[-1].detail) == (RefusalReason.OWNER_DECLINED, "")
    says = [line["detail"]["says"] for line in site.audited("owner_answered")]
    assert says == [{None: "nothing", "no": "no"}.get(decision, "yes")]


def test_nobody_is_woken_in_quiet_hours(site: Site) -> None:
    """The question waits like any other, but the server is not told to bring it; at its deadline it is a no."""
    site.allow(mode="ask_first", zone="Europe/Berlin", quiet=[{"from": "00:00", "to": "24:00"}])
    told, took_s = question(site, None)
    assert took_s >= ASKED_S - 0.1
    assert not any(status.notify for status in told)
    assert told[-1].reason is RefusalReason.OWNER_DECLINED


def test_an_answer_that_is_not_the_owners_leaves_the_question_open(site: Site) -> None:
    """A forged, foreign or damaged answer is written down and changes nothing; the true one still counts."""
    site.allow(mode="ask_first")
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        good = answer_to(envelope, "yes")
        for bad in ("", "a.b.c", "\ufffd" * 50, good[:-4] + "AAAA", OWNER.policy(NOW, 9)):
            process.exporter.answer(bad)
        process.exporter.answer(OWNER.answer(NOW, "0" * 64, "yes"))  # to a question that nobody asked
        assert len(site.audited("answer_refused")) == 6
        job = process.journal.job("c1")
        assert job is not None
        assert job.state is JobState.AWAITING_OWNER
        process.exporter.answer(good)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)


def test_a_flood_of_answers_is_not_written_down_without_end(site: Site) -> None:
    """The topic for answers costs the disk no more than the topic for commands."""

    async def life(process: Process) -> None:
        for _ in range(REFUSALS_ANSWERED_PER_MINUTE_MAX + 20):
            process.exporter.answer("noise")
        assert len(site.audited("answer_refused")) == REFUSALS_ANSWERED_PER_MINUTE_MAX

    run(site, life)


def test_a_question_survives_a_restart(site: Site) -> None:
    """The owner may answer after the hub was off; the deadline is the one that was set first."""
    site.allow(mode="ask_first")
    envelope = site.command("c1")
    deadlines: list[str] = []

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        deadlines.append(process.statuses("c1")[-1].answer_by)

    async def next_life(process: Process) -> None:
        site.clock.go_on(10)
        process.exporter.resume()
        process.exporter.take(envelope)  # the broker redelivers: the state is told again
        deadlines.append(process.statuses("c1")[-1].answer_by)
        await asyncio.sleep(0)  # the job's task begins
        process.exporter.answer(answer_to(envelope, "yes"))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert deadlines[0] == deadlines[1]


def test_an_answer_is_stored_before_its_message_may_be_acknowledged(site: Site) -> None:
    """The power goes right after the owner's yes was taken: nobody has to ask them again."""
    site.allow(mode="ask_first")
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        process.exporter.answer(answer_to(envelope, "yes"))

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_the_owner_may_take_a_yes_back(site: Site) -> None:
    """A no after the yes stops the running job; a second yes does not start it again."""
    site.allow(mode="ask_first")
    site.receipts.withheld = True
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        process.exporter.take(envelope)
        await process.until(lambda: states(process, "c1")[-1] is JobState.AWAITING_OWNER)
        process.exporter.answer(answer_to(envelope, "yes"))
        await process.until(lambda: site.audited("sealed"))
        process.exporter.answer(answer_to(envelope, "no"))
        process.exporter.answer(answer_to(envelope, "yes", cameras=["cam-1"]))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.OWNER_DECLINED)

    run(site, life)
    assert "c1.cam-1.manifest" not in contents_of(site.store)
