"""The identity folder tells after any power cut how far the hub has come, and shows its files to nobody else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from provisioning.enrolment import Broker, Enrolment
from provisioning.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.keys import make_key, pin
from provisioning.pairing import OwnerKey, read_owner
from provisioning.store import USED_CODES_MAX, HubState, IdentityStore

OWNER = read_owner({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
ENROLMENT = Enrolment(
    hub_id="01JD3Q7Z8X5M2K9P4R6T8V0W1Y",
    certificate_chain_pem="chain",
    broker=Broker("broker.example", 8883, "anchors"),
    trust_bundle="bundle",
    trust_roots=({"kty": "OKP"},),
    pairing_epoch=2,
    site="Bäckerei",
    server_time="2026-11-22T13:46:00Z",
)


def test_everything_reads_back(store: IdentityStore, identity: FactoryIdentity) -> None:
    """Factory identity, enrolment and owner survive a restart, and the state follows them."""
    assert IdentityStore(store.folder).load_factory().label.url == identity.label.url
    assert store.load_factory().record == identity.record
    assert (store.state(), store.load_enrolment(), store.load_owner()) == (HubState.BLANK, None, None)
    store.save_enrolment(ENROLMENT, make_key())
    assert (store.state(), store.load_enrolment()) == (HubState.ENROLLED, ENROLMENT)
    store.save_owner(OWNER)
    assert (store.state(), store.load_owner()) == (HubState.PAIRED, OWNER)


def test_only_the_hub_itself_can_read_its_folder(store: IdentityStore) -> None:
    """The folder is 0700 and every file 0600."""
    store.save_enrolment(ENROLMENT, make_key())
    store.save_owner(OWNER)
    store.spend_code(bytes(16))
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_an_identity_open_to_others_is_not_used(store: IdentityStore) -> None:
    """A key that somebody could have copied is reported with its cure."""
    (store.folder / "factory.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        store.load_factory()


def test_a_power_cut_while_enrolling_leaves_a_blank_hub(store: IdentityStore) -> None:
    """Whatever files are there, without the commit mark the hub is blank, and enrols again."""
    store.save_enrolment(ENROLMENT, make_key())
    (store.folder / "enrolment.json").rename(store.folder / ".enrolment.json.unfinished")
    assert store.state() is HubState.BLANK
    store.save_enrolment(ENROLMENT, make_key())
    assert store.state() is HubState.ENROLLED


def test_a_power_cut_while_resetting_never_revives_the_owner(store: IdentityStore) -> None:
    """The owner goes first: a half reset hub is enrolled without an owner, never blank with one."""
    store.save_enrolment(ENROLMENT, make_key())
    store.save_owner(OWNER)
    (store.folder / "mtls.crt").unlink()
    (store.folder / "mtls.crt").mkdir()  # the last step of a reset fails
    with pytest.raises(UnavailableError):
        store.reset()
    assert (store.state(), store.load_owner()) == (HubState.BLANK, None)


def test_each_enrolment_has_a_name_of_its_own(store: IdentityStore) -> None:
    """It is the pin of the key made for it; a blank hub has none."""
    names = []
    for key in (make_key(), make_key()):
        store.save_enrolment(ENROLMENT, key)
        assert store.enrolment_pin() == pin(key.public_key())
        names.append(store.enrolment_pin())
        store.reset()
        with pytest.raises(ConfigurationError, match="enrol again"):
            store.enrolment_pin()
    assert names[0] != names[1]


def test_a_second_owner_is_not_stored(store: IdentityStore) -> None:
    """The pinned key stays, and a blank hub cannot be paired at all."""
    with pytest.raises(ConfigurationError):
        store.save_owner(OWNER)
    store.save_enrolment(ENROLMENT, make_key())
    store.save_owner(OWNER)
    with pytest.raises(ConfigurationError):
        store.save_owner(OwnerKey({}, "another"))
    assert store.load_owner() == OWNER


def test_a_second_identity_is_not_written_over_the_first(store: IdentityStore, identity: FactoryIdentity) -> None:
    """A hub keeps the name on its label."""
    with pytest.raises(ConfigurationError):
        store.save_factory(make_identity("hub.example", 0))
    assert store.load_factory().hub_id == identity.hub_id


def test_a_code_is_spent_once_and_the_list_stays_short(store: IdentityStore) -> None:
    """A used code is refused; the codes themselves are not kept."""
    for number in range(USED_CODES_MAX + 5):
        store.spend_code(number.to_bytes(16))
    with pytest.raises(BadInputError):
        store.spend_code((USED_CODES_MAX + 4).to_bytes(16))
    assert (store.folder / "used_codes.json").stat().st_size < 100 * USED_CODES_MAX


@pytest.mark.parametrize("name", ["factory.json", "factory.key", "enrolment.json", "owner.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"jwk":{},"version":2}'])
def test_a_damaged_file_is_reported(store: IdentityStore, name: str, content: bytes) -> None:
    """Damage is a matter for a person, by one kind of error."""
    store.save_enrolment(ENROLMENT, make_key())
    store.save_owner(OWNER)
    (store.folder / name).write_bytes(content)
    with pytest.raises(ConfigurationError):
        (store.load_factory(), store.load_enrolment(), store.load_owner())


def test_a_folder_without_a_hub_is_reported(tmp_path: Path) -> None:
    """An empty folder names the command that fills it."""
    with pytest.raises(ConfigurationError, match="transom-provision factory"):
        IdentityStore(tmp_path).load_factory()
