"""When the next search is: at once for a camera that is lost, seldom when all is calm, never as strangers please."""

from __future__ import annotations

from agent.acquire.search_pace import FIRST_PAUSE_S, FIRST_SEARCHES, HEARD_EVERY_S, LOST_TRIES_MAX, SearchPace
from agent.acquire.stream import CameraId

DOOR, YARD = CameraId("door"), CameraId("yard")
CALM_S = 60.0


def calm_pace() -> SearchPace:
    """Return the pace after the last of the first searches, at 1000 s."""
    pace = SearchPace(CALM_S)
    pace.searched(1000.0, FIRST_SEARCHES)
    return pace


def test_the_first_searches_follow_each_other_closely() -> None:
    """Somebody stands beside a new hub."""
    pace = SearchPace(CALM_S)
    for number in range(1, FIRST_SEARCHES):
        pace.searched(10.0 * number, number)
        assert pace.due_s == 10.0 * number + FIRST_PAUSE_S
    pace.searched(100.0, FIRST_SEARCHES)
    assert pace.due_s == 160.0


def test_a_lost_camera_is_looked_for_at_once_then_ever_less_often() -> None:
    """With a search of 4 s it is never unnoticed for more than 20 s, for an hour; then the calm pace returns."""
    pace, now_s, pauses = calm_pace(), 1010.0, []
    pace.note_lost({DOOR}, set(), now_s)
    assert pace.due_s == now_s
    for number in range(LOST_TRIES_MAX + 1):
        now_s = pace.due_s + 4
        pace.searched(now_s, FIRST_SEARCHES + number)
        pauses.append(pace.due_s - now_s)
        pace.note_lost(set(), set(), now_s)  # it is dialled again: neither well nor failing
        pace.note_lost({DOOR}, set(), now_s)  # in vain
        assert pace.due_s == now_s + pauses[-1]
    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert pauses[-2:] == [15.0, CALM_S]


def test_another_camera_that_is_lost_is_due_at_once_too() -> None:
    """It does not inherit the patience with one that is away for days."""
    pace = calm_pace()
    pace.note_lost({DOOR}, set(), 1000.0)
    for number in range(20):
        pace.searched(1000.0 + number, 10 + number)
    pace.note_lost({DOOR, YARD}, set(), 1020.0)
    assert pace.due_s == 1020.0


def test_a_camera_that_is_back_is_not_looked_for() -> None:
    """The pace is calm again after the search that found it, and its next loss is a new one."""
    pace = calm_pace()
    pace.note_lost({DOOR}, set(), 1010.0)
    pace.note_lost(set(), {DOOR}, 1012.0)
    pace.searched(1014.0, 7)
    assert pace.due_s == 1074.0
    pace.note_lost({DOOR}, set(), 1020.0)
    assert pace.due_s == 1020.0


def test_a_hello_brings_a_search_soon_and_a_thousand_bring_no_more() -> None:
    """It waits a moment for others that come at the same time; between two such searches lie 5 s."""
    pace, searches, now_s = calm_pace(), 0, 1030.0
    pace.heard(now_s)
    assert now_s < pace.due_s <= now_s + 0.5
    while now_s < 1130.0:
        pace.heard(now_s)
        now_s += 0.1
        if now_s >= pace.due_s:
            searches += 1
            pace.searched(now_s, 10 + searches)
    assert searches <= 100 / HEARD_EVERY_S + 1
