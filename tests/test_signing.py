"""Signed statements are only what they say they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BadInputError
from agent.signing import (
    STATEMENT_BYTES_MAX,
    generate_signing_key,
    key_from_jwk,
    open_statement,
    public_jwk,
    sign_statement,
)

ED25519, P256 = generate_signing_key(), generate_signing_key("P-256")
KEYS = pytest.mark.parametrize("key", [ED25519, P256], ids=["Ed25519", "P-256"])


@KEYS
def test_a_statement_says_what_was_signed(key: object) -> None:
    """By the public half alone."""
    signer = ED25519 if key is ED25519 else P256
    token = sign_statement(b'{"a":1}', signer, "test+jwt")
    assert open_statement(token, key_from_jwk(dict(public_jwk(signer))), "test+jwt") == b'{"a":1}'


@KEYS
def test_a_statement_of_another_kind_or_key_is_none(key: object) -> None:
    """A receipt is no command, one key is not another, and the header does not choose the algorithm."""
    signer, other = (ED25519, P256) if key is ED25519 else (P256, ED25519)
    token = sign_statement(b"{}", signer, "test+jwt")
    for wrong_key, typ in ((signer, "other+jwt"), (other, "test+jwt"), (generate_signing_key(), "test+jwt")):
        with pytest.raises(BadInputError):
            open_statement(token, wrong_key, typ)
    with pytest.raises(BadInputError, match="limit"):
        open_statement("a" * (STATEMENT_BYTES_MAX + 1), signer, "test+jwt")


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Anything that is not a statement is bad input."""
    with pytest.raises(BadInputError):
        open_statement(text, ED25519, "test+jwt")


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
    ],
    ids=range(8),
)
def test_only_ed25519_and_p256_are_keys(jwk: dict[str, str]) -> None:
    """Everything else, and every point that is on no curve, is bad input."""
    with pytest.raises(BadInputError):
        key_from_jwk(jwk)


def test_a_public_key_has_no_private_half() -> None:
    """What is given away are the required members only."""
    assert public_jwk(ED25519).keys() == {"kty", "crv", "x"}
    assert public_jwk(P256).keys() == {"kty", "crv", "x", "y"}
