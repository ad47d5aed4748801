"""Sessions: few, short, their owner's only, and never kept as what the browser has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.owner.sessions import COOKIE, LASTS_S_MAX, Sessions, cookie_in, id_of, set_cookie

BEGUN = Instant(1_000 * SECOND_NS)


def later(seconds: float) -> Instant:
    """Return a moment after the beginning."""
    return Instant(BEGUN + int(seconds * SECOND_NS))


def test_a_session_ends_when_nobody_uses_it() -> None:
    """Each use gives it as long again; looking for news does not."""
    sessions = Sessions(4, 60)
    _, value = sessions.begin(bytes(32), "1 owner", BEGUN)
    assert sessions.find(value, "1 owner", later(59))
    assert sessions.find(value, "1 owner", later(110))
    assert sessions.find(value, "1 owner", later(150), is_used=False)
    assert sessions.find(value, "1 owner", later(171)) is None
    assert sessions.find(value, "1 owner", later(60)) is None


def test_a_busy_session_ends_too() -> None:
    """After a working day the owner logs in again."""
    sessions = Sessions(1, 3600)
    _, value = sessions.begin(bytes(32), "1 owner", BEGUN)
    for hour in range(LASTS_S_MAX // 1800):
        assert sessions.find(value, "1 owner", later(hour * 1800))
    assert sessions.find(value, "1 owner", later(LASTS_S_MAX)) is None


def test_a_session_is_its_owners_only() -> None:
    """Another owner, or the same after another pairing, has none of the sessions of before."""
    sessions = Sessions(4, 60)
    _, value = sessions.begin(bytes(32), "1 owner", BEGUN)
    assert sessions.find(value, "2 owner", BEGUN) is None
    assert sessions.find(value, "1 other", BEGUN) is None
    assert sessions.find(value, "1 owner", BEGUN)


def test_the_one_unused_longest_makes_room() -> None:
    """There are never more than so many."""
    sessions = Sessions(2, 60)
    values = [sessions.begin(bytes([number] * 32), "o", later(number))[1] for number in range(2)]
    assert sessions.find(values[0], "o", later(5))
    values.append(sessions.begin(bytes([9] * 32), "o", later(6))[1])
    assert [bool(sessions.find(value, "o", later(7))) for value in values] == [True, False, True]


def test_logging_out_ends_it() -> None:
    """The cookie is worth nothing any more."""
    sessions = Sessions(2, 60)
    session, value = sessions.begin(bytes(32), "o", BEGUN)
    assert session.id == id_of(value)
    assert value not in repr(sessions._open)
    sessions.end(value)
    sessions.end("none")
    assert sessions.find(value, "o", BEGUN) is None


@given(st.text(max_size=200))
def test_any_cookie_header_can_be_read(header: str) -> None:
    """Whatever the header holds, there is a value or none."""
    assert isinstance(cookie_in(header), str)


def test_the_cookie_is_found_once_or_not_at_all() -> None:
    """Two of the same name are none: somebody else may have set one."""
    assert cookie_in(f"a=b; {COOKIE}=value; c=d") == "value"
    assert cookie_in(f"{COOKIE}=one; {COOKIE}=two") == ""
    assert cookie_in("") == ""


def test_the_browser_keeps_it_to_itself() -> None:
    """No script reads it, no other site sends it, no plain connection has it; an empty one is forgotten."""
    assert set_cookie("x") == f"{COOKIE}=x; Path=/; Secure; HttpOnly; SameSite=Strict"
    assert set_cookie("").endswith("Max-Age=0")
