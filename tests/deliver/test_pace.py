"""When bytes may go: the rate is the cap's, whoever asks, and those in no hurry keep behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.deliver.pace import (
    BEHIND_SHARE,
    BURST_NS,
    PIECE_BYTES_MAX,
    PIECE_BYTES_MIN,
    REQUEST_BYTES_MIN,
    WIRE_FACTOR,
    Bucket,
    Pace,
)

START = Instant(5_000 * SECOND_NS)


def send(pace: Pace, total: int, senders: list[bool]) -> tuple[float, list[int]]:
    """Let senders (`is_behind`) send for as long as there is something; return the seconds, and what each has sent."""
    free_at, sent = [START] * len(senders), [0] * len(senders)
    while sum(sent) < total:
        who = min(range(len(senders)), key=lambda number: free_at[number])
        length = pace.piece_bytes(is_behind=senders[who])
        wait_ns = pace.book(length, free_at[who], is_behind=senders[who])
        free_at[who] = Instant(free_at[who] + wait_ns)
        sent[who] += length
    return (max(free_at) - START) / SECOND_NS, sent


@pytest.mark.parametrize("rate", [8_000, 125_000, 2_500_000])
@pytest.mark.parametrize("count", [1, 4])
def test_the_rate_is_the_cap(rate: int, count: int) -> None:
    """Counted on the wire, over a minute, within two per cent, for one upload or several."""
    pace = Pace()
    pace.set(rate, None)
    seconds, sent = send(pace, rate * 60, [False] * count)
    assert sum(sent) * WIRE_FACTOR / seconds == pytest.approx(rate, rel=0.02)


@given(st.lists(st.tuples(st.integers(1, 300_000), st.integers(0, 3 * SECOND_NS)), min_size=1, max_size=60))
def test_no_stretch_is_faster_than_the_cap(asked: list[tuple[int, int]]) -> None:
    """Between any two bookings goes no more than the cap allows in that time, and one burst and one piece."""
    bucket, now, gone = Bucket(100_000), START, []
    for length, pause_ns in asked:
        now = Instant(now + pause_ns)
        now = Instant(now + bucket.book(length, now))
        gone.append((now, length))
    for first in range(len(gone)):
        for last in range(first, len(gone)):
            length = sum(one for _, one in gone[first:last])
            allowed = 100_000 * (gone[last][0] - gone[first][0] + BURST_NS) / SECOND_NS
            assert length <= allowed + 1


def test_without_a_cap_nobody_waits() -> None:
    """And pieces are large."""
    pace = Pace()
    assert pace.book(10**9, START, is_behind=True) == 0
    assert pace.piece_bytes(is_behind=True) == PIECE_BYTES_MAX
    pace.set(None, 100_000)  # known to be slow, but nobody has capped it
    assert [pace.book(10**9, START, is_behind=False) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(("cap", "link"), [(200_000, None), (None, 200_000), (200_000, 800_000)])
def test_the_backlog_keeps_behind_what_happens_now(cap: int | None, link: int | None) -> None:
    """While a part of now is being sent, all others together get a quarter of what there is."""
    pace = Pace()
    pace.set(cap, link)
    seconds, sent = send(pace, 200_000 * 30, [True, True])
    assert sum(sent) * WIRE_FACTOR / seconds == pytest.approx(200_000 * BEHIND_SHARE, rel=0.05)
    if cap is not None:
        pace = Pace()
        pace.set(cap, link)
        _, (now, then, other) = send(pace, cap * 60, [False, True, True])
        assert (then + other) / (now + then + other) <= BEHIND_SHARE + 0.03


def test_a_cap_that_changes_holds_at_once() -> None:
    """Ten times as fast, and not at all held in the end."""
    pace = Pace()
    pace.set(10_000, None)
    pace.book(10_000, START, is_behind=False)
    assert pace.book(10_000, START, is_behind=False) > SECOND_NS / 2
    pace.set(None, None)
    assert pace.book(10_000, START, is_behind=False) == 0


def test_pieces_and_requests_fit_the_link() -> None:
    """About ten pieces a second, a request of some seconds; neither is ever tiny or larger than asked."""
    pace = Pace()
    assert pace.request_bytes(4_000_000) == 4_000_000
    pace.set(125_000, None)
    assert pace.piece_bytes(is_behind=False) == 12_500
    assert pace.request_bytes(4_000_000) == 1_000_000
    pace.set(8_000, None)
    assert pace.piece_bytes(is_behind=False) == PIECE_BYTES_MIN
    assert pace.request_bytes(4_000_000) == REQUEST_BYTES_MIN
    pace.set(None, 10**9)
    assert pace.request_bytes(4_000_000) == 4_000_000
