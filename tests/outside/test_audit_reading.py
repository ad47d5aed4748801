"""The audit log a stretch at a time, and as one file that is checked elsewhere."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.auditor import verify_audit
from agent.clock import WallTime
from agent.errors import BadInputError
from agent.evidence.audit import ENTRY_BYTES_MAX, LOG_NAME, encode_entry, make_entry
from agent.evidence.note import verifier_of
from agent.outside.audit_file import AuditFile, open_audit
from agent.outside.audit_reading import AuditReader
from tests.simulators.export_site import EVIDENCE_KEY, HUB
from tests.simulators.set_clock import SetClock

ENTRIES = 900


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditFile]:
    """Open a log with entries of many lengths."""
    folder = tmp_path_factory.mktemp("log") / "audit"
    folder.mkdir()
    entries = (
        make_entry(WallTime(0), "job", f"c{number}", {"detail": "x" * (number * 37 % 400)}) for number in range(ENTRIES)
    )
    (folder / LOG_NAME).write_bytes(b"".join(encode_entry(entry) + b"\n" for entry in entries))
    with closing(open_audit(folder, HUB, EVIDENCE_KEY, SetClock(WallTime(0)))) as log:
        yield log


def test_pages_are_the_whole_log(audit: AuditFile) -> None:
    """From the newest to the first, each entry once, and each page within its limit."""
    reader, found, before = AuditReader(audit), [], None
    while True:
        page = reader.page(before, 0)
        found += [one.entry.ref for one in page.entries]
        assert sum(len(one.entry.detail["detail"]) for one in page.entries) <= ENTRY_BYTES_MAX  # type: ignore[arg-type] # a text
        if (before := page.older) is None:
            break
    assert found == [f"c{number}" for number in reversed(range(ENTRIES))]


def test_entries_can_be_read_from_any_of_their_places(audit: AuditFile) -> None:
    """A place leads to exactly its entry, and to those behind it."""
    reader = AuditReader(audit)
    for one in reader.page(None, 0).entries[::50]:
        assert reader.entries_from(one.place, 0)[0] == one
        page = reader.page(one.place, 0)
        assert page.entries[0].entry.ref == f"c{int(one.entry.ref[1:]) - 1}"


@given(place=st.integers(-10, 2**53))
def test_a_place_is_believed_only_if_an_entry_begins_there(audit: AuditFile, place: int) -> None:
    """What a browser sends as a place leads to an entry, or is refused."""
    reader = AuditReader(audit)
    for read in (lambda: reader.entries_from(place, 0), lambda: reader.page(place, 0).entries):
        try:
            entries = read()
        except BadInputError:
            continue
        assert place in {0, audit.extent[1]} or entries


def test_a_new_log_is_one_empty_page(tmp_path: Path) -> None:
    """There is nothing, and nothing older."""
    with closing(open_audit(tmp_path / "audit", HUB, EVIDENCE_KEY, SetClock(WallTime(0)))) as log:
        page = AuditReader(log).page(None, 1000)
    assert (page.entries, page.older) == ((), None)


def test_the_archive_is_checked_elsewhere(audit: AuditFile, tmp_path: Path) -> None:
    """What was downloaded is unpacked by tar and found intact, though the log goes on growing meanwhile."""
    pieces = AuditReader(audit).archive()
    octets = next(pieces)
    audit.append("job", "later", {})
    octets += b"".join(pieces)
    with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
        archive.extractall(tmp_path, filter="data")
    verdict = verify_audit(tmp_path / "audit", str(verifier_of(HUB, EVIDENCE_KEY)), [])
    assert verdict.is_intact
    assert verdict.signed_entries >= ENTRIES
