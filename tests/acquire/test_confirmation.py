"""The word that a device is the camera: waited for, not for ever, and for one connection."""

from __future__ import annotations

from agent.acquire.confirmation import Confirmation
from agent.clock import SECOND_NS, Instant


def at(second: float) -> Instant:
    """Return a time."""
    return Instant(int(second * SECOND_NS))


def test_where_nobody_gives_a_word_nobody_waits() -> None:
    """The default of a recorder by itself."""
    word = Confirmation()
    assert word.is_over(at(1))
    assert not word.is_awaited


def test_a_word_ends_the_waiting() -> None:
    """It is asked for at the first look."""
    word = Confirmation(3)
    assert not word.is_over(at(10))
    assert word.is_awaited
    word.hear("")
    assert word.is_over(at(10.1))
    assert not word.is_awaited


def test_no_word_ends_the_waiting_after_a_while() -> None:
    """A camera whose ONVIF is off is recorded all the same."""
    word = Confirmation(3)
    assert [word.is_over(at(second)) for second in (10, 12.9, 13)] == [False, False, True]


def test_a_refusal_is_no_leave_and_lapses_with_the_connection() -> None:
    """Whoever answers next is asked about anew."""
    word = Confirmation(3)
    word.is_over(at(10))
    word.hear("another device")
    assert (word.is_given, word.refusal) == (False, "another device")
    word.lapse()
    assert (word.refusal, word.is_awaited, word.is_over(at(20))) == ("", False, False)


def test_a_word_given_before_the_connection_counts_for_it() -> None:
    """Who was examined a moment ago is not asked about again, until the connection is over."""
    word = Confirmation(3)
    word.hear("")
    assert word.is_over(at(10))
    word.lapse()
    assert not word.is_over(at(11))
