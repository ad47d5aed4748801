"""A file that only grows: the ground under the audit log, whose tests are in test_audit_file.py."""

from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import BadInputError, ConfigurationError
from agent.outside.appended_file import AppendedFile


def test_records_follow_each_other_and_are_read_back(tmp_path: Path) -> None:
    """From the front without line breaks, from the back newest first."""
    with closing(AppendedFile(tmp_path / "file")) as file:
        for word in (b"one\n", b"two\n", b"three\n"):
            file.append(word)
        assert list(file.lines(100)) == [b"one", b"two", b"three"]
        assert file.last_lines(2) == [b"three", b"two"]
        assert file.content(100) == b"one\ntwo\nthree\n"
        with pytest.raises(BadInputError):
            file.content(5)


def test_a_replaced_file_goes_on_growing(tmp_path: Path) -> None:
    """The other file takes its place whole, and stays locked."""
    with closing(AppendedFile(tmp_path / "file")) as file:
        file.append(b"old\n")
        file.replace(b"new\n")
        file.append(b"more\n")
        assert (tmp_path / "file").read_bytes() == b"new\nmore\n"
        assert file.size == 9
        with pytest.raises(ConfigurationError, match="in use"):
            AppendedFile(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
