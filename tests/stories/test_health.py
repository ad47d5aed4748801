"""What a person and the server see of a hub's health, by the real daemon: while all is well, and when a camera dies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from agent.demo.site import Site
from agent.health.presence import Presence
from tests.simulators.exposition import read_exposition
from tests.stories.acts import wait_for, whole_site

NO_VIDEO_S_MAX = 40.0  # 15 s without video, then a look every 5 s; the machine may be busy with other tests


def status(site: Site) -> tuple[int, dict[str, Any]]:
    """Ask `transom status` as a program does; return its exit code and what it says."""
    command = [sys.executable, "-m", "agent", "status", "--json", "--config", str(site.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


def see_pictures(site: Site, shots: Path) -> None:
    """Wait until each camera's picture was looked at and found well, and a snapshot of it lies there."""

    def all_seen() -> list[dict[str, Any]] | None:
        pictures = [one["picture"] for one in status(site)[1].get("cameras", []) if one["name"]]
        is_so = len(pictures) >= len(site.cameras) and all(one and one["taken"] for one in pictures)
        return pictures if is_so else None

    for picture in wait_for(all_seen, 60, "a look at each camera's picture"):
        assert (picture["faults"], picture["why_unjudged"], picture["looks_failed"]) == ([], "", 0)
    taken = list(shots.iterdir())
    assert len(taken) == len(site.cameras)
    assert all(shot.read_bytes().startswith(b"\xff\xd8") for shot in taken)


def hear_motion(site: Site) -> None:
    """Let something move before the second camera, and wait until the status knows."""
    camera = site.cameras[1]
    camera.move(is_so=True)

    def told() -> list[dict[str, Any]]:
        return [
            one
            for one in status(site)[1]["cameras"]
            if one["name"] == camera.ready.name
            and any(kind["kind"] == "motion" and kind["is_active"] for kind in one["events"]["kinds"])
        ]

    (moving,) = wait_for(told, 20, "the motion in the status")
    assert (moving["events"]["state"], moving["events"]["kept"]) == ("subscribed", 1)


def test_a_hub_says_how_it_does(tmp_path: Path) -> None:
    """Status, metrics and state message agree; without a daemon there is no status; no secret is in any of it."""
    shown = tmp_path / "run"
    shown.mkdir()
    with whole_site(tmp_path) as site:
        config = yaml.safe_load(site.config.read_text())
        config |= {"status_file": str(shown / "status.json"), "metrics_file": str(shown / "transom.prom")}
        config |= {"snapshot_dir": str(tmp_path / "shots")}
        site.config.write_text(yaml.safe_dump(config))
        assert status(site)[0] == 2
        site.hub.stop()
        site.restart_hub()

        def all_record() -> dict[str, Any] | None:
            code, said = status(site)
            names = {camera.ready.name for camera in site.cameras}
            own = [one for one in said.get("cameras", []) if one["name"] in names]
            is_so = len(own) == len(names) and all(one["pictures_per_s"] > 1 and one["footage_s"] > 1 for one in own)
            return said if code in {0, 1} and is_so else None

        said = wait_for(all_record, 40, "both cameras in the status")
        assert said["hub"] == site.factory.hub_id
        assert said["ring"]["bytes"] > 0

        see_pictures(site, tmp_path / "shots")
        hear_motion(site)
        dead = site.cameras[0]
        dead.kill()

        def is_missed(hub: Presence) -> bool:  # while the hub tries again it says so for a moment
            told = [one for one in hub.cameras if one.name == dead.ready.name]
            return any("no_video" in one.warnings and one.state == "waiting" for one in told)

        presence = site.console.wait_presence(
            is_missed,
            NO_VIDEO_S_MAX,
            "the server to hear of the camera",
        )

        def measured() -> bytes | None:
            text = (shown / "transom.prom").read_bytes()
            samples = read_exposition(text)["transom_camera_received_bytes_total"].samples
            return text if len(samples) >= len(site.cameras) else None

        metrics = wait_for(measured, 20, "both cameras in the metrics")
        assert b'kind="motion"} 1' in metrics
        assert "subscribed" in [one.events for one in presence.cameras]
        assert "motion" not in repr(presence)
        password = config["cameras"]["login"]["password_file"]
        for secret in (Path(password).read_text(), "rtsp:", "127.0.0.1"):
            assert secret not in json.dumps(said) + metrics.decode()
        (camera,) = [one for one in presence.cameras if one.name == dead.ready.name]
        assert camera.note
        code, said = status(site)
        assert code == 1
        assert ("no_video", camera.id) in {(one["code"], one["camera"]) for one in said["warnings"] if "camera" in one}
        site.hub.stop()
        assert list(shown.iterdir()) == list((tmp_path / "shots").iterdir()) == []
        assert status(site)[0] == 2
        site.restart_hub()
