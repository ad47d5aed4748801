"""Where a camera is dialled next, and when."""

from __future__ import annotations

from agent.acquire.backoff import Backoff
from agent.acquire.redial import REDIRECTS_MAX, SETTLED_S, Redial
from agent.acquire.session_effect import Ended, Ending
from agent.clock import SECOND_NS, Instant

HOME, ELSEWHERE = "rtsp://192.0.2.1/one", "rtsp://192.0.2.1/two"
NOW = Instant(5 * SECOND_NS)
FAILED = Ended(Ending.FAILED, "no")
REDIRECTED = Ended(Ending.REDIRECTED, "there", ELSEWHERE)


def redial() -> Redial:
    """Make that of a camera that was never dialled."""
    return Redial(HOME, Backoff(1, 60, 600))


def test_a_camera_is_dialled_at_once_and_after_failures_ever_later() -> None:
    """At its own address."""
    one = redial()
    assert (one.url, one.at) == (HOME, Instant(0))
    assert [one.wait(FAILED, NOW, 0.0, is_long=False) for _ in range(3)] == [1, 2, 4]
    assert (one.url, one.at) == (HOME, Instant(NOW + 4 * SECOND_NS))
    assert one.wait(FAILED, NOW, 0.0, is_long=True) == 600


def test_a_redirection_is_followed_at_once_and_so_often() -> None:
    """What fails there is tried at the camera's own address again, after a wait."""
    one = redial()
    assert not one.follow(FAILED, NOW)
    assert [one.follow(REDIRECTED, NOW) for _ in range(REDIRECTS_MAX + 1)] == [True] * REDIRECTS_MAX + [False]
    assert (one.url, one.at) == (ELSEWHERE, NOW)
    one.wait(REDIRECTED, NOW, 0.0, is_long=False)
    assert one.url == HOME
    assert one.follow(REDIRECTED, NOW)


def test_a_session_that_records_ends_the_row_of_redirections() -> None:
    """A camera that leads to its stream each time is followed each time."""
    one = redial()
    for _ in range(2 * REDIRECTS_MAX):
        assert one.follow(REDIRECTED, NOW)
        one.went_well(0)


def test_a_camera_is_left_alone_as_long_as_it_asks_for() -> None:
    """And a little longer, so that not all come back at once."""
    busy = Ended(Ending.BUSY, "later", retry_s=100)
    assert redial().wait(busy, NOW, 0.0, is_long=False) == 100
    assert redial().wait(busy, NOW, 0.5, is_long=False) == 125
    assert redial().wait(busy, NOW, 0.0, is_long=True) == 600


def test_waits_are_short_again_after_a_long_session_or_at_a_new_address() -> None:
    """A session that broke off soon is no sign that things are well."""
    one = redial()
    for _ in range(3):
        one.wait(FAILED, NOW, 0.0, is_long=False)
    one.went_well(SETTLED_S * SECOND_NS)
    assert one.wait(FAILED, NOW, 0.0, is_long=False) == 8
    one.went_well(SETTLED_S * SECOND_NS + 1)
    assert one.wait(FAILED, NOW, 0.0, is_long=False) == 1
    one.wait(FAILED, NOW, 0.0, is_long=False)
    one.move(ELSEWHERE, NOW)
    assert (one.url, one.at) == (ELSEWHERE, NOW)
    assert one.wait(FAILED, NOW, 0.0, is_long=False) == 1
    assert one.url == ELSEWHERE
