"""A file that others read while it is replaced: never half of it, and for the agent's group only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import BadInputError, UnavailableError
from agent.outside.shown_file import hide, read_shown, show


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """Run as the unit does."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
def test_owner_and_group_may_read_it(tmp_path: Path) -> None:
    """Whatever the umask says; nothing else is left in the folder."""
    path = tmp_path / "status.json"
    show(path, b"one")
    show(path, b"two")
    assert read_shown(path, 10) == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_reads_it_gets_all_of_one_or_another(tmp_path: Path) -> None:
    """While it is written again and again."""
    path, is_over, torn = tmp_path / "status.json", threading.Event(), []
    show(path, b"0" * 50_000)

    def read() -> None:
        while not is_over.is_set():
            content = read_shown(path, 50_000)
            if len(content) != 50_000 or len(set(content)) != 1:
                torn.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        show(path, str(number % 10).encode() * 50_000)
    is_over.set()
    reader.join()
    assert torn == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else's file is not overwritten."""
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "status.json.new").symlink_to(other)
    with pytest.raises(UnavailableError):
        show(tmp_path / "status.json", b"x")
    assert other.read_text() == "mine"


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """No folder, no file, too much of it."""
    with pytest.raises(UnavailableError, match=r"cannot be written: No such file or directory \(check"):
        show(tmp_path / "nowhere" / "status.json", b"x")
    with pytest.raises(UnavailableError, match="cannot be read"):
        read_shown(tmp_path / "status.json", 10)
    show(tmp_path / "status.json", b"12345678901")
    with pytest.raises(BadInputError, match="more than 10 bytes"):
        read_shown(tmp_path / "status.json", 10)


def test_it_can_be_taken_away(tmp_path: Path) -> None:
    """Once and again; what cannot be removed is left."""
    show(tmp_path / "status.json", b"x")
    hide(tmp_path / "status.json")
    hide(tmp_path / "status.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    hide(tmp_path / "folder")
