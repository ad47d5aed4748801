"""Silence is a no at the deadline: no suspension, restart, or clock that somebody sets makes that any later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, incident_site, run
from tests.vectors.command.scene import OWNER

ANSWER_S = 240
DAY_S = 24 * 3600
RUNNING, LONGER = window_of(0.5, 3.4), window_of(0.5, 3.8)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner has four minutes to answer."""
    with export_site(tmp_path) as made:
        made.allow(mode="ask_first", answer_s_max=ANSWER_S)
        yield made


def set_by(site: Site, seconds: float) -> None:
    """Set the hub's clock."""
    site.clock.set_to(WallTime(site.clock.now() + round(seconds * SECOND_NS)))


def yes(site: Site, envelope: bytes) -> str:
    """Sign the owner's yes."""
    return OWNER.answer(site.clock.now(), sha256_hex(command_of(envelope).encode()), "yes")


async def asked(process: Process, envelope: bytes, command: str = "c1") -> None:
    """Send a command and wait for the question."""
    process.exporter.take(envelope)
    await process.until(lambda: (job := process.journal.job(command)) and job.state is JobState.AWAITING_OWNER)


async def declined(process: Process) -> None:
    """Wait for the end of a question to which nobody has said yes."""
    end = await process.until_ended("c1")
    assert (end.status, end.reason, end.detail) == (JobState.REJECTED, RefusalReason.OWNER_DECLINED, "")


def sleep(site: Site) -> None:
    """Suspend the hub for as long: its loop's clock stands still meanwhile."""
    site.clock.go_on(ANSWER_S)


def sleep_and_set_back(site: Site) -> None:
    """Set its clock back too."""
    site.clock.go_on(ANSWER_S)
    set_by(site, -DAY_S)


def set_back_first(site: Site) -> None:
    """Set its clock back, and let the time pass."""
    set_by(site, -DAY_S)
    site.clock.go_on(ANSWER_S)


def set_ahead(site: Site) -> None:
    """Set its clock ahead: the deadline that was told has passed by it."""
    set_by(site, ANSWER_S)


@pytest.mark.parametrize("happens", [sleep, sleep_and_set_back, set_back_first, set_ahead])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["it goes on", "it restarts"])
def test_silence_is_a_no_at_the_deadline(site: Site, happens: Callable[[Site], None], *, is_restarted: bool) -> None:
    """Whatever the hub and its clock have done meanwhile; and a yes that comes then is none."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        if not is_restarted:
            happens(site)
            process.exporter.answer(yes(site, envelope))
            await declined(process)

    async def next_life(process: Process) -> None:
        happens(site)
        process.exporter.answer(yes(site, envelope))  # the broker has kept it
        process.exporter.resume()
        await declined(process)

    run(site, life, *([next_life] if is_restarted else []))
    assert not site.store.seen
    assert len(site.audited("answer_refused")) == 1


def test_what_had_passed_before_a_restart_counts_after_it(site: Site) -> None:
    """200 s, a restart with a clock that was set back by a day, and 40 s more are all there was to answer in."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)

    async def next_life(process: Process) -> None:
        site.clock.go_on(200)
        set_by(site, -DAY_S)
        process.exporter.resume()
        await process.until(lambda: any(status.notify for status in process.statuses("c1")))
        site.clock.go_on(40)
        await declined(process)

    run(site, life, next_life)


def test_an_answer_in_time_counts_however_the_clock_was_set(site: Site) -> None:
    """The hub's clock is set back by a minute, and the owner answers in time."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        set_by(site, -60)
        site.clock.go_on(ANSWER_S - 60)
        process.exporter.answer(yes(site, envelope))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)


def test_a_question_ends_with_the_trust_in_who_asks(site: Site) -> None:
    """Its signer is revoked: the owner is not asked on, and a yes would tell the server that there was one."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        await asked(process, envelope)
        site.revoke_officer()
        process.exporter.answer(yes(site, envelope))
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.REJECTED, RefusalReason.REVOKED)

    run(site, life)
    assert not site.audited("sealed")
    assert JobState.IN_PROGRESS.value not in [line["detail"]["state"] for line in site.audited("job")]


def test_a_hold_ends_however_its_clock_is_set_back(site: Site) -> None:
    """Footage is kept apart for as long as was asked for, and no longer."""

    async def life(process: Process) -> None:
        process.exporter.take(site.order("clip.hold", "h1", hold_s=ANSWER_S))
        await process.until(lambda: (job := process.journal.job("h1")) and job.state is JobState.HELD)
        set_by(site, -200)
        site.clock.go_on(ANSWER_S)
        assert (await process.until_ended("h1")).status is JobState.TIMED_OUT
        await process.until(lambda: not process.holds.held())

    run(site, life)


# ------------------------------------------------------------------ orders about a job


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    """Make a site in the middle of an incident."""
    with incident_site(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("action", "covered"), [("clip.cancel", RUNNING), ("clip.extend", LONGER)])
def test_an_order_is_judged_by_no_time_before_its_receipt(running: Site, action: str, covered: Window) -> None:
    """The clock is set back by a day right after it came: by that the trust bundle is not in date yet."""
    site = running

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", RUNNING))
        await process.until(lambda: site.audited("receipt"))
        right = site.clock.now()
        process.exporter.take(site.order(action, "o1", covered, job="c1"))
        set_by(site, -DAY_S)
        end = await process.until_ended("o1")
        assert (end.status, end.reason) == (JobState.SUCCEEDED, None)
        site.clock.set_to(WallTime(right + 20 * SECOND_NS))
        await process.until_ended("c1")

    run(site, life)
