"""A secret proves knowledge of itself for one purpose at a time, and never shows."""

from __future__ import annotations

import pickle

import pytest

from provisioning.errors import BadInputError
from provisioning.secret import Secret, authenticate, is_authentic, read_secret, secret_text

SECRET = Secret(bytes(range(16)))


def test_a_proof_is_for_one_purpose_and_one_message() -> None:
    """A tag of another purpose, another message or no length at all is not authentic."""
    tag = authenticate(SECRET, b"message", purpose=b"one")
    assert is_authentic(SECRET, b"message", tag, purpose=b"one")
    assert is_authentic(SECRET, b"message", tag[:16], purpose=b"one")
    assert not is_authentic(SECRET, b"message", tag, purpose=b"two")
    assert not is_authentic(SECRET, b"another", tag, purpose=b"one")
    assert not is_authentic(SECRET, b"message", tag[:15], purpose=b"one")
    assert not is_authentic(SECRET, b"message", b"", purpose=b"one")


def test_a_secret_does_not_show() -> None:
    """Neither repr, str, format nor pickle gives it away."""
    assert f"{SECRET} {SECRET!r} {SECRET:>20}".count("***") == 3
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)


def test_the_printed_form_is_read_strictly() -> None:
    """There is one text per secret: other case, length or stray bits are refused."""
    text = secret_text(SECRET)
    assert read_secret(text).reveal() == SECRET.reveal()
    for wrong in (text.lower(), text[:-1], text + "A", text[:-1] + "B", "ä" * 26, ""):
        with pytest.raises(BadInputError):
            read_secret(wrong)
