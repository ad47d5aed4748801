"""Small secret files: whole or not there, and nobody else's to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.errors import ConfigurationError, UnavailableError
from provisioning.private_files import read_private, remove_private, rename_private, write_private


def test_what_was_written_is_read_and_nobody_else_may(tmp_path: Path) -> None:
    """0600 whatever was there before, also after a write that a power cut left unfinished."""
    path = tmp_path / "key"
    assert read_private(path) is None
    (tmp_path / ".key.unfinished").write_bytes(b"torn")
    for content in (b"one", b"two"):
        write_private(path, content)
        assert (read_private(path), path.stat().st_mode & 0o777) == (content, 0o600)
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_private(path)


def test_names_change_at_once_and_go_quietly(tmp_path: Path) -> None:
    """A renamed file is the other one now; what is not there is removed already."""
    old, new = tmp_path / "old", tmp_path / "new"
    write_private(old, b"next")
    write_private(new, b"present")
    rename_private(old, new)
    assert (read_private(old), read_private(new)) == (None, b"next")
    remove_private(old, new)
    remove_private(old, new)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_is_said(tmp_path: Path) -> None:
    """Each call names the file."""
    gone = tmp_path / "gone" / "key"
    for call in (lambda: write_private(gone, b""), lambda: rename_private(gone, gone), lambda: remove_private(gone)):
        with pytest.raises(UnavailableError, match="key"):
            call()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnavailableError, match="folder"):
        read_private(tmp_path / "folder")
