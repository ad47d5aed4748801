"""Loss is told from the numbers of packets, and nonsense in them is not."""

from __future__ import annotations

import pytest

from agent.acquire.wire_counts import RESTART_PACKETS_MIN, WireTally


@pytest.mark.parametrize(
    ("pictures", "lost"),
    [
        ([], 0),
        ([(0, 10), (10, 10), (20, 5)], 0),
        ([(65_530, 10), (4, 10)], 0),  # over the wrap
        ([(65_530, 10), (7, 10)], 3),
        ([(0, 10), (13, 10), (25, 10)], 5),
        ([(0, 70_000), (70_000 % 65_536, 1)], 0),  # a picture longer than the numbers go
        ([(0, 1), (1 + RESTART_PACKETS_MIN - 1, 1)], RESTART_PACKETS_MIN - 1),
        ([(0, 1), (1 + RESTART_PACKETS_MIN, 1)], 0),  # began anew
        ([(0, 10), (12, 10), (40_000, 10), (50_003, 10), (50_014, 1)], 3),  # what was lost before that stays lost
        ([(0, 4), (3, 3), (7, 1)], 0),  # number 4 came before number 3
        ([(0, 4), (5, 1), (4, 1), (7, 1)], 1),  # one of two was only late
        ([(0, 10)] + [(0, 10)] * 500, 0),  # a camera that does not count
    ],
)
def test_loss_is_what_the_numbers_moved_beyond_what_came(pictures: list[tuple[int, int]], lost: int) -> None:
    """Each picture is its first sequence number and how many packets came."""
    tally = WireTally()
    for sequence, count in pictures:
        tally.begin_picture(sequence)
        tally.video_packets += count
    counts = tally.counts()
    assert counts.video_packets_lost == lost
    assert (counts.pictures, counts.video_packets) == (len(pictures), sum(count for _, count in pictures))
