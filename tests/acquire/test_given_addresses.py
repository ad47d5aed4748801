"""What the installer gave: spelled out, bounded, and nothing else."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.given_addresses import ONVIF_PORTS, RANGE_HOSTS_MAX, given_hosts
from agent.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "host", "service"),
    [
        ("192.168.5.20", "192.168.5.20", "http://192.168.5.20/onvif/device_service"),
        ("192.168.5.20:8000", "192.168.5.20", "http://192.168.5.20:8000/onvif/device_service"),
        ("https://192.168.5.20/", "192.168.5.20", "https://192.168.5.20/onvif/device_service"),
        ("http://192.168.5.20:81/onvif/dev", "192.168.5.20", "http://192.168.5.20:81/onvif/dev"),
        ("fd00::20", "fd00::20", "http://[fd00::20]/onvif/device_service"),
        ("[fd00::20]:8000", "fd00::20", "http://[fd00::20]:8000/onvif/device_service"),
        ("fe80::1%eth0", "fe80::1%eth0", "http://[fe80::1%eth0]/onvif/device_service"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, host: str, service: str) -> None:
    """With a port or as a URL only that is tried; without, the ports that ONVIF cameras use."""
    (given,) = given_hosts([text], [])
    assert (given.host, given.services[0]) == (host, service)
    assert len(given.services) in {1, len(ONVIF_PORTS)}


@pytest.mark.parametrize(
    "text",
    [
        *("", "camera", "224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::c", "1.2.3.4:0", "1.2.3.4:99999", "1.2.3"),  # noqa: S104 - refused
        *("http://", "ftp://1.2.3.4/", "http://root:hunter2@1.2.3.4/", "http://1.2.3.4:x/", "http://1.2.3.4/\x1b"),
    ],
)
def test_what_is_no_address_is_said_without_its_password(text: str) -> None:
    """The error names what to write; groups and broadcasts would ask hosts that nobody gave."""
    with pytest.raises(ConfigurationError, match=r"is no camera address \(write ") as error:
        given_hosts([text], [])
    assert "hunter2" not in str(error.value)


def test_ranges_are_spelled_out_once() -> None:
    """Networks without their two edges, pairs whole, overlaps once, an address's own services kept."""
    hosts = [
        given.host for given in given_hosts(["10.0.0.2:8000"], ["10.0.0.0/29", "10.0.0.5-10.0.0.8", "10.1.0.0/31"])
    ]
    assert hosts == ["10.0.0.2", *(f"10.0.0.{n}" for n in (1, 3, 4, 5, 6, 7, 8)), "10.1.0.0", "10.1.0.1"]
    assert given_hosts(["10.0.0.2:8000"], ["10.0.0.0/29"])[0].services == ("http://10.0.0.2:8000/onvif/device_service",)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "0.0.0.1-9.9.9.9", "10.0.0.0/21"])
def test_a_range_is_bounded_before_it_is_spelled_out(text: str) -> None:
    """A slip of the finger does not scan a company."""
    with pytest.raises(ConfigurationError, match=r"more than 1024 addresses .*only the part"):
        given_hosts([], [text])
    assert len(given_hosts([], ["10.0.0.1-10.0.4.0"])) == RANGE_HOSTS_MAX


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1", "10.0.0.9-10.0.0.1", "10.0.0.1-", "fd00::/120", "239.0.0.1-239.0.0.9"]
)
def test_what_is_no_range_is_said(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigurationError, match=r"192\.168\.5\.20-192\.168\.5\.60"):
        given_hosts([], [text])


def test_addresses_are_bounded() -> None:
    """A list longer than a site is a mistake."""
    with pytest.raises(ConfigurationError, match="65 camera addresses"):
        given_hosts([f"10.0.0.{n}" for n in range(65)], [])


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_nobody_is_asked_who_was_not_given(first: int, more: int) -> None:
    """Every host of a range lies in it."""
    one, other = ipaddress.IPv4Address(first), ipaddress.IPv4Address(min(first + more, 2**32 - 1))
    try:
        hosts = given_hosts([], [f"{one}-{other}"])
    except ConfigurationError:
        return
    assert all(one <= ipaddress.IPv4Address(given.host) <= other for given in hosts)
    assert len(hosts) == int(other) - int(one) + 1
