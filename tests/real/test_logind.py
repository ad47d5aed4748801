"""The real logind and the real polkit let the bridge's user restart the machine by the rule that ships, and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware_bridge.errors import UnavailableError
from firmware_bridge.logind import LogindMachine
from tests.simulators.eventually import eventually
from tests.simulators.real_logind import BRIDGE_UID, NOBODY_UID, RealLogind, as_user, why_not_here

pytestmark = pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "logind is here")

RULES = Path(__file__).parents[2] / "systemd/transom.polkit.rules"


def restart(logind: RealLogind, uid: int) -> None:
    """Ask for a restart as one user."""
    as_user(uid, lambda: asyncio.run(LogindMachine(logind.address).restart()))


def test_the_bridge_restarts_the_machine_and_nobody_else_does() -> None:
    """Not another user, and not past a lock that somebody holds; then logind has systemd start its target, once."""
    with RealLogind(RULES) as logind:
        with pytest.raises(UnavailableError, match="authentication required"):
            restart(logind, NOBODY_UID)
        with logind.inhibited(), pytest.raises(UnavailableError, match=r"authentication required|inhibit"):
            restart(logind, BRIDGE_UID)
        assert logind.started == []
        restart(logind, BRIDGE_UID)
        asyncio.run(eventually(lambda: logind.started))
        assert logind.started == ["reboot.target"]


def test_without_the_rule_the_bridge_may_not() -> None:
    """Polkit's own answer, with what to do about it."""
    with RealLogind(None) as logind:
        with pytest.raises(UnavailableError, match=r"authentication required.*polkit rule"):
            restart(logind, BRIDGE_UID)
        assert logind.started == []
