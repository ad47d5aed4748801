"""Readings become the three words at their stated limits."""

from __future__ import annotations

import pytest

from firmware_bridge.messages import Word
from firmware_bridge.verdicts import (
    DISK_CRITICAL_BYTES,
    DISK_WARNING_BYTES,
    disk_word,
    storage_word,
    temperature_word,
    used_percent,
    worst,
)


@pytest.mark.parametrize(
    ("life_time", "used"), [((1, 1), 10), ((2, 5), 50), ((10, 1), 100), ((1, 11), 110), ((0, 0), None)]
)
def test_the_worse_life_time_estimate_counts(life_time: tuple[int, int], used: int | None) -> None:
    """JEDEC's steps are tens of percent; 11 is past the end, 0 is undefined."""
    assert used_percent(life_time) == used


@pytest.mark.parametrize(
    ("used", "pre_eol", "word"),
    [
        (None, None, Word.OK), (70, 1, Word.OK), (80, 1, Word.WARNING), (100, 1, Word.CRITICAL),
        (10, 2, Word.WARNING), (10, 3, Word.CRITICAL), (10, 99, Word.OK),
    ],
)  # fmt: skip
def test_storage_is_as_bad_as_its_worse_sign(used: int | None, pre_eol: int | None, word: Word) -> None:
    """Wear and reserve each can raise the alarm."""
    assert storage_word(used, pre_eol) is word


@pytest.mark.parametrize(
    ("celsius", "critical", "word"),
    [
        (74.9, None, Word.OK), (75, None, Word.WARNING), (90, None, Word.CRITICAL),
        (84.9, 95, Word.OK), (85, 95, Word.WARNING), (95, 95, Word.CRITICAL), (-40, 95, Word.OK),
    ],
)  # fmt: skip
def test_a_zone_is_judged_by_its_own_trip_point(celsius: float, critical: float | None, word: Word) -> None:
    """Without one, the common limits hold."""
    assert temperature_word(celsius, critical) is word


def test_disk_space_is_judged_in_bytes() -> None:
    """A full ring is no reason to worry, no room for the database is."""
    assert disk_word(DISK_WARNING_BYTES + 1) is Word.OK
    assert disk_word(DISK_WARNING_BYTES) is Word.WARNING
    assert disk_word(DISK_CRITICAL_BYTES) is Word.CRITICAL


def test_the_worst_word_wins() -> None:
    """One critical reading makes a critical hub; no reading at all is fine."""
    assert worst([Word.OK, Word.CRITICAL, Word.WARNING]) is Word.CRITICAL
    assert worst([]) is Word.OK
