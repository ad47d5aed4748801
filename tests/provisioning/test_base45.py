"""Base45 is RFC 9285's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import base45
from provisioning.errors import BadInputError


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")],
)
def test_the_rfcs_examples(content: bytes, text: str) -> None:
    """RFC 9285, section 4.3 and 4.4."""
    assert base45.encode(content) == text
    assert base45.decode(text) == content


@pytest.mark.parametrize("text", ["GGW", "ZZ", "A", "bb8", "B\xdf8", "BB8:"])
def test_what_is_not_base45_is_refused(text: str) -> None:
    """Too large a group, a lone character, and characters outside the alphabet are refused."""
    with pytest.raises(BadInputError):
        base45.decode(text)


@given(st.binary(max_size=100))
def test_every_byte_string_comes_back(content: bytes) -> None:
    """Reading what was written gives the same bytes."""
    assert base45.decode(base45.encode(content)) == content


@given(st.text(base45.ALPHABET, max_size=40))
def test_every_text_is_the_only_one_of_its_bytes(text: str) -> None:
    """A text is refused, or it is exactly what its bytes are written as."""
    try:
        content = base45.decode(text)
    except BadInputError:
        return
    assert base45.encode(content) == text
