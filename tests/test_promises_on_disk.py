"""The promises of the design, attacked through the disk: full, damaged, worn by a flood, or inherited."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from agent.auditor import verify_audit
from agent.errors import ConfigurationError, UnavailableError
from agent.evidence.audit import CHECKPOINTS_BYTES_MAX, CHECKPOINTS_NAME
from agent.evidence.note import verifier_of
from agent.outside.audit_file import open_audit
from agent.outside.database import Database
from agent.ports import Document
from tests.simulators.clips import window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, NOW, RECIPE, export_site, record
from tests.simulators.h264_source import CAMERA, film
from tests.simulators.set_clock import SetClock


def test_an_earlier_owners_footage_dies_with_the_reset(tmp_path: Path) -> None:
    """A hub without an owner destroys what its ring holds before it can be paired again."""
    with export_site(tmp_path) as site:
        with closing(site.ring()) as ring:
            assert ring.footage(CAMERA, window_of(0, 4)).chunks
        with closing(site.ring(keep=False)) as ring:
            assert not ring.footage(CAMERA, window_of(0, 4)).chunks
        with closing(site.ring()) as ring:
            assert not ring.footage(CAMERA, window_of(0, 4)).chunks
            record(ring, film(RECIPE))
            assert ring.footage(CAMERA, window_of(0, 4)).chunks


# --------------------------------------------------------------- what is written down


def test_many_checkpoints_do_not_look_like_tampering(tmp_path: Path) -> None:
    """The checkpoints' file stays within its limit, and the log is as provable as before."""
    clock = SetClock(NOW)
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        audit.append("started", "", {})
        audit.checkpoint()
    checkpoints = tmp_path / "audit" / CHECKPOINTS_NAME
    stored = checkpoints.read_bytes()
    checkpoints.write_bytes(stored * (CHECKPOINTS_BYTES_MAX // len(stored)))
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        for _ in range(20):
            audit.append("job", "c1", {})
            audit.checkpoint()
            assert checkpoints.stat().st_size <= CHECKPOINTS_BYTES_MAX
        assert checkpoints.stat().st_size < CHECKPOINTS_BYTES_MAX * 0.6
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, clock)) as audit:
        assert audit.head()[0] == 21
    assert verify_audit(tmp_path / "audit", str(verifier_of(HUB, EVIDENCE_KEY))).is_intact


# -------------------------------------------------------------------- a full disk


def test_a_full_disk_is_a_failure_to_wait_for(tmp_path: Path) -> None:
    """Every call of the journal says so in the words of its port, and works again when there is room."""
    with closing(Database(tmp_path / "journal.db", "t")) as journal:
        pages = journal._query("PRAGMA page_count")[0][0]
        journal._query(f"PRAGMA max_page_count={pages + 2}")
        big = Document(1, "x" * 100_000)
        with pytest.raises(UnavailableError, match="full"):
            journal.put_document("policy", big)
        journal._query("PRAGMA max_page_count=1000")
        journal.put_document("policy", big)
        assert journal.document("policy") == big


def test_a_damaged_journal_is_told_in_words(tmp_path: Path) -> None:
    """A person must act; the hub says what to do."""
    (tmp_path / "journal.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Database(tmp_path / "journal.db", "t")
