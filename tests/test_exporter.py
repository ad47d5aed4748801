"""Story two from the message to the end of the job, on a real disk, with a real store and real cuts."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS, WallTime
from agent.command.request import RefusalReason
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from agent.errors import UnavailableError
from agent.teller import REFUSALS_ANSWERED_PER_MINUTE_MAX
from tests.simulators.clips import pictures_of, window_of
from tests.simulators.export_site import NOW, Process, Site, export_site, run
from tests.simulators.signing_store import contents_of
from tests.simulators.tus_server import Fault
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, OWNER

PICTURES = list(range(13, 48))  # of the window 0.5 s to 1.9 s
QUESTIONS = 6  # of the store, more than one that was under way


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose owner shares the camera."""
    with export_site(tmp_path) as made:
        yield made


def states(process: Process, command: str) -> list[JobState]:
    """Return the states that were told, without repetitions."""
    told = [status.status for status in process.statuses(command)]
    return [state for place, state in enumerate(told) if place == 0 or told[place - 1] is not state]


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow: every write that would do so fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


# ------------------------------------------------------------------ the whole way


def test_a_good_command_becomes_a_clip_at_the_store(site: Site) -> None:
    """Exactly the pictures of the window arrive, sealed; each step is told and written down; nothing is left behind."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        end = await process.until_ended("c1")
        assert end.status is JobState.SUCCEEDED
        assert (end.cameras[0].parts, end.cameras[0].pictures) == (1, 35)
        assert states(process, "c1") == [JobState.RECEIVED, JobState.IN_PROGRESS, JobState.SUCCEEDED]
        assert not process.outbox.names()

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}
    assert "c1.cam-1.manifest" in contents_of(site.store)
    assert [line["kind"] for line in site.audit_lines()] == ["command", "job", "sealed", "receipt", "receipt", "job"]


def test_the_job_is_stored_and_written_down_before_the_message_may_be_acknowledged(site: Site) -> None:
    """When `take` returns, another process that opens the files sees the job and its audit entry."""

    async def life(process: Process) -> None:
        envelope = site.command("c1")
        process.exporter.take(envelope)
        with sqlite3.connect(site.folder / "journal.db") as other:
            rows = other.execute("SELECT id, state, envelope FROM job").fetchall()
            told = other.execute("SELECT payload FROM outgoing").fetchall()
        other.close()
        assert rows == [("c1", "RECEIVED", envelope)]
        assert b'"RECEIVED"' in told[0][0]
        (entry,) = site.audited("command")
        assert entry["detail"]["sha256"] == sha256_hex(command_of(envelope).encode())
        assert not site.audited("job")  # nothing has been decided, let alone done
        assert not site.store.seen

    run(site, life)


def test_a_ping_is_answered_and_makes_no_job(site: Site) -> None:
    """Somebody asks whether the hub is there."""

    async def life(process: Process) -> None:
        process.exporter.take(AUTHORITY.ping(site.clock.now(), AUDIENCE, "p1"))
        (answer,) = process.statuses("p1")
        assert answer.status is JobState.SUCCEEDED
        assert process.journal.job("p1") is None

    run(site, life)


def test_footage_that_is_not_there_is_told_as_a_gap(site: Site) -> None:
    """The window begins before the recording: what there is arrives, and the end says how much is missing."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1", window_of(-2, 1)))
        end = await process.until_ended("c1")
        assert end.status is JobState.PARTIAL
        assert "2.000 s missing" in end.detail

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": list(range(25))}


def test_the_owners_masks_reach_the_clip_even_after_a_crash_and_a_looser_policy(site: Site) -> None:
    """What was masked when it was granted is in the journal with the grant, and stays masked."""
    lower_half = ((0, 4000), (10_000, 4000), (10_000, 10_000), (0, 10_000))
    site.allow(masks={"cam-1": [lower_half]})

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: (job := process.journal.job("c1")) and job.state is JobState.IN_PROGRESS)

    async def next_life(process: Process) -> None:
        assert (job := process.journal.job("c1")) is not None
        assert job.masks == {"cam-1": (lower_half,)}
        site.allow()
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}
    for picture in pictures_of(site.clips()["c1.cam-1.0000"]).values():
        assert picture[48:].std() < 1
        assert picture[:32].std() > 20


# ------------------------------------------------------------------------- replay


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


# ------------------------------------------------------------------------ refusal


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


# --------------------------------------------------------------- trust that ends


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


def test_a_pause_stops_a_running_job(site: Site) -> None:
    """The owner's no counts at once, not after the upload."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        site.allow(mode="sharing_off")
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.CANCELED, RefusalReason.SHARING_OFF)

    run(site, life)


def test_a_clock_that_is_set_back_and_right_again_ends_no_job(site: Site) -> None:
    """By the wrong time the trust bundle is not in date yet, but nobody has taken back anything."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        right = site.clock.now()
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        site.clock.set_to(WallTime(right - 24 * 3600 * SECOND_NS))
        asked = len(site.store.seen)
        await process.until(lambda: len(site.store.seen) > asked + QUESTIONS)
        site.clock.set_to(right)
        site.receipts.withheld = False
        end = await process.until_ended("c1")
        assert (end.status, end.reason) == (JobState.SUCCEEDED, None)

    run(site, life)
    assert site.delivered() == {"c1.cam-1.0000": PICTURES}


def test_a_store_that_takes_nothing_ends_the_job_as_timed_out(site: Site) -> None:
    """After the time we try, somebody is told."""
    site.give_up_h = 0.3 / 3600
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        end = await process.until_ended("c1")
        assert end.status is JobState.TIMED_OUT
        assert "no receipt" in end.detail

    run(site, life)


# ------------------------------------------------------------------------ restart


def test_a_job_goes_on_after_a_restart_with_the_same_sealed_bytes(site: Site) -> None:
    """A part is sealed once: what was sent before the crash and what is sent after it are the same file."""
    site.store.faults.extend([Fault.ERROR_500] * 3)
    site.receipts.withheld = True
    sealed: dict[str, bytes] = {}

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until(lambda: site.audited("sealed"))
        sealed.update({name: process.outbox.path(name).read_bytes() for name in process.outbox.names()})

    async def next_life(process: Process) -> None:
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)
    assert contents_of(site.store)["c1.cam-1.0000"][-1] == sealed["c1.cam-1.0000.mp4.age"]
    assert len(site.audited("sealed")) == 1
    assert [line["detail"]["state"] for line in site.audited("resumed")] == ["IN_PROGRESS"]


def test_a_job_whose_first_step_was_never_taken_is_found_after_a_restart(site: Site) -> None:
    """The power goes right after the acknowledgement: the command is not lost, even if it has expired meanwhile."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))

    async def next_life(process: Process) -> None:
        site.clock.go_on(3600)
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_a_restarted_job_waits_for_the_clock(site: Site) -> None:
    """Without a known time a resumed job does nothing; as soon as there is one, it goes on."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))

    async def next_life(process: Process) -> None:
        site.clock.trusted = False
        process.exporter.resume()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not site.audited("job")
        site.clock.trusted = True
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


def test_a_command_that_could_not_be_written_down_starts_when_it_comes_again(site: Site) -> None:
    """The disk is full: the message stays with the broker, nothing is half done, and the next try is as the first."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        with full_disk(), pytest.raises(UnavailableError):
            process.exporter.take(envelope)
        assert not process.statuses()
        process.exporter.take(envelope)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        assert len(site.audited("command")) == 1

    run(site, life)


def test_a_command_that_could_not_be_stored_starts_when_it_comes_again(site: Site) -> None:
    """The journal alone is full: the log names the command once more, and the job runs once."""
    envelope = site.command("c1")

    async def life(process: Process) -> None:
        journal = process.journal._connection
        pages = journal.execute("PRAGMA page_count").fetchone()[0]
        journal.execute(f"PRAGMA max_page_count={pages}").close()
        with pytest.raises(UnavailableError, match="full"):
            process.exporter.take(envelope)
        journal.execute("PRAGMA max_page_count=100000").close()
        process.exporter.take(envelope)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert [len(held) for held in contents_of(site.store).values()] == [1, 1]


def test_a_disk_that_fails_in_the_middle_stops_the_job_for_a_while_only(site: Site) -> None:
    """The job meets the full disk after it was taken; it goes on after a restart, and nothing else has ended."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        with full_disk():
            for _ in range(20):
                await asyncio.sleep(0)
        assert (job := process.journal.job("c1")) is not None
        assert job.state in {JobState.RECEIVED, JobState.IN_PROGRESS}

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life, next_life)


# ---------------------------------------------------------------- the owner's word


ASKED_S = 3  # how long a question is open whose end a test waits for


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


def test_what_a_crash_left_in_the_outbox_is_removed_at_the_next_start(site: Site) -> None:
    """A sealed file whose job has ended takes no room for ever."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command("c1"))
        await process.until_ended("c1")
        process.outbox.write("c1.cam-1.0000.mp4.age", lambda append: append(b"sealed"))

    async def next_life(process: Process) -> None:
        process.exporter.resume()
        assert not process.outbox.names()

    run(site, life, next_life)
