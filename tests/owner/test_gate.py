"""Requests that are not our page's own are turned away before anything is done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.owner.gate import origin_of, turned_away
from agent.page_ports import PageRequest

OWN = PageRequest("GET", "/", {}, {"host": "192.168.1.20:8443"}, b"", "192.168.1.9", "192.168.1.20", 8443)
POSTED = replace(
    OWN,
    method="POST",
    headers={"host": "192.168.1.20:8443", "origin": "https://192.168.1.20:8443", "sec-fetch-site": "same-origin"},
)


def with_headers(request: PageRequest, **changed: str | None) -> PageRequest:
    """Change headers of a request; None leaves one out."""
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    headers = {**request.headers, **named}
    return replace(request, headers={name: value for name, value in headers.items() if value is not None})


def test_our_own_page_is_heard() -> None:
    """By the address that the connection came to, and by the names that the configuration gives."""
    assert turned_away(OWN) is None
    assert turned_away(POSTED) is None
    assert turned_away(with_headers(POSTED, sec_fetch_site=None)) is None
    assert origin_of(POSTED) == "https://192.168.1.20:8443"
    named = with_headers(OWN, host="Hub.Shop.example:8443")
    assert turned_away(named) is not None
    assert turned_away(named, ["hub.shop.example"]) is None
    six = replace(OWN, local="fe80::1%eth0", headers={"host": "[fe80::1]:8443"})
    assert turned_away(six) is None
    assert turned_away(replace(OWN, port=443, headers={"host": "192.168.1.20"})) is None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "192.168.1.20", "192.168.1.21:8443", ""])
def test_a_name_that_was_pointed_here_is_no_name_of_ours(host: str) -> None:
    """DNS rebinding ends here, and the answer says by which address to come."""
    away = turned_away(with_headers(OWN, host=host))
    assert away is not None
    assert away.status == 421
    assert "https://192.168.1.20:8443/" in away.words


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": None},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://192.168.1.20:8443"},
        {"origin": "https://192.168.1.20"},
        {"origin": "https://192.168.1.20:9443"},
        {"origin": "https://192.168.1.20:8443, https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
    ],
)
def test_what_another_page_sends_changes_nothing(headers: dict[str, str | None]) -> None:
    """Also from another port of this very hub, and from no page at all."""
    away = turned_away(with_headers(POSTED, **headers))
    assert away is not None
    assert away.status == 403


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"])
def test_other_methods_are_not_known(method: str) -> None:
    """Two are enough."""
    away = turned_away(replace(OWN, method=method))
    assert away is not None
    assert away.status == 405


@given(st.text(max_size=80), st.text(max_size=80))
def test_only_our_own_origin_changes_anything(host: str, origin: str) -> None:
    """Whatever two headers a request has, it is heard only with exactly ours."""
    if (host, origin) != (POSTED.headers["host"], POSTED.headers["origin"]):
        assert turned_away(with_headers(POSTED, host=host, origin=origin)) is not None
