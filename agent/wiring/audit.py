"""The daemon's audit log: open and signed for as long as the daemon runs, from its first entry to its last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import version
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import Clock
from agent.config import Config
from agent.errors import UnavailableError
from agent.evidence.kinds import Kind
from agent.evidence.stamp import STAMPS_NAME
from agent.outside.audit_file import AuditFile, open_audit
from agent.outside.bridge import firmware_slots
from agent.outside.database import Database
from agent.outside.time_stamps import StampFile, ask_authority
from agent.trust.audit_watch import AuditWatch
from agent.trust.stamper import Stamper

LOOKED_THROUGH_MAX: Final = 2000
"""How many of the newest entries are searched for the firmware that ran before."""

log: Final = logging.getLogger("transom")


@contextlib.asynccontextmanager
async def kept_audit(
    config: Config, hub: str, key: Ed25519PrivateKey, clock: Clock, journal: Database
) -> AsyncIterator[tuple[AuditFile, int]]:
    """Open the log of an enrolled hub and count this start; watch clock and firmware; at the end sign what is there."""
    # a log of years takes seconds to read
    audit = await asyncio.to_thread(open_audit, config.data_dir / "audit", hub, key, clock)
    try:
        boot = _note_start(audit, journal)
        slots = partial(firmware_slots, config.bridge_socket) if config.bridge_socket else None
        watch = AuditWatch(audit, clock, slots, audit.latest(LOOKED_THROUGH_MAX))
        stamps = config.stamps and StampFile(config.data_dir / "audit" / STAMPS_NAME)
        beside = {asyncio.create_task(watch.run(), name="audit watch")}
        if config.stamps and stamps:
            stamper = Stamper(audit.checkpoint, partial(ask_authority, config.stamps.url), stamps.keep)
            beside.add(asyncio.create_task(stamper.run(config.stamps.every_h * 3600), name="time stamps"))
        try:
            yield audit, boot
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            if stamps:
                stamps.close()
            with contextlib.suppress(UnavailableError):  # a full disk: the next start signs
                audit.append(Kind.SHUT_DOWN, "", {"boot": boot, "version": version("transom")})
                audit.checkpoint()
    finally:
        audit.close()


def _note_start(audit: AuditFile, journal: Database) -> int:
    """Count this start and write it down; on a full disk the hub records all the same."""
    try:
        boot = journal.count_boot()
        audit.append(Kind.STARTED, "", {"boot": boot, "version": version("transom")})
    except UnavailableError as error:
        log.warning("this start is not written down: %s", error)
        return 0
    return boot
