"""The owner's word, enforced on the hub: asked, narrowed, silent, paused; nobody else's word counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import msgspec
import pytest

from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.crypto import sha256_hex
from agent.demo.alarm import Alarm, raise_alarm
from agent.demo.authority import Owner, command_of, seconds, sharing_claims, window_claim
from agent.demo.site import Site
from tests.stories.acts import (
    alarm_about,
    audit_entries,
    camera_ids,
    checked_audit,
    in_store,
    judged,
    now,
    record_for,
    statuses,
    wait_for,
    wait_until,
    whole_site,
)

WINDOW_S = 4
LIMITS = {"window_s_max": 60, "ahead_s_max": 30, "uploads_per_day_max": 1000}
PART_S = 4  # how often a running incident is sent, at least


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site whose owner shares both cameras without being asked."""
    with whole_site(tmp_path_factory.mktemp("consent")) as site:
        yield site


@pytest.fixture(scope="module")
def window(site: Site) -> Window:
    """Return a window that was recorded before anything is killed."""
    return record_for(site, WINDOW_S)


@pytest.fixture(scope="module")
def versions() -> Iterator[int]:
    """Return the numbers of the owner's policies to come; pairing has signed number 1."""
    return count(2)


@pytest.fixture(scope="module")
def names(site: Site) -> dict[str, str]:
    """Return the hub's names of the two cameras."""
    return camera_ids(site)


@pytest.fixture
def asking(site: Site, versions: Iterator[int], names: dict[str, str]) -> Site:
    """Return the site after its owner has signed that she wants to be asked."""
    site.allow(next(versions), list(names.values()), mode="ask_first", **LIMITS)
    return site


def ask(site: Site, command: str, window: Window, **claims: object) -> tuple[Alarm, Status]:
    """Raise an alarm that the owner must be asked about, and return what the hub says to it."""
    alarm = alarm_about(site, command, window, **claims)
    return alarm, wait_for(lambda: awaiting(site, command), 10, "the question")


def awaiting(site: Site, command: str) -> Status | None:
    """Find the status that says that the owner is being asked."""
    found = [status for status in statuses(site, command) if status.status is JobState.AWAITING_OWNER]
    return found[0] if found else None


def answer(site: Site, alarm: Alarm, decision: str, *, owner: Owner | None = None, **claims: object) -> None:
    """Sign the owner's answer and publish it."""
    digest = sha256_hex(command_of(alarm.envelope).encode())
    site.console.publish("answer", (owner or site.owner).answer(now(), digest, decision, **claims).encode())


def refused_documents(site: Site, kind: str) -> int:
    """Count the documents that the hub would not take."""
    return sum(entry.kind == kind for entry in audit_entries(site))


def test_owners_yes_lets_the_clip_go(asking: Site, window: Window, tmp_path: Path) -> None:
    """Nothing goes before the owner's yes, and exactly the window after it."""
    alarm, asked = ask(asking, "yes-1", window)
    assert parse_rfc3339(asked.answer_by) > now()
    assert in_store(asking, alarm.id) == set()
    answer(asking, alarm, "yes")
    _, end = asking.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    clips = judged(asking, alarm, tmp_path)
    assert [clip.is_exact for clip in clips] == [True, True]
    kinds = [entry.kind for entry in audit_entries(asking, alarm.id)]
    assert kinds.index("owner_answered") < kinds.index("sealed")


def test_owner_may_give_less_than_was_asked(
    asking: Site, window: Window, names: dict[str, str], tmp_path: Path
) -> None:
    """A yes to one camera and half of the window brings exactly that, and the manifest says so."""
    alarm, _ = ask(asking, "narrowed-1", window)
    given = Window(WallTime(alarm.window.start + SECOND_NS), WallTime(alarm.window.end - SECOND_NS))
    answer(asking, alarm, "yes", cameras=[names["Front door"]], window=window_claim(given))
    _, end = asking.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    clips = judged(asking, replace(alarm, window=given), tmp_path)
    assert [clip.name for clip in clips] == ["Front door"]
    assert clips[0].is_exact
    assert clips[0].frames < WINDOW_S * asking.scene.fps
    assert {part.split(".")[0] for part in in_store(asking, alarm.id)} == {names["Front door"]}


def test_a_no_and_silence_look_the_same(asking: Site, window: Window) -> None:
    """Whether the owner refuses or does not answer, the server reads the same word, and nothing leaves."""
    no, asked_first = ask(asking, "no-1", window, exp=seconds(now()) + 4)
    answer(asking, no, "no")
    silent, asked = ask(asking, "silence-1", window, exp=seconds(now()) + 4)
    _, said_no = asking.console.wait_end(no.id, 10)
    assert now() >= parse_rfc3339(asked_first.answer_by)
    _, said_nothing = asking.console.wait_end(silent.id, 10)
    assert now() >= parse_rfc3339(asked.answer_by)
    assert said_no.reason == "owner_declined"
    assert msgspec.structs.replace(said_no, command="", at="") == msgspec.structs.replace(
        said_nothing, command="", at=""
    )
    assert [status.status for status in statuses(asking, no.id)] == [
        status.status for status in statuses(asking, silent.id)
    ]
    assert in_store(asking, no.id) == in_store(asking, silent.id) == set()


def test_footage_of_a_pause_is_not_shared_after_it(
    site: Site, versions: Iterator[int], names: dict[str, str], tmp_path: Path
) -> None:
    """A window that touches it is refused when sharing is on again; one that begins after it is not."""
    site.allow(next(versions), list(names.values()), mode="sharing_off", **LIMITS)
    paused = record_for(site, 1)
    site.allow(next(versions), list(names.values()), **LIMITS)
    after = record_for(site, 2)
    touching = alarm_about(site, "touching-1", Window(paused.start, after.end))
    _, end = site.console.wait_end(touching.id, 10)
    assert (end.status, end.reason, end.detail) == (JobState.REJECTED, "sharing_off", "")
    good = alarm_about(site, "after-1", after)
    _, end = site.console.wait_end(good.id, 20)
    assert end.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(site, good, tmp_path)] == [True, True]
    assert in_store(site, touching.id) == set()


def test_recording_off_stops_recording_and_says_so(site: Site, versions: Iterator[int], names: dict[str, str]) -> None:
    """Each camera is left and told as not recorded; nothing more is on the disk until recording is on again."""
    site.allow(next(versions), list(names.values()), mode="recording_off", **LIMITS)
    site.console.wait_presence(
        lambda hub: all(camera.state == "recording off" for camera in site.own(hub)), 10, "recording to stop"
    )
    off = record_for(site, 1)
    site.allow(next(versions), list(names.values()), **LIMITS)
    site.console.wait_presence(
        lambda hub: all(camera.state == "recording" for camera in site.own(hub)), 20, "recording to go on"
    )
    alarm = alarm_about(site, "off-1", off)
    _, end = site.console.wait_end(alarm.id, 10)
    assert (end.status, end.reason) == (JobState.REJECTED, "sharing_off")


def test_pause_stops_a_running_incident(
    site: Site, versions: Iterator[int], names: dict[str, str], tmp_path: Path
) -> None:
    """After the owner's pause at most the part on its way goes out; the manifests tell exactly what went before."""
    site.allow(next(versions), list(names.values()), **LIMITS)
    record_for(site, 3)  # of the time when sharing was off nothing is shared
    alarm = raise_alarm(site, "running-1", before_s=3, after_s=12)
    wait_for(lambda: len(in_store(site, alarm.id)) >= 2, 15, "the first parts")
    paused_at = now()
    site.allow(next(versions), list(names.values()), mode="sharing_off", **LIMITS)
    _, end = site.console.wait_end(alarm.id, PART_S + 2)
    assert (end.status, end.reason) == (JobState.CANCELED, "sharing_off")
    stored = in_store(site, alarm.id)
    wait_until(WallTime(alarm.window.end + 2 * SECOND_NS))
    assert in_store(site, alarm.id) == stored  # the rest of the incident has passed meanwhile
    assert {upload.stored_at is not None for upload in site.central.store.uploads.values()} == {True}
    assert {part.split(".")[0] for part in stored if part.endswith("manifest")} == set(names.values())
    clips = judged(site, alarm, tmp_path)
    assert [clip.parts for clip in clips] == [
        len([part for part in stored if part.startswith(f"{clip.camera}.")]) - 1 for clip in clips
    ]
    for clip in clips:
        assert (clip.frames_outside, clip.frames_doubled, clip.frames_unreadable) == (0, 0, 0)
        assert clip.frames <= ((paused_at - alarm.window.start) / SECOND_NS + PART_S) * site.scene.fps
        assert clip.frames_missing > 0


# From here on the hub is killed: after that the policy of before counts for up to a minute more.


def test_question_survives_a_restart(asking: Site, window: Window, tmp_path: Path) -> None:
    """A hub that is killed while the owner thinks keeps the question and its deadline, and takes the answer later."""
    alarm, asked = ask(asking, "restart-1", window)
    asking.hub.kill()
    asking.restart_hub()
    asking.console.publish("cmd", alarm.envelope)  # once more: the hub says how it stands
    again = wait_for(
        lambda: [one for one in statuses(asking, alarm.id) if one.status is JobState.AWAITING_OWNER][1:], 20, "it"
    )
    assert again[0].answer_by == asked.answer_by
    answer(asking, alarm, "yes")
    _, end = asking.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(asking, alarm, tmp_path)] == [True, True]


def test_deadline_passes_while_the_hub_is_down(asking: Site, window: Window) -> None:
    """A question whose deadline passed without power is a no when the power is back, even if a yes comes then."""
    alarm, asked = ask(asking, "late-1", window, exp=seconds(now()) + 2)
    asking.hub.kill()
    wait_until(parse_rfc3339(asked.answer_by))
    answer(asking, alarm, "yes")
    asking.restart_hub()
    _, end = asking.console.wait_end(alarm.id, 20)
    assert (end.status, end.reason) == (JobState.REJECTED, "owner_declined")
    assert in_store(asking, alarm.id) == set()


def test_only_the_owner_can_answer(asking: Site, window: Window) -> None:
    """A yes by another key, or to another command, leaves the question open; the hub writes the former down."""
    before = refused_documents(asking, "answer_refused")
    alarm, asked = ask(asking, "stranger-1", window, exp=seconds(now()) + 8)
    answer(asking, alarm, "yes", owner=Owner(asking.factory.hub_id))
    wait_for(lambda: refused_documents(asking, "answer_refused") > before, 10, "the refusal in the log")
    other, _ = ask(asking, "stranger-2", window)
    answer(asking, other, "yes")
    asking.console.wait_end(other.id, 20)
    before_end = [status.status for status in statuses(asking, alarm.id)]
    assert before_end[-1] is JobState.AWAITING_OWNER or now() >= parse_rfc3339(asked.answer_by)
    _, end = asking.console.wait_end(alarm.id, 20)
    assert (end.status, end.reason) == (JobState.REJECTED, "owner_declined")
    assert in_store(asking, alarm.id) == set()


def test_camera_that_is_not_shared_never_leaves(
    site: Site, window: Window, versions: Iterator[int], names: dict[str, str], tmp_path: Path
) -> None:
    """A command for all cameras gets the shared one; a command for the other gets a no."""
    site.allow(next(versions), [names["Front door"]], **LIMITS)
    everything = alarm_about(site, "unshared-1", window)
    private = alarm_about(site, "unshared-2", window, cameras=[names["Back yard"]])
    _, refused = site.console.wait_end(private.id, 10)
    assert (refused.status, refused.reason) == (JobState.REJECTED, "camera_not_shared")
    _, end = site.console.wait_end(everything.id, 20)
    assert end.status is JobState.SUCCEEDED
    assert [clip.name for clip in judged(site, everything, tmp_path)] == ["Front door"]
    assert {part.split(".")[0] for part in in_store(site, everything.id)} == {names["Front door"]}
    assert in_store(site, private.id) == set()


def test_nobody_but_the_owner_changes_the_policy(
    site: Site, window: Window, versions: Iterator[int], names: dict[str, str]
) -> None:
    """An older policy and one by another key change nothing; both are written down."""
    shared = sharing_claims(site.authority, list(names.values()), **LIMITS)
    old = site.owner.policy(now(), next(versions), **shared)
    current = next(versions)
    site.allow(current, list(names.values()), mode="sharing_off", **LIMITS)
    for bad in (old, Owner(site.factory.hub_id).policy(now(), current + 100, **shared), "not a policy"):
        before = refused_documents(site, "policy_refused")
        site.console.publish("policy", bad.encode())
        wait_for(lambda: refused_documents(site, "policy_refused") > before, 10, "the refusal")  # noqa: B023 - at once
    alarm = alarm_about(site, "paused-1", window)
    _, end = site.console.wait_end(alarm.id, 10)
    assert (end.status, end.reason) == (JobState.REJECTED, "sharing_off")
    assert in_store(site, alarm.id) == set()
    assert site.wait_cameras().policy_version == current


def test_every_decision_is_on_record(site: Site) -> None:
    """After all of this the audit log verifies."""
    verdict = checked_audit(site)
    assert verdict.is_intact, verdict.fault
