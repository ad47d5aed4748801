"""Cameras that were added by address are kept, and step back where a search finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.acquire.discovery import FoundCamera
from agent.acquire.stream import CameraId
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.added_cameras import CAMERAS_MAX, AddedCameras


def camera(name: str, host: str = "10.0.0.1") -> FoundCamera:
    """Make a camera."""
    return FoundCamera(CameraId(name), f"urn:uuid:{name}", name, "", host, (f"http://{host}/onvif/device_service",))


def test_added_cameras_come_back(tmp_path: Path) -> None:
    """Also for another process; the newest address of each; what is removed is gone."""
    AddedCameras(tmp_path / "added.json").add(camera("front"))
    AddedCameras(tmp_path / "added.json").add(camera("back"))
    AddedCameras(tmp_path / "added.json").add(camera("front", "10.0.0.9"))
    added = AddedCameras(tmp_path / "added.json")
    assert added.all() == (camera("back"), camera("front", "10.0.0.9"))
    assert added.remove(CameraId("back"))
    assert not added.remove(CameraId("back"))
    assert added.all() == (camera("front", "10.0.0.9"),)
    assert [path.name for path in tmp_path.iterdir()] == ["added.json"]


def test_a_search_knows_better_where_a_camera_is(tmp_path: Path) -> None:
    """What is found is not there twice, at two addresses, which would look like a clone."""
    added = AddedCameras(tmp_path / "added.json")
    assert added.beside([camera("front", "10.0.0.5")]) == [camera("front", "10.0.0.5")]
    added.add(camera("front"))
    added.add(camera("back"))
    assert added.beside([camera("front", "10.0.0.5")]) == [camera("front", "10.0.0.5"), camera("back")]


def test_a_camera_that_the_configuration_names_too_is_one_camera(tmp_path: Path) -> None:
    """The search, of which the configuration's addresses are a part, wins: by whatever name it found who is there."""
    added = AddedCameras(tmp_path / "added.json")
    added.add(camera("by-its-serial"))
    unnamed = camera("unnamed-yet")  # the search asks without a login: the same address, and no serial number
    assert added.beside([unnamed]) == [unnamed]


def test_a_damaged_file_costs_no_search(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The search goes on without it, and somebody is told; a person who adds is told what to do."""
    (tmp_path / "added.json").write_bytes(b'[{"camera":1}]')
    added = AddedCameras(tmp_path / "added.json")
    assert added.beside([camera("front")]) == [camera("front")]
    assert "is damaged" in caplog.text
    with pytest.raises(ConfigurationError, match="add the cameras again"):
        added.add(camera("back"))


def test_there_is_an_end_to_adding(tmp_path: Path) -> None:
    """64 cameras; one that is there already can still change its address. No folder, no file."""
    added = AddedCameras(tmp_path / "added.json")
    for number in range(CAMERAS_MAX):
        added.add(camera(f"c{number}"))
    with pytest.raises(ConfigurationError, match="forget one"):
        added.add(camera("more"))
    added.add(camera("c1", "10.0.0.2"))
    assert len(added.all()) == CAMERAS_MAX
    with pytest.raises(UnavailableError):
        AddedCameras(tmp_path / "none" / "added.json").add(camera("front"))
