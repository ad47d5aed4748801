"""Addresses that cameras write, and what becomes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream_url import URL_BYTES_MAX, is_dialable, is_same_host, is_tls, redirected, resolved, usable_url


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://c/live", "trackID=1", "rtsp://c/live/trackID=1"),
        ("rtsp://c/live/", "trackID=1", "rtsp://c/live/trackID=1"),
        ("rtsp://c/live?channel=1", "trackID=1", "rtsp://c/live?channel=1/trackID=1"),  # Dahua means it so
        ("rtsp://c/live", "rtsp://c:554/other/track1", "rtsp://c:554/other/track1"),
        ("rtsp://c/live", "/media/track1", "rtsp://c/media/track1"),
        ("rtsp://c/live", "*", "rtsp://c/live"),
        ("rtsp://c/live", "rtsp://admin:secret@c/t1", "rtsp://c/t1"),
        ("rtsp://c/live", "bad\tcontrol", "rtsp://c/live"),
        ("rtsp://c/live", "http://c/t1", "rtsp://c/live"),
        ("rtsp://c/live", "", "rtsp://c/live"),
        ("rtsp://c/live", "rtsp://[c/t1", "rtsp://c/live"),
        ("rtsp://c/live", "t" * URL_BYTES_MAX, "rtsp://c/live"),
        ("rtsps://c/live", "rtsp://c:554/t1", "rtsps://c:554/t1"),
        ("rtsps://c/live", "/t1", "rtsps://c/t1"),
        ("rtsp://c/live", "rtspu://c/t1", "rtsp://c/t1"),
    ],
)
def test_control_addresses(base: str, control: str, url: str) -> None:
    """RFC 2326 C.1.1, as cameras mean it, in the session's scheme; what cannot stand in a request is the base."""
    assert resolved(control, base) == url


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7/b", "rtsp://192.0.2.7/b"),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7:8554/b", "rtsp://192.0.2.7:8554/b"),
        ("rtsp://192.0.2.7/a", "rtsps://192.0.2.7/b", "rtsps://192.0.2.7/b"),
        ("rtsp://192.0.2.7/a", "/b?c", "rtsp://192.0.2.7/b?c"),
        ("rtsp://192.0.2.7:99/a", "/b", "rtsp://192.0.2.7:99/b"),
        ("rtsp://[2001:db8::1]/a", "rtsp://[2001:0DB8:0::1]:8554/b", "rtsp://[2001:0DB8:0::1]:8554/b"),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.8/b", ""),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7.example.org/b", ""),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7@203.0.113.9/b", ""),
        ("rtsp://192.0.2.7/a", "//203.0.113.9/b", "rtsp://192.0.2.7//203.0.113.9/b"),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7:99999/b", ""),
        ("rtsp://192.0.2.7/a", "rtsp://192.0.2.7:x/b", ""),
        ("rtsp://192.0.2.7/a", "rtspu://192.0.2.7/b", ""),
        ("rtsp://192.0.2.7/a", "http://192.0.2.7/b", ""),
        ("rtsp://192.0.2.7/a", "b", ""),
        ("rtsp://192.0.2.7/a", "", ""),
        ("rtsps://192.0.2.7/a", "rtsp://192.0.2.7/b", ""),
        ("rtsps://192.0.2.7/a", "/b", "rtsps://192.0.2.7/b"),
    ],
)
def test_redirections(url: str, location: str, target: str) -> None:
    """They are followed to any port and path of the host that was dialed, into TLS, and never out of it."""
    assert redirected(url, location) == target


@pytest.mark.parametrize(
    ("url", "is_one", "is_secure"),
    [
        ("rtsp://c/", True, False),
        ("RTSP://c/", True, False),
        ("rtsps://c/", True, True),
        ("RTSPS://[2001:db8::1]:322/x", True, True),
        ("rtspu://c/", False, False),
        ("rtsp://u:p@c/", False, False),
        ("rtsp:///x", False, False),
        ("rtsp://:554/x", False, False),
        ("http://c/", False, False),
        ("", False, False),
    ],
)
def test_addresses_a_session_begins_at(url: str, *, is_one: bool, is_secure: bool) -> None:
    """RTSP with or without TLS, with a host and without a login."""
    assert (is_dialable(url), is_tls(url)) == (is_one, is_secure)


@pytest.mark.parametrize(
    ("address", "is_same"),
    [("192.0.2.7", True), ("0.0.0.0", True), ("::", True), ("", True), ("camera", True), ("192.0.2.8", False)],  # noqa: S104 - written by cameras
)
def test_addresses_in_answers(address: str, *, is_same: bool) -> None:
    """Only another address says that it is another host; cameras write placeholders."""
    assert is_same_host(address, "rtsp://192.0.2.7/") is is_same


@given(st.text(max_size=80).map("rtsp://".__add__))
def test_usable_urls_have_no_userinfo_and_no_blanks(url: str) -> None:
    """A URL that passes can stand in a request line and in a log."""
    usable = usable_url(url)
    assert "@" not in usable.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    assert not set(usable) & set(" \r\n\t")


@given(st.text(max_size=60), st.sampled_from(["rtsp://192.0.2.7/a", "rtsps://[2001:db8::1]:5/a?b"]))
def test_any_text_is_an_address_or_is_not(text: str, base: str) -> None:
    """Nothing that a camera writes raises, and what comes out can stand in a request."""
    for written in (text, "/" + text, "rtsp://" + text, "rtsp://192.0.2.7:" + text):
        assert usable_url(resolved(written, base))
        target = redirected(base, written)
        assert target == "" or is_dialable(target)
        is_same_host(written, base)
