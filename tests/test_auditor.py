"""The check of an audit log by its public key alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.auditor import verify_audit
from agent.clock import WallTime
from agent.errors import ConfigurationError
from agent.evidence.audit import LOG_NAME
from agent.evidence.note import verifier_of
from agent.outside.audit_file import AuditFile
from tests.simulators.set_clock import SetClock

KEY = Ed25519PrivateKey.generate()
VKEY = str(verifier_of("hub-1", KEY))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a log of 6 entries, 5 of them signed."""
    log = AuditFile(tmp_path / LOG_NAME, "hub-1", KEY, SetClock(WallTime(0)))
    for number in range(6):
        if number in {2, 5}:
            log.checkpoint()
        log.append("job", str(number), {})
    log.close()
    return tmp_path


def test_a_true_log_is_intact(folder: Path) -> None:
    """The verdict says how many entries there are and how many of them are signed."""
    verdict = verify_audit(folder, VKEY + "\n")
    assert verdict.is_intact
    assert (verdict.log, verdict.entries, verdict.signed_entries, verdict.checkpoints) == ("hub-1", 6, 5, 2)
    assert len(verdict.root) == 64


def test_a_line_that_is_being_written_does_not_count(folder: Path) -> None:
    """A log can be checked while the hub writes it; the check changes nothing."""
    path = folder / LOG_NAME
    path.write_bytes(path.read_bytes() + b'{"at":')
    before = path.read_bytes()
    assert verify_audit(folder, VKEY).is_intact
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda log: log.replace(b'"ref":"3"', b'"ref":"9"'), "entries 2 to 4"),
        (lambda log: log[:50], "missing"),
        (lambda log: log + b"junk\n", "entry 6"),
        (lambda log: log + b"x" * 200_000, "entry 6"),
    ],
)
def test_a_changed_log_is_a_verdict(folder: Path, change: Callable[[bytes], bytes], where: str) -> None:
    """What is wrong is said, not raised."""
    path = folder / LOG_NAME
    path.write_bytes(change(path.read_bytes()))
    verdict = verify_audit(folder, VKEY)
    assert not verdict.is_intact
    assert where in verdict.fault


def test_another_key_or_no_signature_is_a_verdict(folder: Path) -> None:
    """A log that the key did not sign proves nothing."""
    assert not verify_audit(folder, str(verifier_of("hub-1", Ed25519PrivateKey.generate()))).is_intact
    (folder / "checkpoints").write_bytes(b"")
    assert "no checkpoint" in verify_audit(folder, VKEY).fault


def test_a_wrong_key_or_folder_is_for_a_person_to_mend(folder: Path, tmp_path: Path) -> None:
    """A mistyped key or a folder without a log is not a verdict about the log."""
    with pytest.raises(ConfigurationError, match="verifier key"):
        verify_audit(folder, VKEY[:-4])
    with pytest.raises(ConfigurationError, match="no audit log"):
        verify_audit(tmp_path / "elsewhere", VKEY)
