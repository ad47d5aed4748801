"""The audit log from the daemon's start to its end."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from agent.auditor import open_log, verify_audit
from agent.config import Config
from agent.outside.database import Database
from agent.wiring.audit import kept_audit
from tests.simulators.audit_log import HUB, KEY, NOW
from tests.simulators.set_clock import SetClock


def test_start_and_stop_stand_in_the_log_and_are_signed(tmp_path: Path) -> None:
    """Each start has its number and version, each orderly stop too, and every entry is under a signature at the end."""
    config = Config(tmp_path, tmp_path / "i", tmp_path / "k")

    async def live(journal: Database) -> int:
        async with kept_audit(config, HUB.name, KEY, SetClock(NOW), journal) as (audit, boot):
            audit.append("job", "x", {})
            return boot

    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        assert [asyncio.run(live(journal)) for _ in range(2)] == [1, 2]
    found = [(entry.kind, entry.detail.get("boot")) for _, entry in open_log(tmp_path / "audit").entries()]
    assert found == [("started", 1), ("job", None), ("shut_down", 1), ("started", 2), ("job", None), ("shut_down", 2)]
    verdict = verify_audit(tmp_path / "audit", str(HUB))
    assert (verdict.is_intact, verdict.entries, verdict.signed_entries) == (True, 6, 6)
