"""Blocks of several parts laid end to end by their times."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS
from agent.opening.joining_sound import SILENCE_S_MAX, SoundOfPart, join_sound

RATE_HZ = 16_000
BLOCK = 1024


def part(begins_s: float, blocks: int, last: int = BLOCK) -> SoundOfPart:
    """Make a part's sound; its last block is `last` samples long."""
    durations = (*[BLOCK] * (blocks - 1), last)
    return SoundOfPart(round(begins_s * SECOND_NS), RATE_HZ, 1, durations, b"\x14\x08")


def test_no_sound_is_none() -> None:
    """Parts without sound make no track."""
    assert join_sound([None, None]) is None


def test_parts_that_meet_are_laid_end_to_end() -> None:
    """Nothing is put between them and nothing is left out."""
    joined = join_sound([part(10, 3, 500), None, part(10 + 2548 / RATE_HZ, 2)])
    assert joined is not None
    assert joined.durations == (1024, 1024, 500, 1024, 1024)
    assert joined.silence_before == ((), (), ())
    assert joined.kept == (3, 0, 2)


def test_a_hole_is_filled_with_silence() -> None:
    """Whole silent blocks, and the rest of the hole in the block before it."""
    joined = join_sound([part(0, 2), part((2 * BLOCK + 3 * BLOCK + 100) / RATE_HZ, 1)])
    assert joined is not None
    assert len(joined.silence_before[1]) == 3
    assert joined.durations == (1024, 1124, 1024, 1024, 1024, 1024)


def test_a_long_hole_is_not_filled() -> None:
    """The last block before it lasts until sound comes again."""
    joined = join_sound([part(0, 2), part(SILENCE_S_MAX + 10, 1)])
    assert joined is not None
    assert joined.silence_before[1] == ()
    assert sum(joined.durations) == (SILENCE_S_MAX + 10) * RATE_HZ + BLOCK


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, BLOCK), st.integers(-3 * BLOCK, 6 * BLOCK)), min_size=2, max_size=6
    )
)
def test_sound_keeps_its_time(parts: list[tuple[int, int, int]]) -> None:
    """However parts overlap or lie apart, a part begins when it began, or one sample a block later where it cannot."""
    made, at = [], 0
    for blocks, last, apart in parts:
        made.append(part(at / RATE_HZ, blocks, last))
        at = max(at + 1, at + (blocks - 1) * BLOCK + last + apart)
    joined = join_sound(made)
    assert joined is not None
    assert all(duration > 0 for duration in joined.durations)
    taken = 0
    for place, each in enumerate(made):
        taken += len(joined.silence_before[place])
        begins = sum(joined.durations[:taken])
        wanted = round(each.begins * RATE_HZ / SECOND_NS)
        assert wanted - 1 <= begins <= wanted + place
        taken += joined.kept[place]


def test_many_blocks_that_are_not_wanted_are_dropped_in_little_time() -> None:
    """A part with 200,000 blocks that reach over the next one's beginning cost three minutes."""
    began_s = time.thread_time()
    joined = join_sound([part(10, 200_000), part(11, 3)])
    assert joined is not None
    assert joined.kept == (16, 3)
    assert time.thread_time() - began_s < 4
