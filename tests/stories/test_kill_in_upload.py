"""The hub is killed (SIGKILL, as a power cut ends it) at every kind of moment; after a restart the job gets done.

The window lies wholly in the past, so nothing that a death destroys can be part of it: every clip must be exact.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import Window
from agent.demo.alarm import Alarm
from agent.demo.site import Site
from agent.demo.store import Upload
from tests.stories.acts import (
    alarm_about,
    audit_entries,
    checked_audit,
    cutting_children,
    in_store,
    judged,
    record_for,
    statuses,
    wait_for,
    whole_site,
)

SLOW_S = 0.25  # the store takes a piece (some 64 KB) only so often
WINDOW_S = 6
END_S_MAX = 40


@pytest.fixture(scope="module")
def slow_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with a slow uplink."""
    with whole_site(tmp_path_factory.mktemp("kill")) as site:
        site.central.store.pause_s = SLOW_S
        yield site


@pytest.fixture(scope="module")
def window(slow_site: Site) -> Window:
    """Return a window that was recorded before the first death."""
    return record_for(slow_site, WINDOW_S)


@pytest.fixture
def site(slow_site: Site) -> Site:
    """Return the site with a hub that is online."""
    slow_site.wait_cameras()
    return slow_site


def kill_and_restart(site: Site) -> None:
    """Cut the power, and switch it on again."""
    site.hub.kill()
    site.restart_hub()


def half_uploaded(site: Site, command: str) -> Upload | None:
    """Find an upload of which the store has some bytes, but not all."""
    for upload in list(site.central.store.uploads.values()):
        if upload.part.startswith(f"{command}.") and upload.stored_at is None and upload.path.exists():
            have = upload.path.stat().st_size
            if 0 < have < upload.size:
                return upload
    return None


def assert_delivered_once(site: Site, alarm: Alarm, output: Path) -> None:
    """Check that the job succeeded, exactly, with one content for each part, and that all of it is on record."""
    _, end = site.console.wait_end(alarm.id, END_S_MAX)
    assert (end.status, end.reason, end.detail) == (JobState.SUCCEEDED, None, "")
    clips = judged(site, alarm, output)
    assert len(clips) == len(site.cameras)
    for clip in clips:
        assert (clip.frames_outside, clip.frames_missing, clip.frames_doubled, clip.frames_unreadable) == (0, 0, 0, 0)
        assert clip.frames == WINDOW_S * site.scene.fps
    contents = {
        part: digests for part, digests in site.central.store.contents.items() if part.startswith(f"{alarm.id}.")
    }
    assert len(contents) == sum(clip.parts + 1 for clip in clips)
    assert all(len(digests) == 1 for digests in contents.values())
    verdict = checked_audit(site)
    assert verdict.is_intact, verdict.fault
    receipts = {entry.detail["part"] for entry in audit_entries(site, alarm.id) if entry.kind == "receipt"}
    assert receipts == contents.keys()


def test_killed_while_a_part_is_on_its_way(site: Site, window: Window, tmp_path: Path) -> None:
    """The upload goes on where it broke off, the replay is still refused, and one more restart does nothing more."""
    alarm = alarm_about(site, "in-upload", window)
    upload = wait_for(lambda: half_uploaded(site, alarm.id), 20, "a part that is half at the store")
    site.hub.kill()
    had = upload.path.stat().st_size
    assert 0 < had < upload.size
    site.restart_hub()
    assert_delivered_once(site, alarm, tmp_path / "clips")
    mine = [one for one in site.central.store.uploads.values() if one.part == upload.part]
    assert mine == [upload]  # no second upload was created: what had arrived was not sent again
    assert "resumed" in {entry.kind for entry in audit_entries(site, alarm.id)}

    so_far = len(site.console.statuses)
    site.console.publish("cmd", alarm.envelope)
    _, refused = site.console.wait_end(alarm.id, 10, after=so_far)
    assert (refused.status, refused.reason) == (JobState.REJECTED, "replayed")
    assert refused.original is JobState.SUCCEEDED

    told, stored = statuses(site, alarm.id), dict(site.central.store.uploads)
    entries = audit_entries(site, alarm.id)
    boot = site.console.presence.boot if site.console.presence else 0
    kill_and_restart(site)
    site.console.wait_presence(lambda hub: hub.boot > boot and hub.state == "online", 20, "the hub to be back")
    # Killed before the broker had confirmed it, the last word may come once more, the same to the letter (MQTT, QoS 1).
    assert list(dict.fromkeys(statuses(site, alarm.id))) == told
    assert site.central.store.uploads == stored
    assert audit_entries(site, alarm.id) == entries


def test_killed_as_soon_as_the_command_is_out(site: Site, window: Window, tmp_path: Path) -> None:
    """The broker keeps the command until the hub has stored it, so it is done whenever the hub died."""
    alarm = alarm_about(site, "at-once", window)
    kill_and_restart(site)
    assert_delivered_once(site, alarm, tmp_path / "clips")


def test_killed_while_cutting(site: Site, window: Window, tmp_path: Path) -> None:
    """The part is cut again; the child that was cutting ends by itself."""
    alarm = alarm_about(site, "while-cutting", window)
    children = wait_for(lambda: cutting_children(site), 20, "a cut")
    site.hub.kill()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 10, "the child to end")
    site.restart_hub()
    assert_delivered_once(site, alarm, tmp_path / "clips")
    left = [path.name for path in (site.folder / "hub/data/outbox").iterdir()]
    assert left == []


def test_killed_between_the_last_part_and_the_manifest(site: Site, window: Window, tmp_path: Path) -> None:
    """A clip whose parts are all at the store gets its manifest after the restart."""

    def only_manifests_missing() -> bool:
        parts = in_store(site, alarm.id)
        return len(parts) >= len(site.cameras) and not any(part.endswith("manifest") for part in parts)

    alarm = alarm_about(site, "no-manifest", window)
    wait_for(only_manifests_missing, 20, "all parts without a manifest")
    site.hub.kill()
    assert any(part.rpartition(".")[2] != "manifest" for part in in_store(site, alarm.id))
    site.restart_hub()
    assert_delivered_once(site, alarm, tmp_path / "clips")


def test_killed_again_and_again(site: Site, window: Window, tmp_path: Path) -> None:
    """Up to three deaths at unlucky moments of one job change nothing but the time it takes."""
    alarm, seed = alarm_about(site, "again", window), random.randrange(1000)  # noqa: S311 - no secret
    chance = random.Random(seed)  # noqa: S311 - no secret
    for deaths in range(3):
        wait_for(
            lambda: len(beginnings(site, alarm.id)) > deaths or has_ended(site, alarm.id),  # noqa: B023 - asked at once
            20,
            "the hub to work on the job",
        )
        if has_ended(site, alarm.id):
            break  # it was quicker than the next death
        moment = chance.uniform(0.0, 1.5)
        print(f"seed {seed}: death {deaths} after {moment:.3f} s")  # noqa: T201 - shown if the test fails
        time.sleep(moment)  # any moment will do: none may matter
        kill_and_restart(site)
    assert_delivered_once(site, alarm, tmp_path / "clips")


def beginnings(site: Site, command: str) -> list[str]:
    """Return the audit entries that say that the hub took a job, or took it up again."""
    return [entry.kind for entry in audit_entries(site, command) if entry.kind in {"command", "resumed"}]


def has_ended(site: Site, command: str) -> bool:
    """Say whether the audit log has the job's end."""
    states = [entry.detail.get("state") for entry in audit_entries(site, command) if entry.kind == "job"]
    return bool(set(states) & {"SUCCEEDED", "PARTIAL", "FAILED", "CANCELED"})
