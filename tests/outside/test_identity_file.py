"""The cameras' marks on the disk: there after a restart, bounded, and no harm when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.acquire.identity import Known, marks_of
from agent.acquire.stream import CameraId
from agent.errors import UnavailableError
from agent.outside.identity_file import CAMERAS_MAX, IdentityFile


def known(number: int, address: str = "http://10.0.0.1/onvif/device_service") -> Known:
    """Make a camera."""
    return Known(CameraId(f"cam-{number}"), marks_of("", "Acme", f"SN{number:04}"), address)


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    """In a file that nobody else can read, beside no leftover."""
    book = IdentityFile(tmp_path / "data" / "cameras.json")
    for one in (known(1), known(2), known(1, "http://10.0.0.9/onvif/device_service")):
        book.put_identity(one)
    path = tmp_path / "data" / "cameras.json"
    assert IdentityFile(path).identities() == book.identities()
    assert book.identities()[CameraId("cam-1")].address == "http://10.0.0.9/onvif/device_service"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["cameras.json"]


@pytest.mark.parametrize("text", [b"", b"{", b'[{"camera": 1}]', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, text: bytes) -> None:
    """Cameras are recognised anew, by the same endpoint references."""
    path = tmp_path / "cameras.json"
    path.write_bytes(text)
    book = IdentityFile(path)
    assert book.identities() == {}
    book.put_identity(known(1))
    assert list(IdentityFile(path).identities()) == ["cam-1"]


def test_a_person_forgets_a_camera_beside_the_daemon(tmp_path: Path) -> None:
    """The daemon's own copy follows, and it does not bring the camera back with the next one that it stores."""
    path = tmp_path / "cameras.json"
    daemon = IdentityFile(path)
    for number in (1, 2):
        daemon.put_identity(known(number))
    persons = IdentityFile(path)
    assert persons.forget_identity(CameraId("cam-1"))
    assert not persons.forget_identity(CameraId("cam-1"))
    assert list(daemon.identities()) == ["cam-2"]
    daemon.put_identity(known(3))
    assert list(IdentityFile(path).identities()) == list(daemon.identities()) == ["cam-2", "cam-3"]


@pytest.mark.parametrize("damage", [b"{", None], ids=["damaged", "gone"])
def test_a_file_that_is_damaged_meanwhile_makes_nobody_forget(tmp_path: Path, damage: bytes | None) -> None:
    """What the daemon knows it goes on knowing, and the next camera that it stores mends the file."""
    path = tmp_path / "cameras.json"
    daemon = IdentityFile(path)
    daemon.put_identity(known(1))
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert list(daemon.identities()) == ["cam-1"]
    daemon.put_identity(known(2))
    assert list(IdentityFile(path).identities()) == ["cam-1", "cam-2"]


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    """The oldest go first."""
    book = IdentityFile(tmp_path / "cameras.json")
    for number in range(CAMERAS_MAX + 2):
        book.put_identity(known(number))
    assert len(book.identities()) == CAMERAS_MAX
    assert CameraId("cam-1") not in book.identities()


def test_a_disk_that_fails_is_said(tmp_path: Path) -> None:
    """The folder is a file."""
    (tmp_path / "data").write_text("")
    with pytest.raises(UnavailableError):
        IdentityFile(tmp_path / "data" / "cameras.json").put_identity(known(1))
