"""When an upload tries again, and what of a request may be printed."""

from agent.clock import SECOND_NS, Instant
from agent.deliver.request import BACKOFF_S_MAX, RETRY_AFTER_S_MAX, Request, retry_at

NOW = Instant(5 * SECOND_NS)


def waits(*failures: int, chance: float = 1.0, asked_s: int = 0) -> list[float]:
    """Return the waits in seconds after so many failures in a row."""
    return [(retry_at(NOW, count, chance, asked_s) - NOW) / SECOND_NS for count in failures]


def test_waits_double_up_to_a_minute() -> None:
    """1, 2, 4 ... 60 s, also after more failures than a number can double."""
    assert waits(0, 1, 2, 5, 6, 10_000) == [1, 2, 4, 32, BACKOFF_S_MAX, BACKOFF_S_MAX]


def test_many_hubs_come_back_at_different_times() -> None:
    """Chance takes up to half of a wait away."""
    assert waits(3, chance=0.0) == [4]
    assert waits(3, chance=0.5) == [6]


def test_a_store_may_ask_for_more_but_not_for_ever() -> None:
    """`Retry-After` lengthens a wait, up to five minutes, and shortens none."""
    assert waits(0, asked_s=30) == [30]
    assert waits(0, asked_s=10**9) == [RETRY_AFTER_S_MAX]
    assert waits(6, asked_s=1) == [BACKOFF_S_MAX]


def test_a_request_prints_without_its_url() -> None:
    """Some URLs are permissions."""
    assert "secret" not in repr(Request("PUT", "https://store.example/?signature=secret"))
