"""A folder is synced, and nothing else is taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.outside.folders import sync_folder


def test_a_folder_is_synced_and_let_go(tmp_path: Path) -> None:
    """No descriptor stays open behind it."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - descriptors are no files of ours
    sync_folder(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    """A file and a missing name are told, not passed over."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
