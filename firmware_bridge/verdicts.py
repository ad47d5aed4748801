"""Raw readings become words that an owner and an operator can act on.

Rules of this file: numbers in, words out; every threshold stands here, with its unit and its reason.
"""

from __future__ import annotations

from typing import Final

from firmware_bridge.messages import Word

WEAR_WARNING_PERCENT: Final = 80
"""At the usual rate of a hub this leaves months, enough to send a new one by post."""
WEAR_CRITICAL_PERCENT: Final = 100
TEMPERATURE_WARNING_C: Final = 75.0
TEMPERATURE_CRITICAL_C: Final = 90.0
"""Where boards without a critical trip point of their own begin to throttle."""
CRITICAL_MARGIN_K: Final = 10.0
"""How close to its own critical trip point a zone may come before it is worth a warning."""
DISK_WARNING_BYTES: Final = 1 << 30
DISK_CRITICAL_BYTES: Final = 256 << 20
"""In bytes, not percent: the ring fills the disk on purpose, what counts is the room for database and outbox."""

_USED_PERCENT_MAX_OF_LIFE_TIME: Final = {step: step * 10 for step in range(1, 11)} | {11: 110}
_PRE_EOL: Final = {1: Word.OK, 2: Word.WARNING, 3: Word.CRITICAL}


def used_percent(life_time: tuple[int, int]) -> int | None:
    """Read eMMC life time estimates A and B (JEDEC eMMC 5.1, EXT_CSD 268 and 269): the worse one's upper end."""
    return _USED_PERCENT_MAX_OF_LIFE_TIME.get(max(life_time))


def storage_word(used_percent_max: int | None, pre_eol: int | None) -> Word:
    """Judge wear and, where there is one, the pre-EOL state (EXT_CSD 267: 1 normal, 2 warning, 3 urgent)."""
    by_reserve = _PRE_EOL.get(pre_eol or 1, Word.OK)
    return worst([_graded(used_percent_max or 0, WEAR_WARNING_PERCENT, WEAR_CRITICAL_PERCENT), by_reserve])


def temperature_word(celsius: float, critical_celsius: float | None) -> Word:
    """Judge a zone by its own critical trip point, or by the common limits where it has none."""
    if critical_celsius is None:
        return _graded(celsius, TEMPERATURE_WARNING_C, TEMPERATURE_CRITICAL_C)
    return _graded(celsius, critical_celsius - CRITICAL_MARGIN_K, critical_celsius)


def disk_word(free_bytes: int) -> Word:
    """Judge the room that is left."""
    return _graded(-free_bytes, -DISK_WARNING_BYTES, -DISK_CRITICAL_BYTES)


def worst(words: list[Word]) -> Word:
    """Return the worst of some words; of none, all is well."""
    return max(words, key=list(Word).index, default=Word.OK)


def _graded(value: float, warning: float, critical: float) -> Word:
    if value >= critical:
        return Word.CRITICAL
    return Word.WARNING if value >= warning else Word.OK
