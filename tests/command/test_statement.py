"""Signed statements: one statement has one form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.command.statement import base64url, open_strictly, unverified_claims, unverified_kid
from agent.errors import BadInputError
from agent.signing import sign_statement, thumbprint
from tests.vectors.command.scene import MALLORY, fixed_key

KEY = fixed_key("statement")
TOKEN = sign_statement(b'{"a":1}', KEY, "test+jwt")


def test_opens_what_its_key_signed() -> None:
    """The right key and type give back the signed bytes."""
    assert open_strictly(TOKEN, KEY, "test+jwt") == b'{"a":1}'
    assert (unverified_kid(TOKEN), unverified_claims(TOKEN)) == (thumbprint(KEY), {"a": 1})


@pytest.mark.parametrize(("key", "typ"), [(MALLORY, "test+jwt"), (KEY, "other+jwt"), (KEY, "TEST+JWT")])
def test_other_key_or_type_is_refused(key: object, typ: str) -> None:
    """A statement is for one purpose, by one key."""
    with pytest.raises(BadInputError):
        open_strictly(TOKEN, key, typ)  # type: ignore[arg-type] # parametrised


@pytest.mark.parametrize("segment", ["", "A", "AB", "AA==", "A+/=", "AA\n", "ÀA"])
def test_only_canonical_base64url(segment: str) -> None:
    """Padding, other alphabets and loose last bits are refused."""
    with pytest.raises(BadInputError):
        base64url(segment)


@settings(max_examples=80)
@given(st.text(max_size=80) | st.lists(st.sampled_from(TOKEN.split(".")), max_size=5).map(".".join))
def test_any_text_is_bad_input_or_the_token(text: str) -> None:
    """No text raises anything but BadInputError."""
    if text != TOKEN:
        with pytest.raises(BadInputError):
            open_strictly(text, KEY, "test+jwt")


def test_huge_token_is_refused_unread() -> None:
    """The limit comes before the work."""
    with pytest.raises(BadInputError, match="limit"):
        unverified_kid("A" * 70_000)
