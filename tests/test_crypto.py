"""Secrets that do not print, derived keys, digests, and one form of JSON."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import Secret, canonical_json, hkdf_sha256, md5_hex, sha256_hex


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
    assert md5_hex(b"abc") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321 A.5
