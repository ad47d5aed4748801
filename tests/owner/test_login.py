"""Who is let in: vectors for the statement, and nonces that nobody else can make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant, WallTime
from agent.command.envelope import Audience
from agent.crypto import Secret
from agent.errors import BadInputError
from agent.owner.login import NONCE_S_MAX, USED_NONCES_MAX, LoginClaims, Nonces, audience_of, open_login
from agent.signing import SigningKey, key_from_jwk
from tests.vectors.command.scene import AUDIENCE, NOW, OWNER
from tests.vectors.owner.make_logins import BORN, NONCE, NONCE_KEY, ORIGIN, PLACE, cases, signed

VECTORS: list[dict[str, Any]] = json.loads(PLACE.read_text())


def opened(token: str, owner: SigningKey | None = OWNER.key, nonces: Nonces | None = None) -> LoginClaims:
    """Check a statement as a hub does three seconds after it gave the nonce."""
    return open_login(
        token,
        owner,
        audience=AUDIENCE,
        origin=ORIGIN,
        nonces=nonces or Nonces(NONCE_KEY),
        now=NOW,
        instant=Instant(BORN + 3 * SECOND_NS),
        is_clock_trusted=True,
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each is let in, or refused for the one thing that is wrong with it."""
    nonces, instant = Nonces(NONCE_KEY), Instant(BORN + vector["nonce_age_s"] * SECOND_NS)
    if vector["is_nonce_used"]:
        nonces.use_up(NONCE, instant)

    def check() -> LoginClaims:
        return open_login(
            vector["login"],
            key_from_jwk(vector["owner"]),
            audience=Audience(vector["hub"], vector["pairing_epoch"]),
            origin=vector["origin"],
            nonces=nonces,
            now=WallTime(vector["now"] * SECOND_NS),
            instant=instant,
            is_clock_trusted=vector["is_clock_trusted"],
        )

    if vector["refused"]:
        with pytest.raises(BadInputError, match=vector["refused"]):
            check()
    else:
        assert check().nonce == NONCE
        with pytest.raises(BadInputError, match="used before"):
            check()


def test_the_vectors_are_what_the_maker_makes() -> None:
    """Nobody has edited them by hand."""
    assert cases() == VECTORS


def test_a_hub_without_an_owner_lets_nobody_in_and_does_not_say_why() -> None:
    """Whoever knocks hears the same from a hub without an owner and from one with another."""
    with pytest.raises(BadInputError) as none:
        opened(signed(), owner=None)
    with pytest.raises(BadInputError) as other:
        opened("nonsense")
    assert str(none.value) == str(other.value)


def test_a_refusal_names_no_key() -> None:
    """Who is not the owner does not learn from the refusal whose key it would have to be."""
    with pytest.raises(BadInputError) as refused:
        opened(signed()[:-4] + "AAAA")
    assert OWNER.key.thumbprint()[:8] not in str(refused.value)


@given(st.text(max_size=300))
def test_anything_else_is_refused(text: str) -> None:
    """Whatever comes, the only way out is a refusal."""
    with pytest.raises(BadInputError):
        opened(text)


@given(st.text(alphabet="ABCabc019-_", min_size=60, max_size=90))
def test_nobody_makes_up_a_nonce(nonce: str) -> None:
    """A nonce is this hub's or none."""
    with pytest.raises(BadInputError):
        Nonces(NONCE_KEY).check(nonce, BORN)


def test_asking_for_nonces_takes_no_memory() -> None:
    """A flood of questions leaves nothing behind; only logins do, and of those so many at once."""
    nonces = Nonces(Secret(bytes(32)))
    for number in range(5000):
        nonces.make(Instant(number), number.to_bytes(16))
    assert not nonces._used
    for number in range(USED_NONCES_MAX):
        nonces.use_up(str(number), BORN)
    with pytest.raises(BadInputError, match="more logins"):
        nonces.use_up("one more", BORN)
    nonces.use_up("later", Instant(BORN + (NONCE_S_MAX + 1) * SECOND_NS))
    assert set(nonces._used) == {"later"}


def test_an_audience_tells_nobody_which_hub_it_is() -> None:
    """It differs by hub, pairing and nonce, and holds none of them."""
    names = {audience_of(Audience(hub, epoch), nonce) for hub in ("a", "b") for epoch in (1, 2) for nonce in ("x", "y")}
    assert len(names) == 8
    assert all(len(name) == 64 for name in names)
