"""The life of a subscription: one at a time, renewed, left behind properly, and never asked for in a storm."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.event_session import (
    ABSENT_S,
    LOGIN_S,
    RETRY_S_MAX,
    RETRY_S_MIN,
    SUBSCRIPTION_S,
    Done,
    Effect,
    EventSession,
    EventState,
    Failed,
    Failure,
)
from agent.clock import SECOND_NS, Instant

START = Instant(10**12)
CHANCE = random.Random(1)  # noqa: S311 - spreads waits


def after(seconds: float) -> Instant:
    """Return an instant after the start."""
    return Instant(START + round(seconds * SECOND_NS))


def subscribed(lives_s: int | None = SUBSCRIPTION_S) -> EventSession:
    """Return a session that has just subscribed."""
    session = EventSession(START, CHANCE)
    assert session.next_effect(START) is Effect.FIND
    session.feed(Done(Effect.FIND), START)
    assert session.next_effect(START) is Effect.SUBSCRIBE
    session.feed(Done(Effect.SUBSCRIBE, lives_s), START)
    assert session.state is EventState.SUBSCRIBED
    return session


def failed(effect: Effect, failure: Failure = Failure.CAMERA) -> Failed:
    """Say that something failed."""
    return Failed(effect, failure, "why")


def test_a_subscription_is_renewed_when_half_of_it_is_left() -> None:
    """Pulls until then, then one renewal, then pulls again."""
    session = subscribed()
    assert session.next_effect(after(29)) is Effect.PULL
    session.feed(Done(Effect.PULL, 31), after(29))
    assert session.next_effect(after(29.5)) is Effect.PULL
    session.feed(Done(Effect.PULL, 30), after(30))
    assert session.next_effect(after(30.3)) is Effect.RENEW
    session.feed(Done(Effect.RENEW, 60), after(30.3))
    assert session.next_effect(after(31)) is Effect.PULL
    assert session.next_effect(after(60.4)) is Effect.RENEW


def test_a_camera_that_prolongs_with_every_pull_is_not_renewed() -> None:
    """What the camera says is left after a pull is believed."""
    session = subscribed()
    for second in range(5, 300, 5):
        assert session.next_effect(after(second)) is Effect.PULL
        session.feed(Done(Effect.PULL, 60), after(second))


def test_a_camera_that_gives_less_is_renewed_sooner() -> None:
    """Ten seconds were granted: it is renewed after five. Without a word, what was asked for counts."""
    assert subscribed(10).next_effect(after(4.9)) is Effect.PULL
    assert subscribed(10).next_effect(after(5)) is Effect.RENEW
    assert subscribed(None).next_effect(after(29)) is Effect.PULL
    assert subscribed(None).next_effect(after(31)) is Effect.RENEW


def test_a_camera_that_does_not_renew_is_pulled_until_it_ends() -> None:
    """Some do not know the call; the pull that fails is what ends the subscription."""
    session = subscribed()
    for second in (31, 37):
        assert session.next_effect(after(second)) is Effect.RENEW
        session.feed(failed(Effect.RENEW), after(second))
        assert session.next_effect(after(second + 1)) is Effect.PULL
        session.feed(Done(Effect.PULL), after(second + 1))
    assert session.next_effect(after(50)) is Effect.PULL
    session.feed(failed(Effect.PULL), after(60))
    assert (session.state, session.why) == (EventState.WAITING, "why")
    assert session.next_effect(after(60)) is Effect.UNSUBSCRIBE
    session.feed(Done(Effect.UNSUBSCRIBE), after(60))
    assert session.next_effect(after(60)) is None
    assert session.next_effect(session.deadline() or START) is Effect.SUBSCRIBE


def test_failures_wait_longer_each_time() -> None:
    """From seconds to ten minutes, whatever fails."""
    session = EventSession(START, CHANCE)
    now, waits = START, []
    for _ in range(12):
        effect = session.next_effect(now)
        assert effect is Effect.FIND
        session.feed(failed(effect), now)
        deadline = session.deadline()
        assert deadline is not None
        waits.append((deadline - now) / SECOND_NS)
        now = deadline
    assert RETRY_S_MIN <= waits[0] <= RETRY_S_MIN * 1.5
    assert RETRY_S_MAX / 1.5 <= waits[-1] <= RETRY_S_MAX
    assert waits[3] > 2 * waits[0]


def test_a_subscription_that_is_lost_at_once_does_not_make_a_storm() -> None:
    """A camera that grants and forgets is asked ever less often, until one subscription has lived for a while."""
    session, now = subscribed(), START
    gaps = []
    for _ in range(6):
        session.feed(failed(Effect.PULL), now)
        session.feed(Done(Effect.UNSUBSCRIBE), now)
        deadline = session.deadline() or START
        gaps.append(deadline - now)
        now = deadline
        assert session.next_effect(now) is Effect.SUBSCRIBE
        session.feed(Done(Effect.SUBSCRIBE, 60), now)
    assert gaps == sorted(gaps)
    session.feed(Done(Effect.PULL, 60), Instant(now + 121 * SECOND_NS))
    session.feed(failed(Effect.PULL), Instant(now + 122 * SECOND_NS))
    assert (session.deadline() or 0) == 0  # to unsubscribe, at once
    session.feed(Done(Effect.UNSUBSCRIBE), now)
    assert (session.deadline() or 0) - (now + 122 * SECOND_NS) <= RETRY_S_MIN * 1.5 * SECOND_NS


@pytest.mark.parametrize(
    ("failure", "state", "seconds"),
    [(Failure.LOGIN, EventState.REFUSED, LOGIN_S), (Failure.ABSENT, EventState.ABSENT, ABSENT_S)],
)
def test_what_a_person_must_change_is_asked_for_rarely(failure: Failure, state: EventState, seconds: float) -> None:
    """A refused login waits ten minutes, a camera without events an hour."""
    session = EventSession(START, CHANCE)
    session.feed(failed(Effect.FIND, failure), START)
    assert session.state is state
    assert session.next_effect(after(seconds - 1)) is None
    assert session.next_effect(after(seconds * 1.5)) is Effect.FIND


def test_at_the_end_it_says_goodbye_once() -> None:
    """A subscription that is there is ended; then nothing is left to do."""
    session = subscribed()
    session.stop()
    assert session.next_effect(START) is Effect.UNSUBSCRIBE
    session.feed(Done(Effect.UNSUBSCRIBE), START)
    assert (session.next_effect(after(10**6)), session.deadline()) == (None, None)
    session = EventSession(START, CHANCE)
    session.stop()
    assert (session.next_effect(START), session.deadline()) == (None, None)


@given(st.lists(st.tuples(st.sampled_from(["done", *Failure]), st.none() | st.integers(1, 10**5)), max_size=60))
@settings(max_examples=200)
def test_whatever_a_camera_does(fates: list[tuple[str | Failure, int | None]]) -> None:
    """There is never more than one subscription, and never more than four calls a second go on for ever."""
    session = EventSession(START, CHANCE)
    now, open_count, calls = START, 0, 0
    for fate, lives_s in fates:
        effect = session.next_effect(now)
        if effect is None:
            deadline = session.deadline()
            assert deadline is not None
            assert deadline > now
            now = deadline
            effect = session.next_effect(now)
        assert effect is not None
        calls += 1
        if effect is Effect.SUBSCRIBE:
            assert open_count == 0
        open_count += (effect is Effect.SUBSCRIBE and fate == "done") - (effect is Effect.UNSUBSCRIBE)
        if isinstance(fate, Failure):
            session.feed(Failed(effect, fate, "why"), now)
        else:
            session.feed(Done(effect, lives_s), now)
    assert calls <= 8 + 5 * max(1.0, (now - START) / SECOND_NS) + len(fates) / 2 + 4
