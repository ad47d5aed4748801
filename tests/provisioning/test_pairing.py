"""The owner is whoever holds the card, stands at the hub and comes first."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from provisioning.enrolment import Broker, Enrolment
from provisioning.errors import BadInputError
from provisioning.keys import make_key
from provisioning.pairing import (
    BUTTON_WINDOW_S,
    ENROLMENT_BYTES,
    STATEMENT_BYTES_MAX,
    OwnerKey,
    PairingRefusal,
    enrolment_text,
    make_statement,
    pair_owner,
    read_enrolment,
    read_owner,
)
from provisioning.secret import Secret, read_secret
from provisioning.store import IdentityStore
from tests.vectors.provisioning import make_pairings

VECTORS: list[dict[str, Any]] = json.loads(make_pairings.FILE.read_text())
HUB = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
CARD, LABEL = Secret(b"c" * 16), Secret(b"l" * 16)
ENROLMENT = b"e" * ENROLMENT_BYTES
ENROLLED = Enrolment(
    HUB, "chain", Broker("broker.example", 8883, "anchors"), "bundle", ({"kty": "OKP"},), 1, "Site", ""
)
PHONE = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def pair(
    statement: bytes, *, paired: OwnerKey | None = None, pressed_s: float | None = 1000, now_s: float = 1001
) -> OwnerKey | PairingRefusal:
    """Try to pair a hub whose button was pressed a second ago."""
    return pair_owner(
        statement,
        hub_id=HUB,
        owner_secret=CARD,
        enrolment=ENROLMENT,
        paired=paired,
        pressed_s=pressed_s,
        now_s=now_s,
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector pairs, is refused or is not a statement, for its one reason."""
    statement, secret = json.dumps(vector["statement"]).encode(), read_secret(vector["owner_secret"])

    def outcome() -> str:
        result = pair_owner(
            statement,
            hub_id=vector["hub_id"],
            owner_secret=secret,
            enrolment=read_enrolment(vector["enrolment"]),
            paired=None,
            pressed_s=0,
            now_s=BUTTON_WINDOW_S,
        )
        return result.name if isinstance(result, PairingRefusal) else result.thumbprint

    if vector["outcome"] == "BAD_INPUT":
        with pytest.raises(BadInputError):
            outcome()
    else:
        assert outcome() == vector["outcome"]


def test_script_makes_the_committed_file() -> None:
    """The vectors are what their maker writes, which shares no code with us."""
    assert make_pairings.text() == make_pairings.FILE.read_text()


def test_card_and_button_make_an_owner() -> None:
    """The result is the phone's public key and its RFC 7638 name."""
    owner = pair(make_statement(PHONE, HUB, CARD, ENROLMENT))
    assert owner == OwnerKey(PHONE, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")


@pytest.mark.parametrize("kind", [OKPKey, ECKey])
def test_our_thumbprint_is_everybodys(kind: type[OKPKey | ECKey]) -> None:
    """Joserfc, which verifies the owner's signatures later, gives a key the same name."""
    key = OKPKey.generate_key("Ed25519") if kind is OKPKey else ECKey.generate_key("P-256")
    public = key.as_dict(private=False)
    jwk = {name: str(public[name]) for name in ("kty", "crv", "x", "y") if name in public}
    assert read_owner(jwk).thumbprint == key.thumbprint()


@pytest.mark.parametrize(
    ("pressed_s", "now_s"),
    [(None, 1000), (1000, 1000.1 + BUTTON_WINDOW_S), (1001, 1000)],
    ids=["never", "late", "early"],
)
def test_without_a_finger_on_the_button_there_is_no_owner(pressed_s: float | None, now_s: float) -> None:
    """A press counts for two minutes, and only after it happened."""
    assert (
        pair(make_statement(PHONE, HUB, CARD, ENROLMENT), pressed_s=pressed_s, now_s=now_s) is PairingRefusal.NO_BUTTON
    )


def test_the_installer_cannot_become_the_owner() -> None:
    """The secret on the hub's outside proves nothing here."""
    assert pair(make_statement(PHONE, HUB, LABEL, ENROLMENT)) is PairingRefusal.WRONG_CARD


def test_a_second_owner_is_refused() -> None:
    """Even the right card and a pressed button do not replace the first owner."""
    first = pair(make_statement(PHONE, HUB, CARD, ENROLMENT))
    assert isinstance(first, OwnerKey)
    assert pair(make_statement(PHONE, HUB, CARD, ENROLMENT), paired=first) is PairingRefusal.ALREADY_PAIRED


def test_a_statement_recorded_before_a_reset_never_pairs_again(store: IdentityStore) -> None:
    """The broker kept the earlier owner's statement; the button is pressed for a new owner, and the old one comes."""
    factory = store.load_factory()

    def pair_now(statement: bytes) -> OwnerKey | PairingRefusal:
        return pair_owner(
            statement,
            hub_id=factory.hub_id,
            owner_secret=factory.owner_secret,
            enrolment=store.enrolment_pin(),
            paired=store.load_owner(),
            pressed_s=1000,
            now_s=1001,
        )

    store.save_enrolment(ENROLLED, make_key())
    recorded = make_statement(PHONE, factory.hub_id, factory.owner_secret, store.enrolment_pin())
    owner = pair_now(recorded)
    assert isinstance(owner, OwnerKey)
    store.save_owner(owner)
    store.reset()
    store.save_enrolment(ENROLLED, make_key())
    assert pair_now(recorded) is PairingRefusal.WRONG_CARD
    assert pair_now(make_statement(PHONE, factory.hub_id, factory.owner_secret, store.enrolment_pin())) == owner


@given(st.binary(min_size=ENROLMENT_BYTES, max_size=ENROLMENT_BYTES))
def test_the_app_reads_the_enrolment_that_the_hub_writes(enrolment: bytes) -> None:
    """Any 32 bytes come back."""
    assert read_enrolment(enrolment_text(enrolment)) == enrolment


@given(st.text() | st.binary().filter(lambda name: len(name) != ENROLMENT_BYTES).map(enrolment_text))
def test_a_server_that_lies_about_the_enrolment_gets_no_statement(text: str) -> None:
    """Whatever is not 32 bytes is refused before anything is put under a proof."""
    with pytest.raises(BadInputError):
        read_enrolment(text)


@given(st.binary(max_size=300) | st.just(b"[" * STATEMENT_BYTES_MAX) | st.just(b" " * (STATEMENT_BYTES_MAX + 1)))
def test_junk_is_not_a_statement(junk: bytes) -> None:
    """Any other bytes are refused with one kind of error."""
    with pytest.raises(BadInputError):
        pair(junk)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["owner", "hub_id", "proof", "x", "kty", "crv", "y"]), json_values)
def test_a_statement_with_one_wrong_member_never_pairs(name: str, value: object) -> None:
    """Whatever stands in one member instead, nobody becomes the owner by it."""
    statement = json.loads(make_statement(PHONE, HUB, CARD, ENROLMENT))
    place = statement if name in statement else statement["owner"]
    if place.get(name) == value:
        return
    place[name] = value
    with contextlib.suppress(BadInputError):
        assert isinstance(pair(json.dumps(statement).encode()), PairingRefusal)
