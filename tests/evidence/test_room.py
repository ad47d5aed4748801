"""Room in the log: strangers cannot fill it, and nothing begins that could not be written down to its end."""

import pytest

from agent.clock import SECOND_NS, Instant
from agent.evidence.kinds import STRANGERS_ENTRIES_PER_DAY_MAX, Kind
from agent.evidence.room import LOG_BYTES_MAX, RESERVED_BYTES, LogFullError, LogRoom, StrangersBudget

DAY = Instant(24 * 3600 * SECOND_NS)
PLENTY = 2 * RESERVED_BYTES


def test_strangers_have_so_many_entries_a_day() -> None:
    """The rest is counted once; the next day they have as many again."""
    budget = StrangersBudget()
    taken = [budget.takes(Kind.REFUSED, Instant(5)) for _ in range(STRANGERS_ENTRIES_PER_DAY_MAX + 30)]
    assert (sum(taken), budget.take_left_out(), budget.take_left_out()) == (STRANGERS_ENTRIES_PER_DAY_MAX, 30, 0)
    assert not budget.takes(Kind.POLICY_REFUSED, Instant(DAY))
    assert budget.takes(Kind.REFUSED, Instant(DAY + 5))


def test_what_was_asked_for_by_signature_is_always_taken() -> None:
    """A flood does not keep a command, a decision or an unknown kind out of the log."""
    budget = StrangersBudget()
    for _ in range(STRANGERS_ENTRIES_PER_DAY_MAX + 1):
        budget.takes(Kind.REFUSED, Instant(0))
    assert all(budget.takes(kind, Instant(0)) for kind in (Kind.COMMAND, Kind.JOB, Kind.PAIRED, "later-kind"))


@pytest.mark.parametrize(
    ("kind", "log_bytes", "free_bytes", "fits"),
    [
        (Kind.COMMAND, 0, PLENTY, True),
        (Kind.COMMAND, LOG_BYTES_MAX - RESERVED_BYTES - 100, PLENTY, True),
        (Kind.COMMAND, LOG_BYTES_MAX - RESERVED_BYTES - 99, PLENTY, False),
        (Kind.JOB, LOG_BYTES_MAX - 100, PLENTY, True),
        (Kind.JOB, LOG_BYTES_MAX - 99, PLENTY, False),
        (Kind.COMMAND, 0, RESERVED_BYTES - 1, False),
        (Kind.JOB, 0, 0, True),
    ],
)
def test_commands_stop_before_entries_are_lost(kind: Kind, log_bytes: int, free_bytes: int, *, fits: bool) -> None:
    """In a nearly full log, or on a nearly full disk, what was begun can be written to its end, and nothing begins."""
    if fits:
        LogRoom().check(kind, 100, log_bytes, free_bytes)
    else:
        with pytest.raises(LogFullError, match="bytes"):
            LogRoom().check(kind, 100, log_bytes, free_bytes)
