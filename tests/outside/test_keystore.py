"""The hub's own keys: made once, private, and never given to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.outside.keystore import KEY_BYTES, Keystore

_ASK = """
import sys
from pathlib import Path
from agent.outside.keystore import Keystore
print(Keystore(Path(sys.argv[1])).key_encryption_key().reveal().hex())
"""


def test_a_key_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    """Another start finds the same keys; the two keys are not the same."""
    first, second = Keystore(tmp_path / "keys"), Keystore(tmp_path / "keys")
    assert first.key_encryption_key().reveal() == second.key_encryption_key().reveal()
    assert first.evidence_key().private_bytes_raw() == second.evidence_key().private_bytes_raw()
    assert first.key_encryption_key().reveal() != first.evidence_key().private_bytes_raw()
    assert len(first.key_encryption_key().reveal()) == KEY_BYTES


def test_only_the_agent_can_read_a_key(tmp_path: Path) -> None:
    """The files are 0600 in a folder of 0700, whatever the umask; nothing unfinished is left."""
    before = os.umask(0)
    try:
        Keystore(tmp_path / "keys").key_encryption_key()
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "keys").iterdir()] == [("kek", 0o600)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    """Somebody must look who has read it; the error names the command that closes it."""
    Keystore(tmp_path).key_encryption_key()
    (tmp_path / "kek").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Keystore(tmp_path).key_encryption_key()


@pytest.mark.parametrize("content", [b"", b"short", bytes(KEY_BYTES + 1)], ids=["empty", "short", "long"])
def test_a_damaged_key_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    """A new key would make all footage unreadable: a person restores the old one."""
    (tmp_path / "kek").write_bytes(content)
    (tmp_path / "kek").chmod(0o600)
    with pytest.raises(ConfigurationError, match="instead of 32"):
        Keystore(tmp_path).key_encryption_key()
    assert (tmp_path / "kek").read_bytes() == content


def test_a_key_that_was_being_made_when_the_power_went_is_made_again(tmp_path: Path) -> None:
    """The unfinished file was never a key."""
    (tmp_path / "kek.new").touch(0o600)
    (tmp_path / "kek.new").write_bytes(b"half")
    assert len(Keystore(tmp_path).key_encryption_key().reveal()) == KEY_BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["kek"]


def test_the_service_managers_credentials_come_first(tmp_path: Path) -> None:
    """Under systemd the key is the sealed one, and no file is made beside it; what is not sealed is made on disk."""
    sealed = tmp_path / "credentials"
    sealed.mkdir()
    (sealed / "kek").write_bytes(bytes(range(KEY_BYTES)))
    asked = [sys.executable, "-c", _ASK, str(tmp_path / "keys")]
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(sealed)}
    root = Path(__file__).parents[2]
    done = subprocess.run(asked, env=environment, cwd=root, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == bytes(range(KEY_BYTES)).hex()
    assert not (tmp_path / "keys").exists()
    (sealed / "kek").unlink()
    done = subprocess.run(asked, env=environment, cwd=root, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == (tmp_path / "keys" / "kek").read_bytes().hex()
