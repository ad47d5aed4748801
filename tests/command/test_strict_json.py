"""Strict JSON: what two readers could read differently is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.command.strict_json import JSON_BYTES_MAX, JSON_DEPTH_MAX, decode_object
from agent.errors import BadInputError


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"\\u0061":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"{'a':1}",
        b'{"a":1}x',
        b'{"a":1,}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        b"{" * 60_000,
        b" " * (JSON_BYTES_MAX + 1),
    ],
)
def test_refused(raw: bytes) -> None:
    """Duplicates, constants, other encodings, depth and size: each is bad input."""
    with pytest.raises(BadInputError):
        decode_object(raw, "test")


def test_limits_are_reached_but_not_crossed() -> None:
    """The deepest and the biggest allowed value are read; brackets inside strings are not depth."""
    deepest = b'{"a":' + b"[" * (JSON_DEPTH_MAX - 1) + b"]" * (JSON_DEPTH_MAX - 1) + b"}"
    assert decode_object(deepest, "test")
    assert decode_object(b'{"a":"[[[[[[[[[[[[[[[[[[[["}'.ljust(JSON_BYTES_MAX), "test")


def test_escaped_quotes_cost_linear_time() -> None:
    """A string of escaped quotes without an end does not buy the sender seconds of our CPU."""
    before = time.process_time()
    with pytest.raises(BadInputError):
        decode_object(b'"' + b'\\"' * 32_000, "test")
    assert time.process_time() - before < 1


@settings(max_examples=80)
@given(st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(max_size=9), max_size=5))
def test_plain_objects_come_back(value: dict[str, Any]) -> None:
    """What strict JSON can say is read as it was written."""
    assert decode_object(json.dumps(value).encode(), "test") == value
