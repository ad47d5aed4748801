"""Where a person finds the hub's page."""

from __future__ import annotations

import ipaddress

from agent.outside.interface_addresses import own_addresses


def test_addresses_are_those_of_this_machine() -> None:
    """Each is an IPv4 address, none of them the loopback's."""
    for address in own_addresses():
        assert not ipaddress.IPv4Address(address).is_loopback
