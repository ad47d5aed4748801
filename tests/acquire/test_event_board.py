"""What is news of a camera's events, what stands, and how little a camera can make the hub remember."""

from __future__ import annotations

from agent.acquire.camera_event import CameraEvent, EventClock
from agent.acquire.event_board import EVENTS_PER_MINUTE_MAX, SOURCES_MAX, EventBoard
from agent.acquire.event_session import EventState
from agent.acquire.event_topics import EventKind
from agent.clock import SECOND_NS, Instant

NOW = Instant(10**12)


def event(
    *,
    state: bool | None = True,
    at: int = 1,
    source: str = "s",
    kind: EventKind = EventKind.MOTION,
    initial: bool = False,
) -> CameraEvent:
    """Return an event."""
    return CameraEvent(kind, at, 0, EventClock.CAMERA, f"tns1:{kind}", source, state, initial)


def test_only_changes_are_news() -> None:
    """A camera that repeats what is so every second says it once."""
    board = EventBoard()
    told = [event(at=1), event(at=2), event(state=False, at=3), event(state=False, at=4), event(at=5)]
    assert [one.at for one in board.take(told, NOW)] == [1, 3, 5]
    fact = board.health(EventState.SUBSCRIBED, "").facts[EventKind.MOTION]
    assert (fact.is_active, fact.last, fact.count) == (True, 5, 2)


def test_a_kind_is_so_while_one_of_its_places_says_so() -> None:
    """Two zones: motion ends when both are still, and is dated by when it was so last."""
    board = EventBoard()
    board.take([event(source="a", at=1), event(source="b", at=2), event(source="a", state=False, at=3)], NOW)
    assert board.health(EventState.SUBSCRIBED, "").facts[EventKind.MOTION].is_active
    board.take([event(source="b", state=False, at=9)], NOW)
    fact = board.health(EventState.SUBSCRIBED, "").facts[EventKind.MOTION]
    assert (fact.is_active, fact.last, fact.count) == (False, 9, 2)


def test_how_it_stood_at_first_is_no_motion() -> None:
    """A camera that says that nothing moves has told of no motion; one that says so of a tamper has."""
    board = EventBoard()
    board.take([event(state=False, initial=True), event(kind=EventKind.TAMPER, initial=True, at=7)], NOW)
    facts = board.health(EventState.SUBSCRIBED, "").facts
    assert (facts[EventKind.MOTION].last, facts[EventKind.MOTION].count) == (None, 0)
    assert (facts[EventKind.TAMPER].last, facts[EventKind.TAMPER].is_active) == (7, True)


def test_after_a_lost_subscription_nothing_stands() -> None:
    """What was so may have ended unheard: it is not shown as going on, and is news when it is told again."""
    board = EventBoard()
    board.take([event(at=1)], NOW)
    board.forget_states()
    assert not board.health(EventState.WAITING, "gone").facts[EventKind.MOTION].is_active
    assert board.take([event(at=8, initial=True)], NOW) == (event(at=8, initial=True),)


def test_what_only_happens_is_always_news() -> None:
    """A line that is crossed has no state."""
    board = EventBoard()
    assert len(board.take([event(state=None, at=1), event(state=None, at=2)], NOW)) == 2
    assert board.health(EventState.SUBSCRIBED, "").facts[EventKind.MOTION].last == 2


def test_a_camera_that_says_too_much_is_cut_short() -> None:
    """So many events a minute are kept, the rest is counted; the next minute is another."""
    board = EventBoard()
    many = [event(state=bool(number % 2), at=number) for number in range(500)]
    assert len(board.take(many, NOW)) == EVENTS_PER_MINUTE_MAX
    health = board.health(EventState.SUBSCRIBED, "")
    assert (health.kept, health.left_out) == (EVENTS_PER_MINUTE_MAX, 500 - EVENTS_PER_MINUTE_MAX)
    assert len(board.take([event(state=False, at=501), event(at=502)], Instant(NOW + 61 * SECOND_NS))) >= 1


def test_a_camera_with_ever_new_places_fills_no_memory() -> None:
    """Of so many places the state is known; the others are left out."""
    board = EventBoard()
    kept = sum(
        len(board.take([event(source=str(number))], Instant(NOW + number * SECOND_NS))) for number in range(1000)
    )
    assert kept == SOURCES_MAX
