"""The shared cryptographic pieces: secrets that do not print, and statements that are only what they say they are."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import (
    STATEMENT_BYTES_MAX,
    Secret,
    canonical_json,
    generate_signing_key,
    hkdf_sha256,
    key_from_jwk,
    open_statement,
    public_jwk,
    sha256_hex,
    sign_statement,
    statement_kid,
    thumbprint,
)
from agent.errors import BadInputError

ED25519, P256 = generate_signing_key(), generate_signing_key("P-256")
KEYS = pytest.mark.parametrize("key", [ED25519, P256], ids=["Ed25519", "P-256"])


def test_a_secret_shows_itself_only_when_asked() -> None:
    """Not printed, not formatted, not compared, not pickled."""
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {secret:>20} {[secret]} {secret}"
    assert "hunter2" not in shown
    assert secret.reveal() == b"hunter2"
    assert secret != Secret("hunter2")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(AttributeError):
        secret.value = b""  # type: ignore[attr-defined]  # that is the point


@KEYS
def test_a_statement_says_what_was_signed(key: object) -> None:
    """By the public half alone, and the header names the key."""
    signer = ED25519 if key is ED25519 else P256
    token = sign_statement(b'{"a":1}', signer, "test+jwt")
    assert open_statement(token, key_from_jwk(dict(public_jwk(signer))), "test+jwt") == b'{"a":1}'
    assert statement_kid(token) == thumbprint(signer)


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
    """Anything that is not a statement is bad input, and names no key."""
    with pytest.raises(BadInputError):
        open_statement(text, ED25519, "test+jwt")
    assert isinstance(statement_kid(text), str)


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


def test_derived_keys_differ_by_purpose() -> None:
    """RFC 5869, test case 1; another purpose is another key."""
    secret, salt = Secret(bytes([0x0B]) * 22), bytes(range(13))
    derived = hkdf_sha256(secret, info=bytes(range(0xF0, 0xFA)), salt=salt, length=42).reveal()
    assert derived.hex().startswith("3cb25f25faacd57a90434f64d0362f2a")
    assert hkdf_sha256(secret, info=b"a").reveal() != hkdf_sha256(secret, info=b"b").reveal()


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=9), st.booleans()), max_size=5))
def test_the_same_value_is_always_the_same_bytes(value: dict[str, object]) -> None:
    """Whatever order it was made in; and it reads back as itself."""
    content = canonical_json(value)
    assert canonical_json(dict(reversed(value.items()))) == content
    assert json.loads(content) == value
    assert content.isascii()


def test_a_digest_is_lower_case_hex() -> None:
    """SHA-256 of nothing."""
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
