"""Which pair of key and certificate is in force, for every content that the folder can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.credentials import CredentialStore, Pair, RenewalStage
from provisioning.errors import ConfigurationError
from provisioning.issuing import issue_chain
from provisioning.keys import key_pem, make_key
from tests.simulators.enrolment_server import make_authority

HUB = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
KEY, AUTHORITY = make_key(), make_authority()
CHAIN = issue_chain(KEY.public_key(), HUB, AUTHORITY, 1_795_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as an enrolment leaves it, also one by a program from before renewals."""
    for name, content in (("mtls.key", key_pem(KEY)), ("mtls.crt", CHAIN.encode())):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_the_enrolments_pair_is_in_force_until_there_is_another(folder: Path) -> None:
    """It stays in its two files for good; a renewed pair is one file, and goes before it."""
    store = CredentialStore(folder)
    assert store.present() == Pair(folder / "mtls.crt", folder / "mtls.key")
    key = make_key()
    chain = issue_chain(key.public_key(), HUB, AUTHORITY, 1_795_000_000)
    store.keep_next_key(key)
    assert store.stage() is RenewalStage.ASKED
    store.keep_next(key, chain)
    assert (store.stage(), store.present().key.name) == (RenewalStage.ON_TRIAL, "mtls.key")
    store.promote()
    assert (store.stage(), store.present()) == (
        RenewalStage.UNCONFIRMED,
        Pair(folder / "mtls.pem", folder / "mtls.pem"),
    )
    store.forget_next()
    assert store.stage() is RenewalStage.SETTLED
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "mtls.key": 0o600,
        "mtls.crt": 0o600,
        "mtls.pem": 0o600,
    }


def test_a_pair_that_did_not_work_is_dropped_whole(folder: Path) -> None:
    """What is in force is what was."""
    store = CredentialStore(folder)
    store.keep_next_key(KEY)
    store.keep_next(KEY, CHAIN)
    store.forget_next()
    assert (store.stage(), store.next(), store.next_key()) == (RenewalStage.SETTLED, None, None)
    assert store.present().key.name == "mtls.key"


@pytest.mark.parametrize("name", ["mtls.key", "mtls.crt"])
def test_a_damaged_file_says_what_to_do(folder: Path, name: str) -> None:
    """Rubbish, nothing, and what others can read."""
    store = CredentialStore(folder)

    def read() -> None:
        store.present_key()
        store.present_leaf()

    (folder / name).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigurationError, match="enrol it again"):
        read()
    (folder / name).chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read()
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match="enrol it again"):
        read()
