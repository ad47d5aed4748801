"""How long a camera is left alone."""

from __future__ import annotations

from agent.acquire.backoff import Backoff
from agent.clock import SECOND_NS, Instant


def test_waits_double_up_to_the_limit_and_begin_again_when_settled() -> None:
    """From 1 s to 60 s, jitter included; after a good session the first wait is short again."""
    backoff = Backoff(1, 60, 600)
    waits = [backoff.next_try(Instant(0), 0.999, is_login_refused=False) / SECOND_NS for _ in range(12)]
    assert waits == sorted(waits)
    assert 1 <= waits[0] <= 1.5
    assert 55 < waits[-1] <= 60
    backoff.settled()
    assert backoff.next_try(Instant(0), 0.0, is_login_refused=False) == SECOND_NS


def test_refused_login_waits_ten_minutes_at_once() -> None:
    """And it does not make the other waits longer."""
    backoff = Backoff(1, 60, 600)
    assert backoff.next_try(Instant(0), 0.0, is_login_refused=True) == 600 * SECOND_NS
    assert backoff.next_try(Instant(0), 0.0, is_login_refused=False) == SECOND_NS
