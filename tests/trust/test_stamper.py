"""Checkpoints and their time stamps, from a real log over HTTP to openssl and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from agent.auditor import verify_audit
from agent.evidence.stamp import STAMPS_NAME
from agent.outside.time_stamps import StampFile, ask_authority
from agent.trust.stamper import Stamper
from tests.simulators.audit_log import HUB, audit_log, fill
from tests.simulators.time_authority import TimeAuthority, make_authority, time_authority


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[TimeAuthority]:
    """Run an authority."""
    with time_authority(tmp_path / "authority") as running:
        yield running


def test_checkpoints_are_stamped_when_there_is_something_new(authority: TimeAuthority, tmp_path: Path) -> None:
    """The reader sees how much was there when, by the authority's certificate and no other."""
    folder = tmp_path / "audit"
    with audit_log(folder) as log, closing(StampFile(folder / STAMPS_NAME)) as file:
        stamper = Stamper(log.checkpoint, partial(ask_authority, authority.url), file.keep)
        for size in (3, 3, 5):
            fill(log, size)
            assert asyncio.run(stamper.stamp_now())
    assert len(authority.requests) == 2
    verdict = verify_audit(folder, str(HUB), (), authority.root_pem)
    assert verdict.is_intact
    assert verdict.stamped is not None
    assert verdict.stamped.entries == 5
    other = verify_audit(folder, str(HUB), (), make_authority(tmp_path / "other").root_pem)
    assert "does not hold" in other.fault
    assert verify_audit(folder, str(HUB)).stamped is None


@pytest.mark.parametrize("manners", ["refuse", "junk", "long", "redirect", "gone"])
def test_a_failing_authority_stops_nothing(authority: TimeAuthority, tmp_path: Path, manners: str) -> None:
    """It is asked again later; the log goes on, and nothing false is kept."""
    authority.manners = manners
    url = "http://127.0.0.1:1/tsr" if manners == "gone" else authority.url
    folder = tmp_path / "audit"
    with audit_log(folder) as log, closing(StampFile(folder / STAMPS_NAME)) as file:
        stamper = Stamper(log.checkpoint, partial(ask_authority, url), file.keep)
        fill(log, 3)
        assert not asyncio.run(stamper.stamp_now())
        authority.manners = ""
        fill(log, 4)
        assert asyncio.run(stamper.stamp_now()) == (manners != "gone")
    assert verify_audit(folder, str(HUB)).is_intact
    assert (folder / STAMPS_NAME).read_bytes().count(b"\n") == (manners != "gone")


def test_an_answer_to_another_request_is_not_kept(authority: TimeAuthority, tmp_path: Path) -> None:
    """A stamp that was seen before cannot be passed off as new."""
    folder = tmp_path / "audit"
    with audit_log(folder) as log, closing(StampFile(folder / STAMPS_NAME)) as file:
        stamper = Stamper(log.checkpoint, partial(ask_authority, authority.url), file.keep)
        fill(log, 3)
        assert asyncio.run(stamper.stamp_now())
        authority.manners = "other"
        fill(log, 4)
        assert not asyncio.run(stamper.stamp_now())
