"""The owner's questions: the most urgent first, with exactly what a yes would cover."""

from __future__ import annotations

from dataclasses import replace

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobState
from agent.clock import SECOND_NS, WallTime
from agent.command.trust import open_first_bundle
from agent.consent.policy import Policy
from agent.crypto import sha256_hex
from agent.demo.authority import clip_params, command_of
from agent.owner.accesses import Manner
from agent.owner.questions import SHOWN_MAX, questions
from agent.owner.words import OWNERS_COPY, Times
from tests.vectors.command.scene import (
    AUDIENCE,
    AUTHORITY,
    NOW,
    QUANTUM_VAULT,
    VAULT,
    WINDOW,
    params,
    trust_claims,
)

TRUST = open_first_bundle(AUTHORITY.trust_bundle(trust_claims()))
NAMES = {CameraId("front"): "Front door"}
MANNER = Manner(NAMES, TRUST, Times(None))
ENVELOPE = AUTHORITY.clip_upload(NOW, AUDIENCE, "c1", params(reason="Broken window"))
JOB = Job(
    "c1",
    ENVELOPE,
    NOW,
    JobState.AWAITING_OWNER,
    deadline=WallTime(NOW + 600 * SECOND_NS),
    cameras=(CameraId("front"), CameraId("back")),
    window=WINDOW,
    sound=(CameraId("back"),),
)


def test_a_question_says_what_a_yes_covers() -> None:
    """Cameras, sound and window are the journal's, to the nanosecond; who and why are the command's."""
    (one,) = questions([JOB], MANNER)
    assert one.sha256 == sha256_hex(command_of(ENVELOPE).encode())
    assert [choice.words for choice in one.cameras] == ["Front door (front)", "back"]
    assert [choice.id for choice in one.sound] == ["back"]
    assert (one.start_ns, one.end_ns, one.seconds) == (WINDOW.start, WINDOW.end, 300)
    assert (one.who, one.reason, one.basis) == ("officer:1", "Broken window", "your consent")
    assert one.deadline_ms == (NOW + 600 * SECOND_NS) // 1_000_000
    assert not one.is_extension


def test_the_owners_own_copy_is_told() -> None:
    """Who can open a clip is said before the answer, the owner among them if the policy wants a copy for their key."""
    (one,) = questions([JOB], MANNER, Policy(hub="h", version=1, iat=0, owner_copy=(VAULT,)))
    assert one.recipients == ("vault", OWNERS_COPY)
    (other,) = questions([JOB], MANNER, Policy(hub="h", version=1, iat=0, owner_copy=(QUANTUM_VAULT,)))
    assert other.recipients == ("vault",)


def test_only_what_can_still_be_answered_is_asked() -> None:
    """A job that is answered, stopped, running or ended is no question."""
    closed = [
        replace(JOB, answer="a"),
        replace(JOB, stopped_by="c2"),
        replace(JOB, state=JobState.IN_PROGRESS),
        replace(JOB, state=JobState.REJECTED),
        replace(JOB, window=None),
    ]
    assert questions(closed, MANNER) == []


def test_the_most_urgent_comes_first_and_there_are_never_too_many() -> None:
    """A page of a hub that is asked without end stays a page."""
    jobs = [replace(JOB, id=f"c{number}", deadline=WallTime(NOW + number)) for number in reversed(range(50))]
    assert [one.id for one in questions(jobs, MANNER)] == [f"c{n}" for n in range(SHOWN_MAX)]


def test_a_longer_clip_is_a_question_too() -> None:
    """An extension is asked for under its own command."""
    told = clip_params(WINDOW, recipients=["vault"], upload={}, cameras=["front"], job="c1")
    del told["upload"]
    envelope = AUTHORITY.order(NOW, AUDIENCE, "c2", action="clip.extend", params=told)
    (one,) = questions([replace(JOB, id="c2", envelope=envelope, action="clip.extend")], MANNER)
    assert one.is_extension
    assert one.sha256 == sha256_hex(command_of(envelope).encode())


def test_a_command_of_another_version_is_passed_over() -> None:
    """What this version cannot read, it does not ask about."""
    assert questions([replace(JOB, envelope=b"{}")], MANNER) == []
