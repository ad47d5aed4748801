"""An orderly restart: quick to end, quick to record again, and what was recorded before it can still be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.demo.alarm import Alarm, raise_alarm
from agent.demo.prove import read_frames
from agent.demo.site import Site
from agent.opener import open_clip
from tests.stories.acts import (
    alarm_about,
    audit_entries,
    cutting_children,
    in_store,
    judged,
    now,
    record_for,
    statuses,
    wait_for,
    whole_site,
)

STOP_S_MAX = 2.0  # what is promised
BEFORE_S, AFTER_S = 4, 11
RECORDS_AGAIN_S_MAX = 6.0  # from the start of the process; the machine may be busy with other tests


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site that records."""
    with whole_site(tmp_path_factory.mktemp("restart")) as site:
        yield site


def make_search_hopeless(site: Site) -> None:
    """Let a search take longer than this test: whoever waits for it does not record."""
    config = yaml.safe_load(site.config.read_text())
    config["cameras"]["search_s"] = 120.0
    site.config.write_text(yaml.safe_dump(config))


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart in the middle of an alarm's window, and how long it took."""

    alarm: Alarm
    stop_s: float
    recording_again_s: float


@pytest.fixture(scope="module")
def restart(site: Site) -> Restart:
    """Stop the hub by SIGTERM after the first part of a clip has gone, start it again, and wait for the clip's end."""
    record_for(site, BEFORE_S)
    make_search_hopeless(site)
    alarm = raise_alarm(site, before_s=BEFORE_S, after_s=AFTER_S)
    wait_for(lambda: in_store(site, alarm.id), 15, "the first part")
    boot = site.wait_cameras().boot
    stop_s, began = site.hub.stop(), now()
    site.restart_hub()
    site.console.wait_presence(
        lambda hub: hub.boot > boot and [camera.state for camera in site.own(hub)] == ["recording"] * 2,
        20,
        "the cameras to record again",
    )
    recording_again_s = (now() - began) / SECOND_NS
    site.console.wait_end(alarm.id, AFTER_S + 20)
    return Restart(alarm, stop_s, recording_again_s)


def test_restart_in_the_middle_of_a_clip(site: Site, restart: Restart, tmp_path: Path) -> None:
    """SIGTERM ends the hub in two seconds; the next one records at once, and finishes the clip with an honest gap."""
    alarm = restart.alarm
    assert restart.stop_s < STOP_S_MAX
    assert restart.recording_again_s < RECORDS_AGAIN_S_MAX
    end = statuses(site, alarm.id)[-1]
    assert end.status is JobState.PARTIAL
    assert "s missing" in end.detail
    clips = judged(site, alarm, tmp_path)
    assert len(clips) == 2
    for clip in clips:
        assert (clip.frames_outside, clip.frames_doubled, clip.frames_unreadable) == (0, 0, 0)
        assert 0 < clip.frames_missing < RECORDS_AGAIN_S_MAX * site.scene.fps
    assert "resumed" in {entry.kind for entry in audit_entries(site, alarm.id)}


def test_window_across_a_restart(site: Site, restart: Restart, tmp_path: Path) -> None:
    """A later command for that time gets every picture but those of the gap, and the manifest states the gap."""
    window = Window(restart.alarm.window.start, WallTime(restart.alarm.window.end - SECOND_NS))
    alarm = alarm_about(site, "across-1", window)
    _, end = site.console.wait_end(alarm.id, 30)
    assert end.status is JobState.PARTIAL
    for camera in site.own(site.wait_cameras()):
        folder = site.central.store.folder / f"{alarm.id}.{camera.id}"
        opened = open_clip(folder, site.folder / "officer/key.txt", tmp_path / f"{camera.id}.mp4")
        cadence = next(one.ready.cadence for one in site.cameras if one.ready.name == camera.name)
        shown = {frame.ticks for file in opened.files for frame in read_frames(Path(file))}
        missing = [cadence.hub_time(tick) for tick in cadence.expected(alarm.window) if tick not in shown]
        gaps = [(parse_rfc3339(gap.start), parse_rfc3339(gap.end)) for gap in opened.manifest.gaps]
        assert missing
        assert shown <= set(cadence.expected(alarm.window))
        period_ns = SECOND_NS // site.scene.fps
        for moment in missing:
            assert any(start - period_ns <= moment < end + period_ns for start, end in gaps), (moment, gaps)
        stated_ns = sum(end - start for start, end in gaps)
        assert abs(stated_ns - len(missing) * period_ns) <= 2 * len(gaps) * period_ns


def test_stops_while_it_cuts(site: Site, restart: Restart, tmp_path: Path) -> None:
    """A hub that is told to stop waits for no cut; the next one makes it anew."""
    end = restart.alarm.window.end
    alarm = alarm_about(site, "stopped-1", Window(WallTime(end - 3 * SECOND_NS), end))
    children = wait_for(lambda: cutting_children(site), 10, "a cut")
    stop_s = site.hub.stop()
    site.restart_hub()
    assert stop_s < STOP_S_MAX
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    _, ending = site.console.wait_end(alarm.id, 20)
    assert ending.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(site, alarm, tmp_path)] == [True, True]
