"""Which pair a connection is tried with, and what the broker made of it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agent.errors import ConfigurationError
from agent.outside.hub_certificate import HubCertificate
from provisioning.credentials import CredentialStore, RenewalStage
from provisioning.issuing import issue_chain
from provisioning.keys import make_key, pin
from provisioning.private_files import write_private
from tests.simulators.enrolment_server import make_authority

HUB = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
AUTHORITY, KEY, NEXT = make_authority(), make_key(), make_key()


@pytest.fixture
def store(tmp_path: Path) -> CredentialStore:
    """Return the folder of a hub whose first pair is in force."""
    store = CredentialStore(tmp_path)
    store.keep_next(KEY, issue_chain(KEY.public_key(), HUB, AUTHORITY, 1_795_000_000))
    store.promote()
    return store


def on_trial(store: CredentialStore) -> None:
    """Put another pair on trial."""
    store.keep_next_key(NEXT)
    store.keep_next(NEXT, issue_chain(NEXT.public_key(), HUB, AUTHORITY, 1_795_000_001))


def tried(certificate: HubCertificate, *, is_taken: bool) -> None:
    """Connect once."""
    certificate.before_connecting(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if is_taken:
        certificate.accepted()


def test_without_a_trial_nothing_is_concluded(store: CredentialStore) -> None:
    """Connections come and go."""
    certificate = HubCertificate(store, None)
    for is_taken in (True, False, True):
        tried(certificate, is_taken=is_taken)
    assert certificate.trial() == (False, 0, 0)
    assert not certificate.can_renew


def test_the_new_pair_is_tried_first_and_proven_by_being_taken(store: CredentialStore) -> None:
    """Then it can be put in force, and everything is as before a renewal."""
    on_trial(store)
    certificate = HubCertificate(store, None)
    tried(certificate, is_taken=True)
    assert certificate.trial() == (True, 0, 1)
    tried(certificate, is_taken=False)
    assert certificate.trial()[0]  # once taken is taken
    certificate.accept()
    assert (certificate.trial(), certificate.name()) == ((False, 0, 0), pin(NEXT.public_key()).hex())
    assert certificate.stage() is RenewalStage.UNCONFIRMED
    certificate.confirm()  # nobody to tell
    assert certificate.stage() is RenewalStage.SETTLED


def test_a_pair_that_is_not_taken_costs_one_try(store: CredentialStore) -> None:
    """The old one is tried next, again and again; what the broker takes of the two is counted, not assumed."""
    on_trial(store)
    certificate = HubCertificate(store, None)
    for round_ in range(1, 4):
        tried(certificate, is_taken=False)  # the new one
        tried(certificate, is_taken=True)  # the old one
        assert certificate.trial() == (False, round_, round_)
    for _ in range(4):  # nobody is there
        tried(certificate, is_taken=False)
    assert certificate.trial() == (False, 3, 5)
    certificate.drop()
    assert (certificate.trial(), certificate.stage()) == ((False, 0, 0), RenewalStage.SETTLED)


def test_a_damaged_file_keeps_the_connection_alive_and_is_said(
    store: CredentialStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread that connects goes on with what it had; the watch hears the cause."""
    write_private(tmp_path / "mtls.pem", b"rubbish")
    certificate = HubCertificate(store, None)
    tried(certificate, is_taken=False)
    assert "mtls.pem cannot be used" in caplog.text
    with pytest.raises(ConfigurationError, match="enrol it again"):
        certificate.validity()
