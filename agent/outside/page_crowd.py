"""How many browsers are there, and how often each address came: what the owner's page gives to whom.

Rules of this file: time is an argument; whatever an address does, this has a bounded size.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.page_ports import PageLimits

ADDRESSES_COUNTED_MAX: Final = 1024
"""Beyond that, all others count as one: somebody makes addresses up."""

_NEAR_4: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"))
)
_NEAR_6: Final = tuple(map(IPv6Network, ("fc00::/7", "fe80::/10", "::1/128")))
"""Not `is_private`: that has more, Teredo's tunnels (2001::/32) among them, which end anywhere in the internet."""

TOTAL_SHARE: Final = 8
"""All addresses together may come this many times as often as one."""


class Crowd:
    """Counts connections at once, and handshakes and requests of this minute."""

    def __init__(self, limits: PageLimits) -> None:
        self._limits = limits
        self._here: Counter[str] = Counter()
        self._minute = -1
        self._handshakes: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()

    def enter(self, address: str, now: Instant) -> bool:
        """Take a connection in, before anything is read from it; whoever was let in must `leave`."""
        limits = self._limits
        is_room = self._here.total() < limits.connections and self._here[address] < limits.connections_per_address
        if not is_room or not self._takes(self._handshakes, address, limits.handshakes_per_minute, now):
            return False
        self._here[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Let a connection go."""
        self._here[address] -= 1
        if not self._here[address]:
            del self._here[address]

    def may_ask(self, address: str, now: Instant) -> bool:
        """Count a request."""
        return self._takes(self._requests, address, self._limits.requests_per_minute, now)

    def _takes(self, counts: Counter[str], address: str, per_minute: int, now: Instant) -> bool:
        minute = now // (60 * SECOND_NS)
        if minute != self._minute:
            self._minute = minute
            self._handshakes.clear()
            self._requests.clear()
        name = address if address in counts or len(counts) < ADDRESSES_COUNTED_MAX else ""
        if counts[name] >= per_minute or counts.total() >= TOTAL_SHARE * per_minute:
            return False
        counts[name] += 1
        return True


def is_near(address: str) -> bool:
    """Say whether an IP address belongs to a local network (RFC 1918, RFC 3927, RFC 4193, RFC 4291, loopback)."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(known, IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    if isinstance(known, IPv6Address):
        return any(known in network for network in _NEAR_6)
    return any(known in network for network in _NEAR_4)
