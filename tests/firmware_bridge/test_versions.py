"""Versions are compared as numbers, and what cannot be compared is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import BadInputError
from firmware_bridge.versions import is_allowed, parse_version


@pytest.mark.parametrize(
    ("version", "floor", "is_fine"),
    [
        ("2026.11.1", None, True),
        ("2026.11.1", "2026.11.1", True),
        ("2026.11.1", "2026.9.30", True),
        ("2026.9.30", "2026.11.1", False),
        ("1.2", "1.2.0", True),
        ("v1.2", "1.2.1", False),
    ],
)
def test_older_than_the_floor_is_refused(version: str, floor: str | None, is_fine: bool) -> None:  # noqa: FBT001 - a table
    """September is older than November, whatever their first letters say."""
    assert is_allowed(version, floor) is is_fine


@pytest.mark.parametrize(
    "text", ["", "1.0-rc1", "1..2", "1.2.", "latest", "1" * 10, "1.2.3.4.5.6.7", "\u0661.\u0662", "1\n"]
)
def test_a_version_without_an_order_is_refused(text: str) -> None:
    """Guessing an order for it would be a downgrade some day."""
    with pytest.raises(BadInputError):
        parse_version(text)


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """There is one kind of error for a version from outside."""
    try:
        assert all(number >= 0 for number in parse_version(text))
    except BadInputError:
        return
