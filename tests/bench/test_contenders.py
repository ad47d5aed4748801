"""A recorder that is measured is at work, and one that is not is noticed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.errors import UnavailableError
from tests.bench.contenders import Kept, Limit, Running, Transom, build_limit
from tests.bench.test_source import make_loop, serving


class Failing:
    """A recorder that ends at once, and says why on standard error."""

    name = kind = "failing"
    cameras = 1

    def prepare(self, folder: Path, size_bytes: int) -> None:
        """Make nothing."""

    def commands(self, port: int, folder: Path) -> Sequence[Sequence[str]]:
        """Say two lines and end."""
        del port, folder
        return [(sys.executable, "-c", "raise SystemExit('first line\\nno camera there')")]

    def kept(self, said: Sequence[str], folder: Path) -> Kept:
        """Say nothing."""
        del said, folder
        return Kept(None, None)


def check_until_it_fails(running: Running) -> None:
    """Ask as the bench does, for at most ten seconds."""
    due = time.monotonic() + 10
    while time.monotonic() < due:
        running.check()


def test_a_recorder_that_ended_by_itself_is_no_measurement(tmp_path: Path) -> None:
    """The bench stops with its last words."""
    running = Running(Failing(), tmp_path)
    try:
        running.start(1)
        with pytest.raises(UnavailableError, match="failing ended by itself: no camera there"):
            check_until_it_fails(running)
    finally:
        running.kill()


def test_the_limit_receives_all_of_it(tmp_path: Path) -> None:
    """It builds, takes what two cameras send, writes encrypted bytes, and counts what it got."""
    try:
        program = build_limit(tmp_path)
    except UnavailableError as error:
        pytest.skip(str(error))
    limit = Limit(2, program)
    running = Running(limit, tmp_path)
    with serving(make_loop()) as source:
        try:
            running.start(source.port)
            due = time.monotonic() + 20
            while "limit" not in source.sent or source.sent["limit"].pictures < 60:
                assert time.monotonic() < due
            kept = running.end()
        finally:
            running.kill()
    sent = source.sent["limit"]
    assert kept.received is not None
    assert 0.5 * sent.bytes < kept.received <= sent.bytes
    log = (tmp_path / "log").read_bytes()[: kept.received]
    assert log.count(0) < 0.05 * len(log)


def test_what_transom_lost_is_told(tmp_path: Path) -> None:
    """Nothing that its process says about itself is passed over."""
    said = '{{"received":100,"chunks_lost":{},"reconnects":0,"cipher":"","is_direct":{},"read_back":[{}]}}'
    hole = '{"camera":"c","chunks":3,"bytes":90,"packets":9,"chunk_gaps":1,"packet_gaps":0,"unreadable":0}'
    transom = Transom(1)
    assert transom.kept([said.format(0, "true", "")], tmp_path) == Kept(100, 0, is_wire=True)
    assert "1 chunks lost" in transom.kept([said.format(1, "true", "")], tmp_path).problems[0]
    assert "O_DIRECT" in transom.kept([said.format(0, "false", "")], tmp_path).problems[0]
    assert (
        "1 cameras whose footage is not whole, such as ReadBack(camera='c'"
        in transom.kept([said.format(0, "true", hole)], tmp_path).problems[0]
    )
