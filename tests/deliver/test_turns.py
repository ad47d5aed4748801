"""Whose turn it is: what happens now first, the oldest never starved, and a store that is away asked politely."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant, WallTime
from agent.deliver.turns import (
    AWAY_AFTER,
    AWAY_S_MAX,
    OLDEST_EVERY,
    TURN_S_MAX,
    Freight,
    Rank,
    Turns,
    Urgency,
    is_among,
    places_of,
    rank_of,
)

NOW = WallTime(1_795_000_000 * SECOND_NS)
START = Instant(1_000 * SECOND_NS)
DAY_S = 86_400
_numbers = count()


def at(seconds: float) -> WallTime:
    """Return the time so long after now."""
    return WallTime(NOW + round(seconds * SECOND_NS))


def live(taken_s: float = -2, *, is_urgent: bool = False, store: str = "store") -> Freight:
    """Make a part of an incident that runs, asked for a minute ago."""
    urgency = Urgency(at(-60), at(60), is_urgent)
    return Freight(f"live{next(_numbers)}", "now", store, 0, at(taken_s), 1000, urgency)


def fresh(asked_s: float = -5, place: int = 0, *, is_urgent: bool = False) -> Freight:
    """Make a part of the minute before an alarm that came just now."""
    urgency = Urgency(at(asked_s), at(asked_s), is_urgent)
    return Freight(f"fresh{next(_numbers)}", "alarm", "store", place, at(asked_s - 10), 1000, urgency)


def backlog(age_s: float = DAY_S, place: int = 0, *, is_urgent: bool = False, store: str = "store") -> Freight:
    """Make a part that has waited for so long."""
    urgency = Urgency(at(-age_s), at(-age_s), is_urgent)
    return Freight(f"old{next(_numbers)}", f"job{age_s}", store, place, at(-age_s - 10), 1000, urgency)


def joined(*freight: Freight, at_once: int = 4) -> Turns:
    """Let these wait."""
    turns = Turns(at_once)
    for one in freight:
        turns.join(one)
    return turns


def order_of(turns: Turns, now: WallTime = NOW) -> list[str]:
    """Give one turn after the other, each ending well before the next, and name whose they were."""
    order, instant = [], START
    while given := turns.give(now, instant, None):
        order += [one.part for one in given]
        for one in given:
            turns.end(one.part, instant, has_answered=True)
    return order


def test_ranks_follow_the_clock() -> None:
    """A picture of now is live for half a minute, its part fresh while the window runs and ten minutes on."""
    part = live(taken_s=0)
    ranks = [rank_of(part, at(seconds)) for seconds in (0, 29, 31, 59, 61, 599, 601)]
    assert ranks == [Rank.LIVE] * 2 + [Rank.FRESH] * 4 + [Rank.BACKLOG]
    assert rank_of(fresh(0), at(1)) is Rank.FRESH  # of the past: nobody waits for that second
    assert rank_of(backlog(), NOW) is Rank.BACKLOG


def test_what_happens_now_goes_before_yesterday() -> None:
    """The newest picture of the running incident first, then the new alarm in order, then the backlog in order."""
    new, newer, first, second = live(-8), live(-1), fresh(-5, 0), fresh(-5, 1)
    older, old = backlog(2 * DAY_S), backlog(DAY_S)
    order = order_of(joined(old, second, new, older, first, newer, at_once=1))
    assert order == [one.part for one in (newer, new, first, older, second, old)]  # the fourth turn is the oldest's


def test_urgent_incidents_go_before_others_of_their_rank() -> None:
    """An urgent one of yesterday stays behind what happens now."""
    calm, urgent, now = backlog(2 * DAY_S), backlog(DAY_S, is_urgent=True), fresh()
    assert order_of(joined(calm, urgent, now, at_once=1)) == [now.part, urgent.part, calm.part]


def test_kinds_of_incidents_have_their_kin() -> None:
    """A kind names all below it; nothing else that begins alike."""
    assert is_among("alarm.holdup", ["alarm.holdup"])
    assert is_among("alarm.holdup.silent", ["alarm.holdup"])
    assert not is_among("alarm.holdups", ["alarm.holdup"])
    assert not is_among("alarm", ["alarm.holdup"])


@pytest.mark.parametrize(("rate", "places"), [(None, 4), (8_000, 3), (64_000 * 3, 3), (64_000 * 4, 4), (1e9, 4)])
def test_a_slow_link_is_shared_by_fewer(rate: float | None, places: int) -> None:
    """Three at least: one for each rank."""
    assert places_of(4, rate) == places
    assert places_of(1, rate) == 1


def test_places_are_kept_for_what_may_come() -> None:
    """However much waits, yesterday holds two of four places and a new alarm finds one, a picture of now another."""
    turns = joined(*(backlog() for _ in range(9)))
    assert len(turns.give(NOW, START, None)) == 2
    for one in (fresh(), fresh(), fresh()):
        turns.join(one)
    assert len(turns.give(NOW, START, None)) == 1
    turns.join(live())
    assert [rank_of(one, NOW) for one in turns.give(NOW, START, None)] == [Rank.LIVE]
    assert not turns.give(NOW, START, None)


def test_pictures_of_now_leave_a_place_to_others() -> None:
    """Eight cameras of a running incident take three places of four while anybody else waits."""
    turns = joined(*(live() for _ in range(8)), backlog())
    ranks = [rank_of(one, NOW) for one in turns.give(NOW, START, None)]
    assert sorted(ranks) == [Rank.LIVE] * 3 + [Rank.BACKLOG]


@pytest.mark.parametrize(
    ("other", "is_over"),
    [
        (backlog(DAY_S / 2), False),
        (backlog(DAY_S * 2), True),
        (backlog(DAY_S / 2, is_urgent=True), True),
        (fresh(), True),
        (live(), True),
    ],
    ids=["newer", "older", "urgent", "fresh", "live"],
)
def test_a_long_turn_ends_for_who_is_older_or_goes_before(other: Freight, is_over: bool) -> None:  # noqa: FBT001 - a case
    """After ten seconds; otherwise it would only be given to the same part again."""
    turns, late = joined(backlog(), at_once=1), Instant(START + TURN_S_MAX * SECOND_NS)
    (one,) = turns.give(NOW, START, None)
    assert not turns.is_over(one.part, NOW, late)
    turns.join(other)
    assert turns.is_over(one.part, NOW, late) is is_over
    assert not turns.is_over(one.part, NOW, Instant(late - 1))


def fail(turns: Turns, instant: Instant) -> list[Freight]:
    """Give turns, and let the store fail in all of them; they wait again."""
    given = turns.give(NOW, instant, None)
    for one in given:
        turns.end(one.part, instant, has_answered=False)
    for one in given:
        turns.join(one)
    return given


def test_a_store_that_is_away_is_asked_by_one_at_a_time() -> None:
    """With pauses that grow to half a minute, and by another part each time: one bad part holds up nobody."""
    parts = [backlog(DAY_S - number) for number in range(5)]
    turns, instant, asked = joined(*parts), START, []
    while len(asked) < AWAY_AFTER:
        asked += fail(turns, instant)
    assert turns.is_away()
    tried: list[str] = []
    for _ in range(10):
        due = turns.deadline()
        assert due is not None
        assert (due - instant) / SECOND_NS <= AWAY_S_MAX
        assert not turns.give(NOW, Instant(due - 1), None)
        instant = due
        (one,) = fail(turns, instant)
        tried.append(one.part)
    assert {one.part for one in parts} == set(tried)


def test_when_the_store_is_back_everything_goes_by_the_rule() -> None:
    """One answer is enough, also in the middle of a turn."""
    parts = [backlog(DAY_S - number) for number in range(6)]
    turns, instant = joined(*reversed(parts)), START
    for _ in range(20):
        instant = Instant(instant + AWAY_S_MAX * SECOND_NS)
        fail(turns, instant)
    instant = Instant(instant + AWAY_S_MAX * SECOND_NS)
    (probe,) = turns.give(NOW, instant, None)
    turns.note_answer(probe.part)
    assert not turns.is_away()
    turns.end(probe.part, instant, has_answered=True)
    left = [one.part for one in parts if one is not probe]
    assert order_of(turns) == left


def test_a_new_picture_does_not_wait_for_a_store_to_be_asked_again() -> None:
    """The first try of each live part is made at once."""
    turns, instant = joined(backlog(), backlog(), backlog()), START
    for _ in range(9):
        instant = Instant(instant + AWAY_S_MAX * SECOND_NS)
        fail(turns, instant)
    assert not turns.give(NOW, instant, None)
    new = live()
    turns.join(new)
    assert turns.give(NOW, instant, None) == [new]
    turns.end(new.part, instant, has_answered=False)
    turns.join(new)
    assert not turns.give(NOW, instant, None)


def test_another_store_is_not_held_up() -> None:
    """What is away is one store."""
    turns, instant = joined(*(backlog() for _ in range(3))), START
    for _ in range(9):
        instant = Instant(instant + AWAY_S_MAX * SECOND_NS)
        fail(turns, instant)
    other = backlog(store="other")
    turns.join(other)
    assert turns.give(NOW, instant, None) == [other]


KINDS = st.sampled_from([live, fresh, backlog, lambda: backlog(is_urgent=True), lambda: fresh(is_urgent=True)])


@settings(max_examples=80)
@given(
    rounds=st.lists(st.lists(KINDS, max_size=8), min_size=10, max_size=40),
    at_once=st.integers(1, 8),
    rate=st.sampled_from([None, 8_000.0, 250_000.0]),
)
def test_the_oldest_is_never_starved(rounds: list[list[object]], at_once: int, rate: float | None) -> None:
    """Whatever else comes, all others together get a few turns before the oldest has one; and places are kept."""
    turns, instant, now = Turns(at_once), START, NOW
    places, waited, oldest = places_of(at_once, rate), 0, None
    for arrivals in rounds:
        for make in arrivals:
            turns.join(make())  # type: ignore[operator]  # each makes a part
        first = min(turns.waiting, key=lambda one: one.age, default=None)
        waited = waited if first is oldest else 0
        oldest = first
        given = turns.give(now, instant, rate)
        ranks = [rank_of(one, now) for one in given]
        assert len(given) <= places
        assert ranks.count(Rank.BACKLOG) <= max(1, places - 2)
        assert len(given) - ranks.count(Rank.LIVE) <= max(1, places - 1)
        if oldest not in given:
            waited += len(given)
            assert oldest is None or given, "nothing is sent, and somebody waits"
        assert waited <= OLDEST_EVERY - 1 + places
        for one in given:
            turns.end(one.part, instant, has_answered=True)
        now, instant = WallTime(now + SECOND_NS // 10), Instant(instant + SECOND_NS // 10)


@settings(max_examples=60)
@given(waiting=st.lists(KINDS, max_size=30), at_once=st.integers(3, 8), is_live=st.booleans())
def test_a_running_incident_is_not_behind_the_backlog(waiting: list[object], at_once: int, is_live: bool) -> None:  # noqa: FBT001 - drawn
    """Uploads of yesterday may hang for ever: a new alarm begins at once, a picture of now beside new alarms too."""
    turns = Turns(at_once)
    for make in waiting:
        turns.join(make())  # type: ignore[operator]  # each makes a part
    held = [rank_of(one, NOW) for one in turns.give(NOW, START, None)]
    new = live(0) if is_live else fresh()
    turns.join(new)
    given = turns.give(NOW, START, None)
    if held.count(Rank.LIVE) == 0 and (is_live or held.count(Rank.FRESH) == 0):
        assert new in given
