"""What a person writes behind `transom cameras`: every command helps, and a password never stands in the call."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.cli.camera_options import PASSWORD_BYTES_MAX, given_login
from agent.cli.cameras import CALLS
from agent.errors import ConfigurationError


@pytest.mark.parametrize("command", list(CALLS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And none takes a password as an argument, where `ps` would show it."""
    with pytest.raises(SystemExit) as ended:
        main(["cameras", command, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"transom cameras {command}" in said
    assert "--password " not in said


def test_passwords_come_from_files(tmp_path: Path) -> None:
    """One line, whatever characters; at most 4 KiB are read; no user, no login; no file, words that help."""
    path = tmp_path / "password"
    path.write_bytes('  pä"ss\\ \r\n'.encode())
    login = given_login(Namespace(user="hub", password_file=path))
    assert login is not None
    assert login.password.reveal() == '  pä"ss\\ '.encode()
    path.write_bytes(b"x" * 10_000)
    login = given_login(Namespace(user="hub", password_file=path))
    assert login is not None
    assert len(login.password.reveal()) == PASSWORD_BYTES_MAX
    assert given_login(Namespace(user=None, password_file=path)) is None
    for odd in ("a\nb", "a\x00", "\x1b[2J"):
        with pytest.raises(ConfigurationError, match="no text"):
            given_login(Namespace(user=odd, password_file=path))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        given_login(Namespace(user="hub", password_file=tmp_path / "none"))


def test_without_a_terminal_a_file_must_be_named() -> None:
    """A script that forgot the password hangs at no prompt."""
    assert not isinstance(sys.stdin, io.IOBase) or not sys.stdin.isatty()
    with pytest.raises(ConfigurationError, match="--password-file"):
        given_login(Namespace(user="hub", password_file=None))
