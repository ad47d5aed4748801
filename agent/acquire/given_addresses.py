"""Addresses that the installer gave to hosts to ask, for networks that multicast does not reach.

Rules of this file: what was not given is not in the answer; a range is bounded before it is spelled out; group,
broadcast and unspecified addresses are refused, since one datagram to them asks hosts that nobody gave.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from agent.acquire.discovery import DEVICE_PATH, bracketed
from agent.errors import ConfigurationError

ADDRESSES_MAX: Final = 64
RANGE_HOSTS_MAX: Final = 1024  # of all ranges together: four networks of the usual size
ONVIF_PORTS: Final = (80, 8000, 2020, 8899, 8080)
"""Where ONVIF listens: the standard's, Reolink's, Tapo's, and those of clones."""

_CURE: Final = "write 192.168.5.20, 192.168.5.20:8000, [fd00::20]:8000 or http://192.168.5.20:8000/onvif/device_service"
_RANGE_CURE: Final = "write 192.168.5.20-192.168.5.60 or 192.168.5.0/24"


@dataclass(frozen=True, slots=True)
class GivenHost:
    """One host to ask: an IP address, and the device services' URLs to try, most likely first."""

    host: str
    services: tuple[str, ...]


def given_hosts(addresses: Sequence[str], ranges: Sequence[str]) -> tuple[GivenHost, ...]:
    """Spell out addresses and ranges, each host once, addresses first. Raises ConfigurationError: what to mend."""
    if len(addresses) > ADDRESSES_MAX:
        raise ConfigurationError(
            f"{len(addresses)} camera addresses (limit {ADDRESSES_MAX})", cure="give a range for many cameras"
        )
    hosts = {given.host: given for given in map(_given_address, addresses)}
    count = 0
    for text in ranges:
        first, last = _ends(text)
        count += int(last) - int(first) + 1
        if count > RANGE_HOSTS_MAX:
            raise ConfigurationError(
                f"the camera ranges hold more than {RANGE_HOSTS_MAX} addresses at {text!r}",
                cure="give only the part of the network that has cameras",
            )
        for host in _spelled_out(first, last):
            hosts.setdefault(host, GivenHost(host, tuple(_service(host, port) for port in ONVIF_PORTS)))
    return tuple(hosts.values())


def _given_address(text: str) -> GivenHost:
    try:
        host, services = _url(text) if "://" in text else _host(text)
        _checked(host)
    except ValueError as error:
        raise ConfigurationError(f"{_shown(text)} is no camera address", cure=_CURE) from error
    return GivenHost(host, services)


def _url(text: str) -> tuple[str, tuple[str, ...]]:
    parts = urlsplit(text)
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or parts.username is not None
        or not (text.isascii() and text.isprintable())
    ):
        raise ValueError(text)
    netloc = bracketed(host) + (f":{parts.port}" if parts.port else "")
    return host, (f"{parts.scheme}://{netloc}{parts.path.rstrip('/') or DEVICE_PATH}",)


def _host(text: str) -> tuple[str, tuple[str, ...]]:
    host, port = _host_and_port(text)
    return host, tuple(_service(host, each) for each in ((port,) if port else ONVIF_PORTS))


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.count(":") > 1 and not text.startswith("["):
        return text, None  # IPv6 without a port
    host, _, port = text.rpartition(":") if re.search(r":\d+$", text) else (text, "", "")
    if port and not 0 < int(port) < 1 << 16:
        raise ValueError(text)
    return host.removeprefix("[").removesuffix("]"), int(port) if port else None


def _checked(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    if address.is_multicast or address.is_unspecified or address == ipaddress.ip_address("255.255.255.255"):
        raise ValueError(host)
    return address


def _ends(text: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    try:
        if "/" in text:
            network = ipaddress.IPv4Network(text.strip(), strict=False)
            has_edges = network.prefixlen < 31  # noqa: PLR2004 - RFC 3021: a pair has no network and broadcast address
            first, last = network[int(has_edges)], network[-1 - int(has_edges)]
        else:
            one, _, other = text.partition("-")
            first, last = ipaddress.IPv4Address(one.strip()), ipaddress.IPv4Address(other.strip())
        _checked(str(first))
        _checked(str(last))
    except ValueError as error:
        raise ConfigurationError(f"{_shown(text)} is no range of camera addresses", cure=_RANGE_CURE) from error
    if first > last:
        raise ConfigurationError(f"{_shown(text)} ends before it begins", cure=_RANGE_CURE)
    return first, last


def _spelled_out(first: ipaddress.IPv4Address, last: ipaddress.IPv4Address) -> Iterable[str]:
    return (str(ipaddress.IPv4Address(number)) for number in range(int(first), int(last) + 1))


def _service(host: str, port: int) -> str:
    return f"http://{bracketed(host)}{'' if port == ONVIF_PORTS[0] else f':{port}'}{DEVICE_PATH}"


def _shown(text: str) -> str:
    """Show what was given without the login that somebody may have written into it."""
    return repr(text.rpartition("@")[2])
