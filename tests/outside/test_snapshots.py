"""Snapshots lie where the configuration says, are whole, are new, and are gone when they should be."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent.acquire.stream import CameraId
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.outside.snapshots import OLD_S, publisher, read_snapshot

DOOR = CameraId("cam-door")
JPEG = b"\xff\xd8picture\xff\xd9"


def test_without_a_directory_nothing_is_made() -> None:
    """The default; who asks is told what to set."""
    assert publisher(None) is None
    with pytest.raises(ConfigurationError, match="set snapshot_dir"):
        read_snapshot(None, DOOR)


def test_a_snapshot_is_read_back_by_the_agents_group(tmp_path: Path) -> None:
    """The newest one, and nobody else may read it."""
    publish = publisher(tmp_path / "shots")
    assert publish
    publish(DOOR, b"\xff\xd8older\xff\xd9")
    publish(DOOR, JPEG)
    assert read_snapshot(tmp_path / "shots", DOOR) == JPEG
    assert (tmp_path / "shots").stat().st_mode & 0o777 & ~0o750 == 0
    assert (tmp_path / "shots" / "cam-door.jpg").stat().st_mode & 0o777 == 0o640


def test_a_camera_that_could_not_be_looked_at_has_none(tmp_path: Path) -> None:
    """Nor has one of an earlier run: its masks may be others by now."""
    publish = publisher(tmp_path)
    assert publish
    publish(DOOR, JPEG)
    publish(DOOR, b"")
    with pytest.raises(ConfigurationError, match="none yet"):
        read_snapshot(tmp_path, DOOR)
    publish(DOOR, JPEG)
    publisher(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_snapshot_is_not_passed_off_as_new(tmp_path: Path) -> None:
    """The answer says how old it is."""
    publish = publisher(tmp_path)
    assert publish
    publish(DOOR, JPEG)
    old = time.time() - OLD_S - 60
    os.utime(tmp_path / "cam-door.jpg", (old, old))
    with pytest.raises(UnavailableError, match="is 6 minutes old"):
        read_snapshot(tmp_path, DOOR)


@pytest.mark.parametrize("content", [b"<html>", JPEG[:-1], b"\x89PNG"])
def test_what_is_no_jpeg_is_not_shown(tmp_path: Path, content: bytes) -> None:
    """A child that was taken over cannot put a page before the installer."""
    publish = publisher(tmp_path)
    assert publish
    with pytest.raises(UnavailableError):
        publish(DOOR, content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../etc/passwd", "", "A", "a/b", "x" * 33])
def test_a_name_that_is_none_reaches_no_file(tmp_path: Path, name: str) -> None:
    """Whatever a person or a camera calls itself."""
    with pytest.raises(BadInputError):
        read_snapshot(tmp_path, name)


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """The watch goes on without snapshots."""
    (tmp_path / "file").write_text("")
    publish = publisher(tmp_path / "file" / "shots")
    assert publish
    with pytest.raises(UnavailableError, match="cannot be made"):
        publish(DOOR, JPEG)
