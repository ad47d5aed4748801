"""Bytes become the 45 characters that a QR code packs tightest (RFC 9285), and back, strictly."""

from __future__ import annotations

from typing import Final

from provisioning.errors import BadInputError

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_DIGIT: Final = {character: digit for digit, character in enumerate(ALPHABET)}
_GROUP: Final = 3
"""Three characters hold two bytes, two characters hold the odd last one."""


def encode(content: bytes) -> str:
    """Write bytes as base45."""
    characters = []
    for at in range(0, len(content), 2):
        pair = content[at : at + 2]
        number = int.from_bytes(pair)
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            characters.append(ALPHABET[digit])
    return "".join(characters)


def decode(text: str) -> bytes:
    """Read base45; every byte string has exactly one text. Raises BadInputError."""
    out = bytearray()
    for at in range(0, len(text), _GROUP):
        group = text[at : at + _GROUP]
        try:
            number = sum(_DIGIT[character] * 45**place for place, character in enumerate(group))
            out += number.to_bytes(len(group) - 1)
        except (KeyError, OverflowError) as error:
            raise BadInputError("not base45") from error
        if len(group) == 1:
            raise BadInputError("base45 of an impossible length")
    return bytes(out)
