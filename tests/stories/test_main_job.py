"""The main job, as processes: an alarm becomes exact sealed clips, bad commands become refusals, all is audited."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.demo.alarm import Alarm, raise_alarm, try_bad_commands
from agent.demo.facts import Facts
from agent.demo.site import Site
from tests.stories.acts import audit_entries, checked_audit, in_store, judged, record_for, statuses, whole_site

BEFORE_S, AFTER_S = 5, 3


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site where everything is as it should be."""
    with whole_site(tmp_path_factory.mktemp("main")) as site:
        yield site


@pytest.fixture(scope="module")
def alarm(site: Site) -> Alarm:
    """Return an alarm whose window begins in the past and ends in the future, after it was dealt with."""
    record_for(site, BEFORE_S)
    alarm = raise_alarm(site, before_s=BEFORE_S, after_s=AFTER_S)
    site.console.wait_end(alarm.id, AFTER_S + 20)
    return alarm


def test_clips_have_exactly_the_pictures_of_the_window(site: Site, alarm: Alarm, tmp_path: Path) -> None:
    """Every picture that the cameras took in the window is in the clips once, and no other."""
    clips = judged(site, alarm, tmp_path)
    assert sorted(clip.name for clip in clips) == sorted(camera.ready.name for camera in site.cameras)
    for clip in clips:
        assert (clip.frames_outside, clip.frames_missing, clip.frames_doubled, clip.frames_unreadable) == (0, 0, 0, 0)
        assert clip.frames == clip.frames_expected == (BEFORE_S + AFTER_S) * site.scene.fps


def test_server_is_told_in_order(site: Site, alarm: Alarm) -> None:
    """The statuses go received, in progress, succeeded, and the progress never goes back."""
    told = statuses(site, alarm.id)
    states = [status.status for status in told]
    assert states[0] is JobState.RECEIVED
    assert states[-1] is JobState.SUCCEEDED
    assert set(states[1:-1]) == {JobState.IN_PROGRESS}
    progress = [sum(camera.parts for camera in status.cameras) for status in told]
    assert progress == sorted(progress)
    assert progress[-1] == len([part for part in in_store(site, alarm.id) if not part.endswith("manifest")])


def test_bad_commands_are_refused_for_the_right_reason(site: Site, alarm: Alarm) -> None:
    """A forged signature, a replay and a window beyond the owner's limit are refused, each by its own word."""
    facts, before = Facts(), in_store(site, alarm.id)
    try_bad_commands(site, alarm, facts)
    assert [(one.status, one.reason) for one in facts.refusals] == [
        ("REJECTED", "bad_signature"),
        ("REJECTED", "replayed"),
        ("REJECTED", "window_too_long"),
    ]
    assert in_store(site, alarm.id) == before
    assert {part.split(".")[0] for part in site.central.store.held()} == {alarm.id}


def test_stock_tools_open_a_part(site: Site, alarm: Alarm, tmp_path: Path) -> None:
    """The plain age program opens a part with the officer's key, and ffprobe finds H.264 video in it."""
    sealed = sorted(site.central.store.folder.glob(f"{alarm.id}.*/*.0000.mp4.age"))
    assert len(sealed) == 2
    for number, part in enumerate(sealed):
        clear = tmp_path / f"{number}.mp4"
        subprocess.run(["age", "-d", "-i", site.folder / "officer/key.txt", "-o", clear, part], check=True, timeout=20)
        probe = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(clear)]
        shown = json.loads(subprocess.run(probe, check=True, timeout=20, capture_output=True).stdout)
        assert [stream["codec_name"] for stream in shown["streams"]] == ["h264"]


def test_audit_log_tells_all_of_it(site: Site, alarm: Alarm) -> None:
    """The log verifies, names every decision and every part, and holds each receipt's digest beside the sealed one."""
    entries = audit_entries(site, alarm.id)
    assert [entry.kind for entry in entries][:2] == ["command", "job"]
    decisions = [(entry.detail["event"], entry.detail["state"]) for entry in entries if entry.kind == "job"]
    assert decisions == [("granted", "IN_PROGRESS"), ("delivered", "SUCCEEDED")]
    sealed = {entry.detail["part"]: entry.detail["sha256"] for entry in entries if entry.kind == "sealed"}
    receipted = {entry.detail["part"]: entry.detail["sha256"] for entry in entries if entry.kind == "receipt"}
    held = {part: upload.sha256 for part, upload in site.central.store.held().items()}
    assert receipted == held
    assert sealed.items() <= held.items()
    assert {part for part in held if part not in sealed} == {part for part in held if part.endswith("manifest")}
    verdict = checked_audit(site)
    assert verdict.is_intact, verdict.fault
    assert verdict.entries == len(audit_entries(site))
    ((name, seen),) = [(one.witness, one.entries) for one in verdict.seen_by]
    assert name == "central.example/witness"  # over the broker and back, while the hub ran
    assert 0 < seen <= verdict.entries
