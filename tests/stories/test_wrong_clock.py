"""A camera whose clock is an hour and a half second wrong and drifts: clips are as exact as their manifests say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.clock import WallTime, Window
from agent.demo.alarm import raise_alarm
from agent.demo.prove import judge, read_frames
from agent.demo.site import Scene, Site
from tests.simulators.dated_clip import ROUNDING_NS, dated_pictures, opened
from tests.stories.acts import record_for, whole_site

WRONG_MS = 3_600_500
DRIFT_PPM = 200
BEFORE_S = 6
ERROR_S_MAX = 0.5  # worse could not come from questions about whole seconds
USUAL_ERROR_S_MAX = 0.2  # 0.05 measured: `./bench time`; a machine that is late itself states more
WINDOWS_S = ((14, 11), (9.3, 6.6), (5, 3.1))  # before now


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with one camera, which is wrong."""
    scene = Scene(gop=15, clock_offset_ms=WRONG_MS, clock_drift_ppm=DRIFT_PPM)
    with whole_site(tmp_path_factory.mktemp("clock"), scene, ("Front door",)) as site:
        record_for(site, BEFORE_S)
        yield site


def test_clip_is_as_exact_as_its_manifest_says(site: Site, tmp_path: Path) -> None:
    """By true time, nothing lies farther outside the window than the stated error, nothing farther in is missing."""
    alarm = raise_alarm(site, before_s=BEFORE_S, after_s=-2)
    _, end = site.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    clip = opened(site, alarm, tmp_path / "clip.mp4")
    clock, window = clip.manifest.clock, alarm.window
    assert clock.source == "sr+onvif"  # the camera's word for when, corrected by how wrong it is
    assert 0 < clock.error_ns <= ERROR_S_MAX * 1e9
    frames = [read_frames(Path(file)) for file in clip.files]
    cadence = site.cameras[0].ready.cadence
    wider = Window(WallTime(window.start - clock.error_ns), WallTime(window.end + clock.error_ns))
    narrower = Window(WallTime(window.start + clock.error_ns), WallTime(window.end - clock.error_ns))
    verdict = judge(frames, wider, cadence)
    assert (verdict.outside, verdict.doubled, verdict.unreadable) == (0, 0, 0)
    assert judge(frames, narrower, cadence).missing == 0
    assert abs(verdict.frames - (BEFORE_S - 2) * site.scene.fps) <= 1


def test_every_picture_lies_within_the_stated_bound(site: Site, tmp_path: Path) -> None:
    """Clips of several moments: the time stated of each picture is the one drawn in it, within the manifest's bound."""
    record_for(site, WINDOWS_S[0][0])
    cadence, bounds_ns = site.cameras[0].ready.cadence, []
    for number, (before_s, until_s) in enumerate(WINDOWS_S):
        alarm = raise_alarm(site, f"moment-{number}", before_s=before_s, after_s=-until_s)
        _, end = site.console.wait_end(alarm.id, 20)
        assert end.status is JobState.SUCCEEDED
        dated = dated_pictures(site, alarm, tmp_path / f"{number}.mp4")
        bounds_ns.append(dated.bound_ns)
        assert abs(len(dated.pictures) - (before_s - until_s) * site.scene.fps) <= 1
        for stated, ticks in dated.pictures:
            assert abs(stated - cadence.hub_time(ticks)) <= dated.bound_ns + ROUNDING_NS
    assert min(bounds_ns) < USUAL_ERROR_S_MAX * 1e9
