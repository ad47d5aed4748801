"""The word that a device is the camera: waited for, not for ever, and for one connection."""

from __future__ import annotations

from agent.acquire.confirmation import ACQUAINTED_S, Acquaintance, Confirmation
from agent.acquire.session_effect import Ended, Ending
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


def test_who_was_recorded_there_a_moment_ago_is_let_begin() -> None:
    """With a login only at the same place and not for ever; with the camera's certificate, or no login, always."""
    past = Acquaintance()
    place, login, neither = "rtsp://10.0.0.1/1", {"has_login": True, "has_pin": False}, False
    assert not past.may_begin(place, at(1), **login)
    assert past.may_begin(place, at(1), has_login=True, has_pin=True)
    assert past.may_begin(place, at(1), has_login=neither, has_pin=neither)
    past.note_recorded(place, at(100))
    assert past.may_begin(place, at(100 + ACQUAINTED_S), **login)
    assert not past.may_begin(place, at(101 + ACQUAINTED_S), **login)
    assert not past.may_begin("rtsp://10.0.0.2/1", at(101), **login)


def test_who_made_nothing_of_an_early_login_is_waited_for() -> None:
    """A refused one until the word is there, one in clear for ever; other ends say nothing."""
    past = Acquaintance()
    assert not past.is_to_wait(Ended(Ending.BUSY, ""))
    assert past.may_begin("", at(1), has_login=True, has_pin=True)
    assert past.is_to_wait(Ended(Ending.LOGIN_REFUSED, "wrong"))
    assert not past.may_begin("", at(1), has_login=True, has_pin=True)
    past.refused = None
    assert past.may_begin("", at(1), has_login=True, has_pin=True)
    assert past.is_to_wait(Ended(Ending.UNTRUSTED, ""))
    assert not past.may_begin("", at(1), has_login=True, has_pin=True)
