"""The owner is whoever holds the card, stands at the hub and comes first."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from provisioning.errors import BadInputError
from provisioning.pairing import (
    BUTTON_WINDOW_S,
    STATEMENT_BYTES_MAX,
    OwnerKey,
    PairingRefusal,
    make_statement,
    pair_owner,
    read_owner,
)
from provisioning.secret import Secret, read_secret

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "provisioning" / "pairings.json").read_text()
)
HUB = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
CARD, LABEL = Secret(b"c" * 16), Secret(b"l" * 16)
PHONE = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def pair(
    statement: bytes, *, paired: OwnerKey | None = None, pressed_s: float | None = 1000, now_s: float = 1001
) -> OwnerKey | PairingRefusal:
    """Try to pair a hub whose button was pressed a second ago."""
    return pair_owner(statement, hub_id=HUB, owner_secret=CARD, paired=paired, pressed_s=pressed_s, now_s=now_s)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector pairs, is refused or is not a statement, for its one reason."""
    statement, secret = json.dumps(vector["statement"]).encode(), read_secret(vector["owner_secret"])

    def outcome() -> str:
        result = pair_owner(
            statement, hub_id=vector["hub_id"], owner_secret=secret, paired=None, pressed_s=0, now_s=BUTTON_WINDOW_S
        )
        return result.name if isinstance(result, PairingRefusal) else result.thumbprint

    if vector["outcome"] == "BAD_INPUT":
        with pytest.raises(BadInputError):
            outcome()
    else:
        assert outcome() == vector["outcome"]


def test_card_and_button_make_an_owner() -> None:
    """The result is the phone's public key and its RFC 7638 name."""
    owner = pair(make_statement(PHONE, HUB, CARD))
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
    assert pair(make_statement(PHONE, HUB, CARD), pressed_s=pressed_s, now_s=now_s) is PairingRefusal.NO_BUTTON


def test_the_installer_cannot_become_the_owner() -> None:
    """The secret on the hub's outside proves nothing here."""
    assert pair(make_statement(PHONE, HUB, LABEL)) is PairingRefusal.WRONG_CARD


def test_a_second_owner_is_refused() -> None:
    """Even the right card and a pressed button do not replace the first owner."""
    first = pair(make_statement(PHONE, HUB, CARD))
    assert isinstance(first, OwnerKey)
    assert pair(make_statement(PHONE, HUB, CARD), paired=first) is PairingRefusal.ALREADY_PAIRED


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
    statement = json.loads(make_statement(PHONE, HUB, CARD))
    place = statement if name in statement else statement["owner"]
    if place.get(name) == value:
        return
    place[name] = value
    with contextlib.suppress(BadInputError):
        assert isinstance(pair(json.dumps(statement).encode()), PairingRefusal)
