"""`transom audit`: what a person sees of the log, and what they can hand to others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.evidence.cosignature import read_cosignatures
from tests.simulators.audit_log import HUB, NOW, audit_log, cosigned_by, fill, server
from tests.simulators.set_clock import SetClock

KEY = str(HUB)
WITNESS = str(server())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a log of ten entries: five, a day, two refusals, more; the first eight are cosigned, nine are signed."""
    clock = SetClock(NOW)
    with audit_log(tmp_path / "audit", clock) as log:
        fill(log, 5)
        clock.go_on(24 * 3600)
        log.append("refused", "", {"reason": "expired", "detail": "\x1b[31mred"})
        log.append("refused", "01JD", {"reason": "expired"})
        fill(log, 8)
        log.keep_cosigned(cosigned_by(log, server()), [server().public])
        fill(log, 9)
        log.append("job", "ref-9", {})
    return tmp_path / "audit"


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """Run a command and return what it printed."""
    assert main(["audit", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return out or err


def numbers(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[int]:
    """Return which entries `list` shows."""
    return [row["number"] for row in json.loads(said(capsys, "list", *arguments, "--json"))]


def test_entries_are_listed_by_time_kind_and_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each filter alone and together; a table for people, whatever a stranger wrote into it."""
    assert numbers(capsys, folder) == list(range(10))
    assert numbers(capsys, folder, "--kind", "refused") == [5, 6]
    assert numbers(capsys, folder, "--kind", "refused", "--kind", "job", "--last", "2") == [8, 9]
    assert numbers(capsys, folder, "--job", "01JD") == [6]
    assert numbers(capsys, folder, "--since", "2026-11-19T00:00:00Z", "--kind", "job") == [7, 8, 9]
    assert numbers(capsys, folder, "--since", "2026-11-19") == [5, 6, 7, 8, 9]
    assert numbers(capsys, folder, "--since", "1m") == []
    table = said(capsys, "list", folder)
    assert "     5  2026-11-19T11:06:40Z  refused" in table
    assert "\x1b" not in table
    assert "RFC 3339" in said(capsys, "list", folder, "--since", "yesterday", code=2)


def test_one_entry_is_proven_to_others(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file and two keys are all that they need; a changed file is a no, an unsigned entry cannot be proven."""
    proof = tmp_path / "5.tlog-proof"
    said(capsys, "prove", 5, folder, "-o", proof)
    told = said(capsys, "verify-proof", proof, "--key", KEY, "--witness", WITNESS)
    assert "Entry 5 of the log of hub hub-1, which had 8 entries" in told
    assert "reason: expired" in told
    assert "Cosigned by server.example/witness" in told
    assert json.loads(said(capsys, "verify-proof", proof, "--key", KEY, "--json"))["entry"]["kind"] == "refused"
    proof.write_text(proof.read_text().replace("index 5", "index 6"))
    assert "does not lead" in said(capsys, "verify-proof", proof, "--key", KEY, code=1)
    assert "which had" not in said(capsys, "prove", 8, folder)  # not cosigned yet: under the hub's own word
    for number in (9, -1, 1000):
        assert "no checkpoint covers" in said(capsys, "prove", number, folder, code=2)


def test_a_copy_is_checked_without_the_hub(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `export` writes is all that `verify` needs; it says who else has seen the log."""
    copy = tmp_path / "copy"
    (folder / "audit.jsonl").write_bytes((folder / "audit.jsonl").read_bytes() + b'{"torn')
    said(capsys, "export", folder, "--key", KEY, "-o", copy)
    shutil.rmtree(folder)
    key = (copy / "key").read_text().strip()
    assert "transom audit verify" in (copy / "README.txt").read_text()
    told = said(capsys, "verify", copy, "--key", key, "--witness", WITNESS)
    assert told.splitlines() == [
        "The log of hub hub-1 is intact: 10 entries, 9 signed.",
        "Cosigned by server.example/witness: 8 entries, 2026-11-18T11:06:40.000Z.",
    ]
    assert "exists already" in said(capsys, "export", copy, "-o", copy, code=2)


def test_a_log_that_was_cut_off_with_its_checkpoints_is_found_by_a_cosignature(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever removes the last entries and the hub's signatures over them forgets what others have signed."""
    log, checkpoints = folder / "audit.jsonl", folder / "checkpoints"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:5]))
    first = checkpoints.read_text().split("\n\n")[:2]
    checkpoints.write_text("\n\n".join(first) + "\n\n")
    assert "NOT intact: one of the entries 5 to 7: missing" in said(capsys, "verify", folder, "--key", KEY, code=1)
    assert read_cosignatures((folder / "cosignatures").read_text().removesuffix("\n"), [server().public])


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No log, no key, a key that is none: what to do instead."""
    assert "which log" in said(capsys, "list", code=2)
    assert "no audit log" in said(capsys, "list", tmp_path, code=2)
    assert "cannot be read" in said(capsys, "verify-proof", tmp_path / "x", "--key", KEY, code=2)
    with audit_log(tmp_path / "a") as log:
        fill(log, 1)
    assert "by which key" in said(capsys, "verify", tmp_path / "a", code=2)
    assert "a witness" in said(capsys, "verify", tmp_path / "a", "--key", KEY, "--witness", KEY, code=2)
