"""Builds what keeps a new firmware and restarts into it, for the daemon."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from agent.clock import Clock
from agent.health.presence import PresenceBoard
from agent.health.watch import HealthWatch
from agent.maintenance.firmware_trial import FirmwareTrial
from agent.maintenance.restart_watch import RestartWatch
from agent.outside.bridge import give_firmware_up, keep_firmware, restart_machine
from agent.outside.database import Database
from agent.outside.host import boot_id
from agent.outside.mqtt import MqttLink
from agent.ports import Audit

NO_BRIDGE: Final = Path("/nonexistent")
"""Nothing is ever installed without a bridge, so nobody asks there for a restart."""


def watched_restarts(
    bridge: Path | None, journal: Database, audit: Audit, clock: Clock, board: PresenceBoard
) -> RestartWatch:
    """Return the watch over restarts; the state message has what it wants."""
    ask = partial(restart_machine, bridge or NO_BRIDGE)
    watch = RestartWatch(journal, audit, clock, boot_id(), journal.open_jobs, ask, board.changed)
    board.restart = lambda: watch.version
    return watch


def started_trial(bridge: Path, health: HealthWatch, link: MqttLink, clock: Clock) -> asyncio.Task[None]:
    """Begin to judge the firmware that runs."""
    keep, give_up = partial(keep_firmware, bridge), partial(give_firmware_up, bridge)
    trial = FirmwareTrial(lambda: health.vitals, lambda: link.is_connected, keep, give_up)
    return asyncio.create_task(trial.run(clock), name="firmware trial")
