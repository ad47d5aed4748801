"""When a session is kept alive, and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.keep_alive import KeepAlive
from agent.acquire.rtsp_message import parse_message
from agent.clock import SECOND_NS, Instant

NOW = Instant(5 * SECOND_NS)
OPTIONS = parse_message(b"RTSP/1.0 200 OK\r\nPublic: OPTIONS, GET_PARAMETER, SET_PARAMETER\r\n\r\n")


@pytest.mark.parametrize(
    ("timeout_s", "every_ms"), [(1, 500), (2, 800), (4, 1600), (5, 2000), (30, 12_000), (60, 24_000), (999_999, 25_000)]
)
def test_requests_come_well_before_the_timeout(timeout_s: int, every_ms: int) -> None:
    """Twice within the camera's patience, even if that is a second; every 25 s at the latest."""
    kept = KeepAlive()
    kept.begin(timeout_s, NOW)
    due = Instant(NOW + every_ms * 1_000_000)
    assert kept.due == due
    assert kept.next_request(Instant(due - 1)) is None
    assert kept.next_request(due) == "OPTIONS"
    assert kept.due == due + every_ms * 1_000_000


@pytest.mark.parametrize(
    ("status", "method"),
    [
        *((refusal, "OPTIONS") for refusal in (400, 405, 451, 501, 551)),
        *((other, "GET_PARAMETER") for other in (200, 404, 503)),
    ],
)
def test_listed_methods_that_are_not_there(status: int, method: str) -> None:
    """GET_PARAMETER where it is listed, until the camera says that it does not know it; never SET_PARAMETER."""
    kept = KeepAlive()
    kept.learn(OPTIONS)
    kept.begin(60, NOW)
    assert kept.next_request(Instant(NOW + 60 * SECOND_NS)) == "GET_PARAMETER"
    kept.refused("GET_PARAMETER", status)
    assert kept.next_request(Instant(NOW + 120 * SECOND_NS)) == method


def test_nothing_is_sent_before_and_after() -> None:
    """A session that does not play is not kept, nor one that must not be asked any more."""
    kept = KeepAlive()
    assert kept.next_request(Instant(2**62)) is None
    kept.begin(60, NOW)
    kept.end()
    assert kept.next_request(Instant(2**62)) is None


@given(st.integers(1, 999_999), st.integers(0, 100 * SECOND_NS))
def test_a_late_look_sends_one_request(timeout_s: int, late_ns: int) -> None:
    """A hub that was busy does not make up for what it missed."""
    kept = KeepAlive()
    kept.begin(timeout_s, NOW)
    assert kept.due is not None
    now = Instant(kept.due + late_ns)
    assert kept.next_request(now) is not None
    assert kept.next_request(now) is None
