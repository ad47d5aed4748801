"""The daemon's logins are those a person has put, with or without the hub's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.acquire.camera import Login
from agent.acquire.stream import CameraId
from agent.camera_logins import logins_of_person, open_logins
from agent.config import CameraLogin, Cameras, Config
from agent.crypto import Secret
from agent.errors import ConfigurationError
from agent.outside.keystore import Keystore

FRONT, BACK = CameraId("cam-front"), CameraId("cam-back")


def test_a_login_put_without_the_key_is_the_daemons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The configuration's login is for cameras without one; nobody but the daemon makes a key."""
    (tmp_path / "password").write_text("site\n")
    cameras = Cameras(login=CameraLogin("site", tmp_path / "password"))
    config = Config(tmp_path / "data", tmp_path / "identity", tmp_path / "keys", cameras)
    with pytest.raises(ConfigurationError, match="start the agent once"):
        logins_of_person(config).put(FRONT, Login("front", Secret("f")))
    assert not (tmp_path / "keys").exists()
    daemon = open_logins(config, Keystore(tmp_path / "keys"))
    kek = (tmp_path / "keys" / "kek").rename(tmp_path / "kek")
    logins_of_person(config).put(FRONT, Login("front", Secret("f")))
    kek.rename(tmp_path / "keys" / "kek")
    assert [login.user for camera in (FRONT, BACK) if (login := daemon.usable_login_of(camera))] == ["front", "site"]
    assert [login.user for one in (FRONT, BACK) if (login := logins_of_person(config).login_of(one))] == [
        "front",
        "site",
    ]
    (tmp_path / "data" / "logins" / f"{FRONT}.age").write_bytes(b"damaged")
    assert daemon.usable_login_of(FRONT) is None
    assert "transom cameras login cam-front" in caplog.text
