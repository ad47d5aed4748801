"""Is this firmware at least as new as what once worked? RAUC before 1.12 does not ask, so the bridge does.

Rules of this file: a version that cannot be compared is refused; the floor only ever rises.
"""

from __future__ import annotations

import re
from typing import Final

from firmware_bridge.errors import BadInputError

VERSION_CHARACTERS_MAX: Final = 64
_VERSION: Final = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})")


def parse_version(text: str) -> tuple[int, ...]:
    """Read `2026.11.1`: 1 to 6 numbers with dots. Raises BadInputError for anything else, pre-releases included."""
    match = _VERSION.fullmatch(text) if len(text) <= VERSION_CHARACTERS_MAX and text.isascii() else None
    if match is None:
        raise BadInputError(f"not a version that can be compared: {text[:40]!r}", cure="name releases 2026.11.1")
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and numbers[-1] == 0:  # 1.2 and 1.2.0 are the same release
        numbers.pop()
    return tuple(numbers)


def is_allowed(version: str, floor: str | None) -> bool:
    """Say whether `version` is not older than `floor` (None: nothing was ever marked good). Raises BadInputError.

    Without a floor too: what has no order would become one that nothing can be compared with.
    """
    parsed = parse_version(version)
    return floor is None or parsed >= parse_version(floor)
