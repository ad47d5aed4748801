"""Who is let to the page, and how often: bounded whatever addresses do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.outside.page_crowd import ADDRESSES_COUNTED_MAX, TOTAL_SHARE, Crowd, is_near
from agent.page_ports import PageLimits

LIMITS = replace(
    PageLimits(), connections=5, connections_per_address=3, handshakes_per_minute=10, requests_per_minute=4
)
NOW = Instant(0)


def test_one_address_does_not_take_all_places() -> None:
    """Others find room beside it, up to the whole number; whoever leaves makes room."""
    crowd = Crowd(LIMITS)
    assert [crowd.enter("a", NOW) for _ in range(4)] == [True, True, True, False]
    assert [crowd.enter("b", NOW) for _ in range(3)] == [True, True, False]
    crowd.leave("a")
    assert crowd.enter("b", NOW)
    for name in ("a", "a", "b", "b", "b"):
        crowd.leave(name)
    assert not crowd._here


def test_a_minute_has_so_many_of_each() -> None:
    """Handshakes and requests are counted apart, and anew each minute."""
    crowd = Crowd(LIMITS)
    for _ in range(10):
        assert crowd.enter("a", NOW)
        crowd.leave("a")
    assert not crowd.enter("a", NOW)
    assert [crowd.may_ask("a", NOW) for _ in range(5)] == [True] * 4 + [False]
    later = Instant(60 * SECOND_NS)
    assert crowd.enter("a", later)
    assert crowd.may_ask("a", later)


@given(st.lists(st.text(max_size=4), max_size=60))
def test_all_together_come_so_often(addresses: list[str]) -> None:
    """Whatever addresses there are, together they ask so many times more than one may."""
    crowd = Crowd(LIMITS)
    heard = sum(crowd.may_ask(address, NOW) for address in addresses for _ in range(6))
    assert heard <= TOTAL_SHARE * LIMITS.requests_per_minute


def test_made_up_addresses_take_no_memory() -> None:
    """Beyond a number they count as one."""
    crowd = Crowd(replace(LIMITS, requests_per_minute=10**6))
    for number in range(3 * ADDRESSES_COUNTED_MAX):
        crowd.may_ask(str(number), NOW)
    assert len(crowd._requests) <= ADDRESSES_COUNTED_MAX + 1


@pytest.mark.parametrize(
    "address", ["192.168.1.9", "10.1.2.3", "172.16.0.1", "127.0.0.1", "169.254.3.4", "fe80::1%eth0", "fd00::1", "::1"]
)
def test_neighbours_are_near(address: str) -> None:
    """Local networks of both families."""
    assert is_near(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450::1", "::ffff:8.8.8.8", "::", "nonsense", ""])
def test_the_internet_is_not_near(address: str) -> None:
    """Nobody from elsewhere is let in, however the router forwards it."""
    assert not is_near(address)


@pytest.mark.parametrize("address", ["2001:0:53aa:64c::1", "2001:db8::1", "198.18.0.1", "203.0.113.9", "240.0.0.1"])
def test_what_only_python_calls_private_is_not_near(address: str) -> None:
    """Teredo's tunnels end anywhere; networks for tests and documents are nobody's neighbours."""
    assert ip_address(address).is_private
    assert not is_near(address)
