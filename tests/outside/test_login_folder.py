"""Cameras' logins lie sealed, whatever characters they have, and open with the hub's key only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.acquire.camera import Login
from agent.acquire.stream import CameraId
from agent.crypto import Secret
from agent.errors import ConfigurationError
from agent.outside.login_folder import PADDED_BYTES, SITE, LoginFolder

KEY = Secret(bytes(range(32)))
FRONT, BACK = CameraId("cam-front"), CameraId("cam-back")
ODD = ["", " ", 'pä:ss "word', "a@b:c/d?e#f%20&<>'", "\\\n\t\0", "密码🔑", "x" * 256, "]]>${HOME}`id`"]


@pytest.mark.parametrize("password", ODD)
def test_a_login_comes_back_with_every_odd_character(tmp_path: Path, password: str) -> None:
    """User and password are what they were; neither stands in any file, and all files are equally long."""
    folder = LoginFolder(tmp_path / "logins", KEY)
    folder.put(FRONT, Login("o'neill\"<ü>", Secret(password)))
    folder.put(BACK, Login("planted-user", Secret("planted-password")))
    login = LoginFolder(tmp_path / "logins", KEY).login_of(FRONT)
    assert login is not None
    assert (login.user, login.password.reveal()) == ("o'neill\"<ü>", password.encode())
    files = sorted((tmp_path / "logins").iterdir())
    assert len({path.stat().st_size for path in files}) == 1
    assert files[0].stat().st_size > PADDED_BYTES
    assert b"planted" not in b"".join(path.read_bytes() for path in files)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_cameras_own_login_comes_before_the_sites(tmp_path: Path) -> None:
    """Own, else the site's, else none; what is removed is gone."""
    folder = LoginFolder(tmp_path, KEY)
    assert folder.login_of(FRONT) is None
    folder.put(SITE, Login("site", Secret("s")))
    folder.put(FRONT, Login("own", Secret("o")))
    assert [login.user for camera in (FRONT, BACK) if (login := folder.login_of(camera))] == ["own", "site"]
    assert sorted(folder.names()) == [SITE, FRONT]
    assert folder.remove(FRONT)
    assert not folder.remove(FRONT)
    assert [login.user for login in [folder.login_of(FRONT)] if login] == ["site"]
    assert sorted(folder.names()) == [SITE]


def test_who_has_not_the_key_can_put_a_login_and_read_none(tmp_path: Path) -> None:
    """On a hub whose key is a credential of its service, a person seals to the public half."""
    without = LoginFolder(tmp_path, None)
    with pytest.raises(ConfigurationError, match="start the agent once"):
        without.put(FRONT, Login("u", Secret("p")))
    LoginFolder(tmp_path, KEY).publish()
    without.put(FRONT, Login("u", Secret("secret")))
    with pytest.raises(ConfigurationError, match="sealed for the hub's service"):
        without.login_of(FRONT)
    login = LoginFolder(tmp_path, KEY).login_of(FRONT)
    assert login is not None
    assert login.password.reveal() == b"secret"
    before = (tmp_path / "recipient").stat().st_mtime_ns
    LoginFolder(tmp_path, KEY).publish()
    assert (tmp_path / "recipient").stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["another key", "moved", "cut", "garbage", "empty"])
def test_a_login_that_does_not_open_says_what_to_enter_again(tmp_path: Path, damage: str) -> None:
    """Another hub's key, another camera's file, or damage: never a login, and never a word of it in the error."""
    LoginFolder(tmp_path, KEY).put(FRONT, Login("planted-user", Secret("planted-password")))
    path, key = tmp_path / f"{FRONT}.age", Secret(bytes(32)) if damage == "another key" else KEY
    content = path.read_bytes()
    if damage == "moved":
        path.replace(tmp_path / f"{BACK}.age")
    elif damage in ("cut", "garbage", "empty"):
        path.write_bytes({"cut": content[:-20], "garbage": os.urandom(2000), "empty": b""}[damage])
    camera = BACK if damage == "moved" else FRONT
    with pytest.raises(ConfigurationError, match=f"transom cameras login {camera}") as told:
        LoginFolder(tmp_path, key).login_of(camera)
    assert "planted" not in str(told.value) + repr(told.value.__context__)


@pytest.mark.parametrize("name", ["../x", "a/b", "_site", "a.b", "ü"])
def test_a_name_that_is_no_cameras_leaves_the_folder_alone(tmp_path: Path, name: str) -> None:
    """A name never becomes a path."""
    with pytest.raises(ConfigurationError, match="no camera's name"):
        LoginFolder(tmp_path, KEY).put(CameraId(name), Login("u", Secret("p")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("", b"p"),
        ("u" * 129, b"p"),
        ("u", b"p" * 257),
        ("u", b"\xff"),
        ("a\nb", b"p"),
        ("a\x00", b"p"),
        ("\ud800", b"p"),
    ],
)
def test_a_login_that_cannot_be_one_is_refused(tmp_path: Path, user: str, password: bytes) -> None:
    """Too long, nobody's, or no text."""
    with pytest.raises(ConfigurationError):
        LoginFolder(tmp_path, KEY).put(FRONT, Login(user, Secret(password)))
