"""The store's signed word about a part."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime
from agent.crypto import canonical_json
from agent.deliver.part import MEDIA_TYPE_CLIP, Receipt, SealedPart
from agent.deliver.receipt import RECEIPT_TYPE, sign_receipt, verify_receipt
from agent.errors import BadInputError
from agent.signing import generate_signing_key, sign_statement

STORE = generate_signing_key()
PART = SealedPart("01JD.front.0000", Path("x"), 1234, "ab" * 32, MEDIA_TYPE_CLIP)
HELD = Receipt(PART.id, PART.size, PART.sha256, WallTime(1_800_000_000 * SECOND_NS), "")
CLAIMS: dict[str, object] = {
    "v": 1,
    "hub": "hub-1",
    "part": PART.id,
    "size": PART.size,
    "sha256": PART.sha256,
    "stored_at": "2027-01-15T08:00:00.000Z",
}


@pytest.mark.parametrize("curve", ["Ed25519", "P-256"])
def test_a_receipt_is_believed(curve: str) -> None:
    """A receipt by any of the store's keys, old or new, says when the part was stored."""
    key = generate_signing_key(curve)
    token = sign_receipt(HELD, "hub-1", key)
    assert verify_receipt(token, [STORE, key], PART, "hub-1") == replace(HELD, token=token)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hub": "hub-2"}, "not for part"),
        ({"part": "01JD.front.0001"}, "not for part"),
        ({"size": 1233}, "other bytes"),
        ({"sha256": "ac" * 32}, "other bytes"),
        ({"v": 2}, "version 2"),
        ({"stored_at": "yesterday"}, "RFC 3339"),
        ({"size": "1234"}, "other claims"),
        ({"size": True}, "other claims"),
        ({"more": 1}, "other claims"),
    ],
)
def test_a_receipt_about_something_else_is_refused(change: dict[str, object], why: str) -> None:
    """Each claim must be about exactly this hub, part and bytes."""
    token = sign_statement(canonical_json(CLAIMS | change), STORE, RECEIPT_TYPE)
    with pytest.raises(BadInputError, match=why):
        verify_receipt(token, [STORE], PART, "hub-1")


def test_a_receipt_by_a_stranger_is_refused() -> None:
    """Neither another key, nor no key, nor a statement of another type will do."""
    token = sign_receipt(HELD, "hub-1", STORE)
    for keys in ([generate_signing_key()], []):
        with pytest.raises(BadInputError, match="no known key"):
            verify_receipt(token, keys, PART, "hub-1")
    with pytest.raises(BadInputError):
        verify_receipt(sign_statement(canonical_json(CLAIMS), STORE, "transom-grant+jwt"), [STORE], PART, "hub-1")


def _token(header: bytes, payload: bytes = b"{}") -> str:
    return ".".join(base64.urlsafe_b64encode(piece).rstrip(b"=").decode() for piece in (header, payload, b"s" * 64))


@pytest.mark.parametrize(
    "token",
    ["", "a.b.c", "é", "\ud800", _token(b"[" * 2900), _token(b'{"alg":"none"}'), _token(b"[]"), "x" * 100_000],
)
def test_hostile_tokens_are_refused(token: str) -> None:
    """No token raises anything but BadInputError."""
    with pytest.raises(BadInputError):
        verify_receipt(token, [STORE], PART, "hub-1")


@given(st.text() | st.binary().map(_token))
def test_fuzzed_tokens_are_refused(token: str) -> None:
    """No token raises anything but BadInputError."""
    with pytest.raises(BadInputError):
        verify_receipt(token, [STORE], PART, "hub-1")


def test_hostile_claims_are_refused() -> None:
    """A store that signs nonsense is refused like anybody else."""
    for claims in (b"", b"null", b"[" * 2000, b'{"v":1}', b"\xff"):
        with pytest.raises(BadInputError):
            verify_receipt(sign_statement(claims, STORE, RECEIPT_TYPE), [STORE], PART, "hub-1")
