"""Bytes that claim to be JSON become one typed value, read the same way by every reader, or are refused.

Rules of this file: no duplicate keys, no NaN, no unknown fields, UTF-8 only, bounded size and depth. Two parsers
look at the same bytes: the first only hunts for what the second would forgive.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from agent.errors import BadInputError

JSON_BYTES_MAX: Final = 64 * 1024
JSON_DEPTH_MAX: Final = 16

# Takes an unterminated string too: otherwise a message of escaped quotes would be scanned again from each of them.
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")

T = TypeVar("T")


def decode(raw: bytes, shape: type[T], what: str) -> T:
    """Read `raw` as one JSON value of `shape`; `what` names it in error texts. Raises BadInputError."""
    _check(raw, what)
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{what}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{what}: not strict JSON") from error


def decode_object(raw: bytes, what: str) -> dict[str, Any]:
    """Read `raw` as a JSON object of any members. Raises BadInputError."""
    return decode(raw, dict[str, Any], what)


def _check(raw: bytes, what: str) -> None:
    if len(raw) > JSON_BYTES_MAX:
        raise BadInputError(f"{what}: {len(raw)} bytes (limit {JSON_BYTES_MAX})")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{what}: not UTF-8") from error
    if _depth(text) > JSON_DEPTH_MAX:
        raise BadInputError(f"{what}: nested deeper than {JSON_DEPTH_MAX}")
    try:
        json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{what}: not strict JSON") from error


def _depth(text: str) -> int:
    if (opened := text.count("[") + text.count("{")) <= JSON_DEPTH_MAX:
        return opened  # no deeper than that, wherever they stand
    depth = deepest = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    # The first parser's values are thrown away: it only looks.
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
