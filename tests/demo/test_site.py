"""The site is put up piece by piece and taken down as one."""

from __future__ import annotations

import socket
import stat
import time
from pathlib import Path

import pytest

from agent.clock import WallTime
from agent.command.trust import open_first_bundle
from agent.demo.site import RECIPIENT, Scene, Site
from agent.errors import UnavailableError


def test_everything_is_gone_after_the_site(tmp_path: Path) -> None:
    """Camera, broker and server run inside it, and no process and no port of them is left behind it."""
    with Site(tmp_path / "site", Scene(fps=10, gop=10, broker="iotcore")) as site:
        site.start_cameras(["Door"])
        site.start_central()
        (camera,) = site.cameras
        ports = [site.broker.port, site.central.port]
        for port in ports:
            socket.create_connection(("127.0.0.1", port)).close()
        assert site.broker.kind == "iotcore"
        trust = open_first_bundle(site.central.trust_bundle(WallTime(time.time_ns())))
        assert [recipient.id for recipient in trust.recipients] == [RECIPIENT]
    assert not camera.is_running
    for port in ports:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port))


def test_secrets_of_the_site_are_for_its_owner_only(tmp_path: Path) -> None:
    """The evidence desk's key is in a folder and a file that no other user can read."""
    with Site(tmp_path / "site") as site:
        site.start_central()
        key = site.folder / "officer" / "key.txt"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
        assert b"AGE-SECRET-KEY-1" in key.read_bytes()


def test_a_camera_that_does_not_start_takes_the_others_down(tmp_path: Path) -> None:
    """The error says which one, and nothing keeps running."""
    with pytest.raises(UnavailableError, match="camera-door"), Site(tmp_path / "site", Scene(fps=7)) as site:
        site.start_cameras(["Door", "Yard"])
    assert [camera.is_running for camera in site.cameras] == [False, False]
