"""logind is asked in its own words, and its no is told with what a person can do."""

from __future__ import annotations

import asyncio

import pytest

from firmware_bridge.errors import UnavailableError
from firmware_bridge.logind import LogindMachine
from tests.simulators.logind_service import LogindService
from tests.simulators.private_bus import PrivateBus


def test_a_restart_is_asked_for_without_asking_a_person(bus: PrivateBus) -> None:
    """Not interactively: nobody sits before a hub."""
    with LogindService(bus.address) as logind:
        asyncio.run(LogindMachine(bus.address).restart())
        assert logind.restarts == 1


def test_a_no_says_why(bus: PrivateBus) -> None:
    """Somebody is logged in, or the rule is missing; without logind or bus it says that."""
    with LogindService(bus.address) as logind:
        logind.is_denied = True
        with pytest.raises(UnavailableError, match=r"Interactive authentication required.*polkit rule"):
            asyncio.run(LogindMachine(bus.address).restart())
    with pytest.raises(UnavailableError, match="login1"):
        asyncio.run(LogindMachine(bus.address).restart())
    with pytest.raises(UnavailableError, match="no D-Bus"):
        asyncio.run(LogindMachine("unix:path=/nonexistent/bus").restart())
