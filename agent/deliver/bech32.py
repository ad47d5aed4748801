"""The text form of age keys: their bytes with a prefix that says what they are and a checksum (BIP 173)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent.errors import BadInputError

TEXT_CHARS_MAX: Final = 4096  # a post-quantum recipient has 1959; BIP 173's own limit of 90 does not hold for age
_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CHARS: Final = 6
_PRINTABLE: Final = range(33, 127)


def encode(prefix: str, content: bytes) -> str:
    """Write `content` under `prefix`; an upper-case prefix makes an upper-case text."""
    lower = prefix.lower()
    symbols = _regroup(content, 8, 5, is_padded=True)
    remainder = _polymod([*_expand(lower), *symbols, *[0] * _CHECKSUM_CHARS]) ^ 1
    checksum = [remainder >> 5 * (5 - place) & 31 for place in range(_CHECKSUM_CHARS)]
    text = lower + "1" + "".join(_ALPHABET[symbol] for symbol in [*symbols, *checksum])
    return text.upper() if prefix.isupper() else text


def decode(text: str) -> tuple[str, bytes]:
    """Read a text back as its lower-case prefix and its content.

    Raises BadInputError; the error never repeats the text, it may be a secret key.
    """
    if len(text) > TEXT_CHARS_MAX or any(ord(char) not in _PRINTABLE for char in text):
        raise BadInputError("not an age key: it is too long or has characters that no key has")
    if text not in (text.lower(), text.upper()):
        raise BadInputError("not an age key: upper and lower case are mixed")
    prefix, _, tail = text.lower().rpartition("1")
    symbols = [_ALPHABET.find(char) for char in tail]
    if not prefix or len(symbols) < _CHECKSUM_CHARS or -1 in symbols:
        raise BadInputError("not an age key: it does not have the form of one")
    if _polymod([*_expand(prefix), *symbols]) != 1:
        raise BadInputError("not an age key: its checksum is wrong", cure="look for a mistyped or missing character")
    return prefix, bytes(_regroup(symbols[:-_CHECKSUM_CHARS], 5, 8, is_padded=False))


def _polymod(symbols: Iterable[int]) -> int:
    remainder = 1
    for symbol in symbols:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ symbol
        for place, generator in enumerate(_GENERATOR):
            remainder ^= generator if top >> place & 1 else 0
    return remainder


def _expand(prefix: str) -> list[int]:
    return [*(ord(char) >> 5 for char in prefix), 0, *(ord(char) & 31 for char in prefix)]


def _regroup(groups: Iterable[int], width: int, width_out: int, *, is_padded: bool) -> list[int]:
    """Cut groups of `width` bits into groups of `width_out`; without padding, what is left over must be zeros."""
    window = bits = 0
    regrouped: list[int] = []
    for group in groups:
        window = window << width | group
        bits += width
        while bits >= width_out:
            bits -= width_out
            regrouped.append(window >> bits & ((1 << width_out) - 1))
        window &= (1 << bits) - 1
    if is_padded and bits:
        regrouped.append(window << (width_out - bits) & ((1 << width_out) - 1))
    if not is_padded and (bits >= width or window):
        raise BadInputError("not an age key: its last character is wrong")
    return regrouped
