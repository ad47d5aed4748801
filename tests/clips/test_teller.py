"""Every word about a command reaches the owner's log first, then the server, and no flood gets all its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobEvent, JobState, Status
from agent.clips.teller import REFUSALS_ANSWERED_PER_MINUTE_MAX, Teller
from agent.clock import SECOND_NS, WallTime, rfc3339
from agent.command.envelope import verify
from agent.command.orders import VerifiedHold, VerifiedJobOrder
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand, Vouched
from agent.command.trust import open_first_bundle
from agent.errors import UnavailableError
from agent.evidence.audit import DETAILS_MAX
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from tests.simulators.full_disk import full_disk
from tests.simulators.set_clock import SetClock
from tests.vectors.command import scene

NOW = WallTime(1_800_000_000 * SECOND_NS)
_VOUCHED = [field.name for field in fields(Vouched)]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@dataclass
class Desk:
    """A teller with its real journal and log."""

    teller: Teller
    journal: Database
    audit: AuditFile
    clock: SetClock

    def said(self) -> list[Status]:
        """Read what waits for the server."""
        return [msgspec.json.decode(message.payload, type=Status) for message in self.journal.outgoing(0, 1000)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Set one up in a folder of its own."""
    clock = SetClock(NOW)
    journal = Database(tmp_path / "journal.db", "hub/v1/H/evt/cmd")
    audit = AuditFile(tmp_path / "audit.jsonl", "H", KEY, clock)
    yield Desk(Teller(journal, audit, clock), journal, audit, clock)
    audit.close()
    journal.close()


def test_a_transition_is_in_the_log_the_journal_and_the_outbox(desk: Desk) -> None:
    """Owner, restart and server all learn the same state and reason."""
    job = Job("cmd-1", b"{}", NOW)
    desk.journal.open_job(job, "aa", NOW)
    moved = desk.teller.move(job, JobEvent.REFUSED, RefusalReason.SHARING_OFF, "sharing is off")
    assert moved.state is JobState.REJECTED
    assert desk.journal.job("cmd-1") == moved
    (status,) = desk.said()
    assert (status.status, status.reason, status.detail) == (moved.state, moved.reason, "sharing is off")
    (entry,) = desk.audit.latest(10)
    assert (entry.kind, entry.ref, entry.detail["state"]) == ("job", "cmd-1", "REJECTED")


def test_the_log_says_what_was_asked_and_what_a_yes_covers(desk: Desk) -> None:
    """For ever, also when the journal has forgotten the job: window, cameras, recipients, kind of incident."""
    envelope = scene.AUTHORITY.clip_upload(scene.NOW, scene.AUDIENCE, "cmd-1", scene.params())
    trust = open_first_bundle(scene.AUTHORITY.trust_bundle(scene.trust_claims()))
    command = verify(envelope, trust, scene.AUDIENCE, scene.NOW, is_clock_trusted=True)
    assert isinstance(command, VerifiedCommand)
    desk.teller.note_command(command)
    job = Job("cmd-1", envelope, NOW, cameras=(CameraId("front"),), window=scene.WINDOW)
    desk.journal.open_job(job, command.sha256, NOW)
    desk.teller.move(job, JobEvent.GRANTED, granted=NOW)
    granted, asked = desk.audit.latest(2)
    span = f"{rfc3339(scene.WINDOW.start)}/{rfc3339(scene.WINDOW.end)}"
    assert asked.detail["asked"] == f"{span} front,back"
    assert (asked.detail["type"], asked.detail["recipients"]) == ("alarm.burglary", "vault")
    assert granted.detail["covers"] == f"{span} front"


def test_the_longest_command_fits_its_entry(desk: Desk) -> None:
    """Also one of a second officer: an entry has a limited number of particulars."""
    envelope = scene.AUTHORITY.clip_upload(scene.NOW, scene.AUDIENCE, "cmd-1", scene.params())
    trust = open_first_bundle(scene.AUTHORITY.trust_bundle(scene.trust_claims()))
    command = verify(envelope, trust, scene.AUDIENCE, scene.NOW, is_clock_trusted=True)
    assert isinstance(command, VerifiedCommand)
    approved = replace(command, approved_by=("officer:2", "officer:3"))
    order = VerifiedJobOrder(**{name: getattr(command, name) for name in _VOUCHED}, job="cmd-0", asked=approved)
    hold = VerifiedHold(**{name: getattr(command, name) for name in _VOUCHED}, asked=approved, until=NOW)
    for one in (approved, order, hold):
        desk.teller.note_command(one)
        assert len(desk.audit.latest(1)[0].detail) <= DETAILS_MAX


def test_what_cannot_be_written_down_does_not_happen(desk: Desk) -> None:
    """When the disk takes no more, neither the journal nor the server hears of the transition."""
    job = Job("cmd-1", b"{}", NOW)
    desk.journal.open_job(job, "aa", NOW)
    with full_disk(), pytest.raises(UnavailableError):
        desk.teller.move(job, JobEvent.GRANTED, granted=NOW)
    assert desk.journal.job("cmd-1") == job
    assert desk.said() == []


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (JobState.RECEIVED, JobState.REJECTED),
        (JobState.AWAITING_OWNER, JobState.REJECTED),
        (JobState.IN_PROGRESS, JobState.CANCELED),
    ],
)
def test_a_no_ends_a_job_in_every_open_state(desk: Desk, state: JobState, end: JobState) -> None:
    """Before anything was granted it is a refusal, afterwards a withdrawal."""
    job = Job("cmd-1", b"{}", NOW, state=state)
    desk.journal.open_job(job, "aa", NOW)
    desk.teller.end_refused(job, Refusal(RefusalReason.REVOKED, "", "cmd-1"))
    ended = desk.journal.job("cmd-1")
    assert ended is not None
    assert ended.state is end


def test_a_flood_is_counted_not_answered(desk: Desk) -> None:
    """So many refusals a minute are told and written down; a new minute brings a new budget."""
    for number in range(REFUSALS_ANSWERED_PER_MINUTE_MAX + 7):
        desk.teller.refuse(Refusal(RefusalReason.BAD_ENVELOPE, "", f"x{number}"))
    assert len(desk.said()) == desk.audit.head()[0] == REFUSALS_ANSWERED_PER_MINUTE_MAX
    assert desk.teller.unanswered == 7
    desk.clock.go_on(60)
    desk.teller.refuse(Refusal(RefusalReason.BAD_ENVELOPE, "", "later"))
    assert desk.said()[-1].command == "later"


def test_a_replay_is_told_what_became_of_the_first(desk: Desk) -> None:
    """The refusal carries the end of the job that the command had."""
    desk.teller.refuse(Refusal(RefusalReason.REPLAYED, "", "cmd-1"), JobState.SUCCEEDED)
    assert desk.said()[0].original is JobState.SUCCEEDED


def test_a_flood_of_refusals_does_not_silence_a_ping(desk: Desk) -> None:
    """Whoever forges thousands of commands uses up the answers to forgeries, not those to good messages."""
    for number in range(REFUSALS_ANSWERED_PER_MINUTE_MAX + 7):
        desk.teller.refuse(Refusal(RefusalReason.BAD_SIGNATURE, "", f"forged-{number}"))
    job = Job("again-1", b"{}", NOW)
    desk.journal.open_job(job, "aa", NOW)
    for _ in range(REFUSALS_ANSWERED_PER_MINUTE_MAX + 7):
        desk.teller.tell_again(job)
    vouched = ("ab", "key", "dispatcher:1", "dispatcher", "agency", "root", "hub.ping", NOW, NOW)
    desk.teller.answer_ping(VerifiedPing("ping-1", *vouched))
    said = Counter(status.command for status in desk.said())
    assert said["again-1"] == REFUSALS_ANSWERED_PER_MINUTE_MAX
    assert said["ping-1"] == 1
    assert desk.teller.unanswered == 14
