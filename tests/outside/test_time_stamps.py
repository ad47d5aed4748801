"""Stamps beside the log: bounded, and whole after a power cut. The asking is in trust/test_stamper.py."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from agent.evidence.stamp import STAMPS_BYTES_MAX, Stamp, decode_stamp
from agent.outside.time_stamps import StampFile


def test_stamps_are_kept_up_to_a_size_the_newest_among_them(tmp_path: Path) -> None:
    """When the file is full every second one goes."""
    path = tmp_path / "stamps"
    with closing(StampFile(path)) as file:
        for number in range(100):
            file.keep(Stamp(str(number), "x" * 30_000))
    content = path.read_bytes()
    kept = [int(decode_stamp(line).note) for line in content.splitlines()]
    assert len(content) <= STAMPS_BYTES_MAX
    assert kept == sorted(kept)
    assert kept[-1] == 99
    assert len(kept) > 15


def test_a_torn_stamp_is_cut_off(tmp_path: Path) -> None:
    """What a power cut left of a line goes before the next one."""
    path = tmp_path / "stamps"
    with closing(StampFile(path)) as file:
        file.keep(Stamp("one", ""))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"no')
    with closing(StampFile(path)) as file:
        file.keep(Stamp("two", ""))
    assert [decode_stamp(line).note for line in path.read_bytes().splitlines()] == ["one", "two"]
