"""A camera of Profile T with H.265 is found, recorded, cut and logged in to by a login of its own, as processes.

Its clip goes by presigned URLs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from agent.__main__ import main
from agent.demo.alarm import raise_alarm
from agent.demo.site import Scene
from tests.stories.acts import judged, record_for, whole_site

BEFORE_S, AFTER_S = 3, 2
SCENE = Scene(gop=15, codec="H265", has_media2=True, upload="put")


def test_h265_by_media2_becomes_an_exact_clip_and_a_login_of_its_own_outlives_the_sites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every picture of the window is in the clip once; then the site's password goes bad."""
    with whole_site(tmp_path, SCENE, ("Front door",)) as site:
        record_for(site, BEFORE_S)
        alarm = raise_alarm(site, before_s=BEFORE_S, after_s=AFTER_S)
        site.console.wait_end(alarm.id, AFTER_S + 30)
        (clip,) = judged(site, alarm, tmp_path)
        assert (clip.frames_outside, clip.frames_missing, clip.frames_doubled, clip.frames_unreadable) == (0, 0, 0, 0)
        assert all(name.startswith(alarm.id) for name in site.central.store.uploads)  # as the signer names them
        assert clip.frames == clip.frames_expected == (BEFORE_S + AFTER_S) * site.scene.fps

        camera = next(one for one in site.console.presence.cameras if one.name == site.cameras[0].ready.name)  # type: ignore[union-attr] - the hub is online
        config = ["--config", str(site.config)]
        assert main(["cameras", "list", "--json", *config]) == 0
        listed = {one["camera"]: one for one in json.loads(capsys.readouterr().out)["cameras"]}
        assert listed[camera.id]["stream"].startswith("H265, 640x360, 15 fps")
        assert listed[camera.id]["login"] == "configuration"

        login = yaml.safe_load(site.config.read_text())["cameras"]["login"]
        password = Path(login["password_file"])
        kept = ["cameras", "login", camera.id, "--user", login["user"], "--password-file", str(password), *config]
        assert main(kept) == 0
        site.hub.stop()
        site.console.wait_presence(lambda hub: hub.state == "offline", 10, "the hub to say goodbye")
        password.write_text("no longer the one")
        site.restart_hub()
        site.console.wait_presence(
            lambda hub: any(one.id == camera.id and one.state == "recording" for one in hub.cameras),
            30,
            "the camera to record with its own login",
        )
        capsys.readouterr()
        assert main(["cameras", "list", "--json", *config]) == 0
        listed = {one["camera"]: one for one in json.loads(capsys.readouterr().out)["cameras"]}
        assert listed[camera.id]["login"] == "own"
