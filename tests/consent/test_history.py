"""Which policy held when, also where the clock was set, and beyond what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.clock import SECOND_NS, WallTime, Window
from agent.consent.history import (
    ADJOIN_NS,
    SPANS_MAX,
    STEP_MARGIN_NS,
    UNKNOWN,
    Held,
    History,
    decode_history,
    encode_history,
)
from agent.consent.policy import Policy
from agent.errors import BadInputError


def second(number: float) -> WallTime:
    """Return a moment of a year in which nothing else happens."""
    return WallTime(int((1_790_000_000 + number) * SECOND_NS))


def window(start: float, end: float) -> Window:
    """Return a window of it."""
    return Window(second(start), second(end))


def policy(version: int, signed: float = 10_000) -> Policy:
    """Return a policy that was signed then; by default later than anything."""
    return Policy(hub="hub", version=version, iat=1_790_000_000 + int(signed))


def versions(history: History, start: float, end: float, now: float = 5000) -> list[int]:
    """Return the versions that held in a window, 0 for none."""
    return sorted(held.version if held else 0 for held, _ in history.during(window(start, end), second(now)))


ONE = UNKNOWN.begun(None, "", second(0)).begun(policy(1), "one", second(100))
TWO = ONE.begun(policy(2), "two", second(200))


def test_each_moment_has_the_policy_that_held() -> None:
    """A window across a change has both; before the first policy nothing was shared."""
    assert versions(TWO, 10, 90) == [0]
    assert versions(TWO, 120, 180) == [1]
    assert versions(TWO, 150, 250) == [1, 2]
    assert versions(TWO, 201, 300) == [2]
    assert versions(TWO, 50, 300) == [0, 1, 2]


def test_what_was_before_the_first_look_is_not_known() -> None:
    """It shares nothing; neither does a history that is empty."""
    assert 0 in versions(TWO, -20, 150)
    assert versions(UNKNOWN, 10, 20) == [0]


def test_what_is_to_come_is_not_the_historys_to_say() -> None:
    """A window that reaches into the future has the present policy only."""
    assert versions(TWO, 4900, 6000) == [2]


def test_a_policy_counts_from_when_it_was_signed() -> None:
    """A broker that holds a pause back wins no footage of it; the policy before it counts as well."""
    late = ONE.begun(policy(2, signed=150), "two", second(200))
    assert versions(late, 120, 140) == [1]
    assert versions(late, 160, 180) == [1, 2]


def test_an_early_signature_makes_no_time_known() -> None:
    """A policy that was signed before the hub's history begins shares nothing of then."""
    assert 0 in versions(UNKNOWN.begun(policy(1, signed=0), "one", second(100)), 50, 150)


def test_a_clock_that_was_set_back_makes_both_policies_count() -> None:
    """Pictures of one name of time were taken twice, under two policies."""
    back = ONE.seen(second(1000)).seen(second(400)).begun(policy(2), "two", second(450))
    assert versions(back, 410, 440, now=460) == [1]
    assert versions(back, 460, 500, now=460) == [1, 2]
    assert versions(back.seen(second(2000)), 1001, 1100, now=2000) == [1, 2][1:]


def test_a_clock_that_was_far_off_makes_a_span_of_its_own() -> None:
    """Else one start with an empty clock would make a pause hold for all footage there is."""
    year = 365 * 24 * 3600
    off = TWO.seen(second(-year)).seen(second(-year + 5)).seen(second(300)).begun(policy(3), "three", second(310))
    assert versions(off, 120, 180, now=310) == [1]
    assert versions(off, 250, 309, now=310) == [2]
    assert versions(off, -year + 1, -year + 4, now=310) == [2]


def test_around_a_step_a_span_is_longer_than_it_was_seen() -> None:
    """Pictures come between the last look and the step."""
    stepped = TWO.seen(second(300)).seen(second(-50))
    margin_s = STEP_MARGIN_NS / SECOND_NS
    assert versions(stepped, 300, 300 + margin_s, now=-50) == [2]
    assert [one.token for one in stepped.held] == ["", "one", "two", "two"]
    assert stepped.held[-1].since == second(-50 - margin_s)


def test_a_hub_that_was_off_goes_on_with_its_span() -> None:
    """Nothing was recorded meanwhile, so a window across the power cut is as good as any."""
    assert versions(TWO.seen(second(210)).seen(second(4000)), 205, 3999, now=4000) == [2]
    assert len(TWO.seen(WallTime(second(200) + ADJOIN_NS + 1)).held) == len(TWO.held) + 1


def test_beyond_the_limit_the_oldest_is_forgotten_and_shares_nothing() -> None:
    """More changes than are kept: footage of before is not shared any more, footage of after is."""
    history = TWO
    for number in range(SPANS_MAX):
        history = history.begun(policy(3 + number), f"more {number}", second(300 + number))
    assert len(history.held) == SPANS_MAX
    assert versions(history, 120, 180) == [0]
    assert versions(history, 400, 500) == [SPANS_MAX + 2]


def test_it_is_kept_as_it_is() -> None:
    """What is read back is what was written."""
    spans, forgotten = decode_history(encode_history(replace(TWO, forgotten_until=second(7))))
    assert spans == tuple((one.token, one.since, one.until) for one in TWO.held)
    assert forgotten == second(7)
    assert Held(None, *spans[0]) == TWO.held[0]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[" * 9000, '{"v":2,"held":[],"forgotten_until":0}', '{"v":1,"held":[],"forgotten_until":0,"x":1}',
     '{"v":1,"held":[{"token":"","since":2,"until":1}],"forgotten_until":0}'],
)  # fmt: skip
def test_a_damaged_history_is_none(text: str) -> None:
    """It is said to be damaged, whatever it is."""
    with pytest.raises(BadInputError):
        decode_history(text)
