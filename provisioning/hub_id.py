"""A hub's name for life: a ULID, 26 characters that sort by the time of manufacture and fit a small QR code."""

from __future__ import annotations

import re
from typing import Final

from provisioning.errors import BadInputError

HUB_ID_CHARACTERS: Final = 26
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_HUB_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def make_hub_id(made_ms: int, randomness: bytes) -> str:
    """Make a ULID of 48 bits of Unix milliseconds and 80 random bits (10 bytes)."""
    number = (made_ms & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10])
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(HUB_ID_CHARACTERS)))


def checked_hub_id(text: str) -> str:
    """Return `text` if it is a ULID in capitals. Raises BadInputError."""
    if _HUB_ID.fullmatch(text) is None:
        raise BadInputError(f"not a hub id: {text[:40]!r}", cure="it is the 26 characters after HUB on the label")
    return text
