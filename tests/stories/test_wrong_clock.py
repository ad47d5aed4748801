"""A camera whose clock is an hour and a half second wrong: the clip is as exact as the manifest says it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import WallTime, Window
from agent.demo.alarm import raise_alarm
from agent.demo.prove import judge, read_frames
from agent.demo.site import Scene, Site
from agent.opener import open_clip
from tests.stories.acts import camera_ids, record_for, whole_site

WRONG_MS = 3_600_500
BEFORE_S = 6
ERROR_S_MAX = 0.5  # worse could not come from questions about whole seconds


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with one camera, which is wrong."""
    scene = Scene(gop=15, clock_offset_ms=WRONG_MS)
    with whole_site(tmp_path_factory.mktemp("clock"), scene, ("Front door",)) as site:
        record_for(site, BEFORE_S)
        yield site


def test_clip_is_as_exact_as_its_manifest_says(site: Site, tmp_path: Path) -> None:
    """By true time, nothing lies farther outside the window than the stated error, nothing farther in is missing."""
    alarm = raise_alarm(site, before_s=BEFORE_S, after_s=-2)
    _, end = site.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    camera = camera_ids(site)["Front door"]
    opened = open_clip(
        site.central.store.folder / f"{alarm.id}.{camera}", site.folder / "officer/key.txt", tmp_path / "clip.mp4"
    )
    clock, window = opened.manifest.clock, alarm.window
    assert clock.source == "sr+onvif"  # the camera's word for when, corrected by how wrong it is
    assert 0 < clock.error_ns <= ERROR_S_MAX * 1e9
    frames = [read_frames(Path(file)) for file in opened.files]
    cadence = site.cameras[0].ready.cadence
    wider = Window(WallTime(window.start - clock.error_ns), WallTime(window.end + clock.error_ns))
    narrower = Window(WallTime(window.start + clock.error_ns), WallTime(window.end - clock.error_ns))
    verdict = judge(frames, wider, cadence)
    assert (verdict.outside, verdict.doubled, verdict.unreadable) == (0, 0, 0)
    assert judge(frames, narrower, cadence).missing == 0
    assert abs(verdict.frames - (BEFORE_S - 2) * site.scene.fps) <= 1
