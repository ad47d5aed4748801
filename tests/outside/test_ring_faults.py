"""Disks that are full, read-only, absent, swapped, dying: what is lost, what a person is told, that it mends itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.simulators.eventually import until
from tests.simulators.failing_disk import OWN_MOUNTS, WRITES, FailingCalls, need_own_mounts
from tests.simulators.ring_child import Child
from tests.simulators.ring_log import MIB, opened, record, sequences


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """Give a process that records into `tmp_path / "ring"`."""
    with Child(tmp_path / "ring") as process:
        yield process


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Child]:
    """Give a process that records into `tmp_path / "disk" / "ring"` and may mount; it remembers its disk."""
    need_own_mounts()
    (tmp_path / "disk").mkdir()
    (tmp_path / "spare").mkdir()
    with Child(tmp_path / "disk" / "ring", prefix=OWN_MOUNTS, known=tmp_path / "known") as process:
        yield process


def mount(child: Child, place: Path, size: int = 64 * MIB) -> None:
    """Put a new, empty disk somewhere."""
    child.tell("run", "mount", "-t", "tmpfs", "-o", f"size={size}", "disk", str(place))


def is_alive(child: Child) -> bool:
    """Whether it goes on recording, by itself, and nothing is in the way any more."""
    before = child.stats()["commits"]
    child.record(range(9001, 9004))
    return bool(child.wait_for("settled")["commits"] > before and 9003 in child.ask("sequences"))


def test_a_bad_place_is_left_and_nothing_is_lost(child: Child, tmp_path: Path) -> None:
    """Blocks that cannot be written cost nothing: what is there stays, what waits goes to another slab."""
    child.record(range(1, 31), size=100_000)
    child.wait_for("settled")
    with FailingCalls(child.pid, "pwrite64", path=tmp_path / "ring" / "slab-00000"):
        child.record(range(31, 61), size=100_000)
        child.wait_for("error", saying="Input/output error")
        stats = child.wait_for("settled")
        assert (stats["slabs"], stats["errors"], stats["dropped_chunks"]) == (2, 3, 0)
        assert child.ask("sequences") == list(range(1, 61))
    assert is_alive(child)
    child.tell("close")
    (tmp_path / "ring" / "slab-00000").unlink()
    with closing(opened(tmp_path / "ring")) as log:  # the other one can be read alone
        assert sequences(log) == [*range(31, 61), 9001, 9002, 9003]


def test_a_place_that_fails_for_the_index_does_not_stop_recording(child: Child, tmp_path: Path) -> None:
    """A slab whose last block is bad is left without its index."""
    child.tell("record", 1, 1, 16, 500_000, 1)
    child.wait_for("settled")
    with FailingCalls(child.pid, "pwrite64", "ENODATA", path=tmp_path / "ring" / "slab-00000"):
        child.tell("record", 1, 16, 20, 500_000, 1)
        child.wait_for("settled")
    assert child.ask("sequences") == list(range(1, 20))
    assert is_alive(child)
    child.tell("close")
    with closing(opened(tmp_path / "ring")) as log:
        assert sequences(log)[:19] == list(range(1, 20))


def test_a_dying_disk_does_not_take_the_ring_with_it(child: Child) -> None:
    """Where every write fails, one slab of the ring at most is given up for another try; later all goes on."""
    child.record(range(1, 76), size=500_000)
    child.wait_for("settled")
    before = child.ask("numbers")
    with FailingCalls(child.pid, WRITES):
        child.record(range(101, 121), size=400_000)
        child.wait_for("error")
        while child.stats()["errors"] < 5:
            child.ask("settle")
        stats = child.stats()
        assert stats["last_error"] == "Input/output error"
        assert stats["slabs"] >= 3
        after = child.ask("numbers")
        assert len(set(before) - set(after)) <= 17  # one slab's
        assert after[-1] == 75
    stats = child.wait_for("settled")
    assert child.ask("sequences")[-20:] == list(range(101, 121))
    assert stats["dropped_chunks"] == 0
    assert is_alive(child)


def test_a_failed_sync_is_not_trusted(child: Child) -> None:
    """After it the disk is asked what it has: what is there is named, once; the next sync brings the rest."""
    child.record(range(1, 4))
    child.wait_for("settled")
    with FailingCalls(child.pid, "fdatasync", when="1"):
        child.record(range(4, 7))
        stats = child.wait_for("settled")
    assert stats["errors"] == 1
    assert child.ask("sequences") == [1, 2, 3, 4, 5, 6]
    assert stats["dropped_chunks"] == 0
    assert is_alive(child)


def test_what_cannot_be_read_back_after_a_failed_sync_is_not_named(child: Child) -> None:
    """A media chunk is lost and counted; a stream chunk comes again with the run's next batch."""
    child.record(range(1, 4))
    child.wait_for("settled")
    with FailingCalls(child.pid, "fdatasync,pread64", when="1"):  # the first of each
        child.record(range(4, 7))
        assert child.wait_for("settled")["dropped_chunks"] == 1
    assert child.ask("sequences") == [1, 2, 3, 5, 6]
    with FailingCalls(child.pid, "fdatasync,pread64", when="1"):
        child.record(range(7, 10), run=2)
        assert child.wait_for("settled")["dropped_chunks"] == 1
    assert child.ask("sequences") == [1, 2, 3, 5, 6]
    child.record(range(10, 13), run=2)
    child.wait_for("settled")
    assert child.ask("sequences") == [1, 2, 3, 5, 6, *range(7, 13)]


def test_a_write_that_stops_halfway_is_repeated(child: Child) -> None:
    """A disk that takes half of a batch has taken nothing; the whole batch comes again."""
    child.record(range(1, 4))
    child.wait_for("settled")
    child.tell("limit", MIB)
    child.record(range(4, 31), size=100_000, commit_every=9)
    child.wait_for("error", saying="File too large")
    child.tell("limit", -1)
    child.wait_for("settled")
    assert child.ask("sequences") == list(range(1, 31))
    child.tell("close")
    assert child.ask("sequences") == list(range(1, 31))


def test_a_chunk_that_cannot_be_read_is_told_and_others_are_read(child: Child) -> None:
    """One bad block costs one chunk; nothing else notices."""
    child.record(range(1, 10))
    child.wait_for("settled")
    with FailingCalls(child.pid, "pread64", when="3"):
        found = child.ask("sequences")
    assert found == [1, 2, "slab file 0 cannot be read: Input/output error", *range(4, 10)]
    assert child.ask("sequences") == list(range(1, 10))
    assert child.stats()["last_error"] == ""


def test_a_full_disk_is_waited_for_and_gets_none_of_the_ring(mounted: Child, tmp_path: Path) -> None:
    """Another file fills the disk: the ring recycles what it has; with nothing to recycle it waits for room."""
    mount(mounted, tmp_path / "disk", 24 * MIB)
    mounted.tell("run", "fallocate", "-l", str(20 * MIB), str(tmp_path / "disk" / "big"))
    mounted.record(range(1, 31), size=100_000)
    mounted.wait_for("error", saying="No space left on device")
    assert mounted.ask("sequences") == []
    mounted.tell("run", "rm", str(tmp_path / "disk" / "big"))
    stats = mounted.wait_for("settled")
    assert mounted.ask("sequences") == list(range(1, 31))
    mounted.tell("run", "fallocate", "-l", str(15 * MIB), str(tmp_path / "disk" / "big"))
    mounted.record(range(31, 101), size=500_000)
    stats = mounted.wait_for("settled")
    assert (stats["slabs"], stats["last_error"], stats["dropped_chunks"]) == (1, "", 0)
    assert mounted.ask("sequences")[-1] == 100
    assert is_alive(mounted)


def test_a_disk_that_becomes_read_only_and_back(mounted: Child, tmp_path: Path) -> None:
    """The slab at hand can still be written to; without it the ring waits, says so, and loses nothing."""
    mount(mounted, tmp_path / "disk")
    mounted.record(range(1, 4))
    mounted.wait_for("settled")
    mounted.tell("close")
    mounted.tell("run", "mount", "-o", "remount,ro", str(tmp_path / "disk"))
    mounted.record(range(4, 31), size=300_000)
    mounted.wait_for("error", saying="Read-only file system")
    mounted.tell("run", "mount", "-o", "remount,rw", str(tmp_path / "disk"))
    stats = mounted.wait_for("settled")
    assert mounted.ask("sequences") == list(range(1, 31))
    assert stats["dropped_chunks"] == 0
    assert is_alive(mounted)


def test_a_disk_that_is_not_mounted_at_the_start_is_waited_for(mounted: Child, tmp_path: Path) -> None:
    """Nothing is written below the mount point; memory holds its limit, the newest; then the disk gets it all."""
    mount(mounted, tmp_path / "disk")
    mounted.record(range(1, 4))
    mounted.wait_for("settled")
    mounted.tell("close")
    mounted.tell("run", "mount", "--move", str(tmp_path / "disk"), str(tmp_path / "spare"))
    mounted.record(range(4, 51), size=500_000)
    stats = mounted.wait_for("error", saying="cannot be used: No such file")
    assert 14 * MIB < stats["waiting_bytes"] <= 16 * MIB
    dropped = stats["dropped_chunks"]
    assert dropped == 47 - stats["waiting_bytes"] // 500_000
    assert list((tmp_path / "disk").iterdir()) == []
    assert mounted.ask("sequences") == []
    mounted.tell("run", "mount", "--move", str(tmp_path / "spare"), str(tmp_path / "disk"))
    stats = mounted.wait_for("settled")
    assert mounted.ask("sequences") == [1, 2, 3, *range(4 + dropped, 51)]
    assert stats["dropped_chunks"] == dropped
    assert is_alive(mounted)


def test_another_rings_disk_is_left_alone(mounted: Child, tmp_path: Path) -> None:
    """A disk that was swapped for that of another hub is neither written to nor read."""
    with closing(opened(tmp_path / "theirs")) as log:
        record(log, range(1, 4))
    before = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    mount(mounted, tmp_path / "disk")
    mounted.record(range(1, 4))
    mounted.wait_for("settled")
    mounted.tell("close")
    mount(mounted, tmp_path / "disk")
    mounted.tell("run", "mkdir", str(tmp_path / "disk" / "ring"))
    mounted.tell("run", "mount", "--bind", str(tmp_path / "theirs"), str(tmp_path / "disk" / "ring"))
    mounted.record(range(4, 7))
    mounted.wait_for("error", saying="another ring's disk is mounted")
    assert {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()} == before
    mounted.tell("run", "umount", str(tmp_path / "disk" / "ring"))
    mounted.tell("run", "umount", str(tmp_path / "disk"))
    mounted.wait_for("settled")
    assert mounted.ask("sequences") == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("has_slab", [True, False])
def test_a_disk_that_is_taken_out_while_recording_and_put_back(
    mounted: Child, tmp_path: Path, *, has_slab: bool
) -> None:
    """Writes fail, then the path leads to nothing: the ring waits and opens its files again on the disk that comes."""
    mount(mounted, tmp_path / "disk")
    mount(mounted, tmp_path / "spare")
    mounted.record(range(1, 31))
    mounted.wait_for("settled")
    with FailingCalls(mounted.pid, WRITES):  # what the kernel says of the files of a disk that has gone
        mounted.tell("run", "cp", "-a", str(tmp_path / "disk" / "ring"), str(tmp_path / "spare"))
        if not has_slab:  # a check of its file system may remove a file
            mounted.tell("run", "rm", str(tmp_path / "spare" / "ring" / "slab-00000"))
        mounted.tell("run", "umount", "-l", str(tmp_path / "disk"))
        mounted.record(range(31, 61))
        mounted.wait_for("error", saying="cannot be used")
        while has_slab and mounted.stats()["errors"] < 4:  # more than a bad place is given
            mounted.ask("settle")
        os.kill(mounted.pid, signal.SIGSTOP)  # or its next try would reach the old disk, which is only hidden here
    inside = ("nsenter", "--target", str(mounted.pid), "--user", "--preserve-credentials", "--mount")
    subprocess.run((*inside, "mount", "--move", str(tmp_path / "spare"), str(tmp_path / "disk")), check=True)
    assert list((tmp_path / "disk").iterdir()) == []
    with FailingCalls(mounted.pid, "pwrite64", when="1"):
        os.kill(mounted.pid, signal.SIGCONT)
        mounted.record(range(61, 64))
        stats = mounted.wait_for("settled")
    found = mounted.ask("sequences")
    assert stats["dropped_chunks"] == 0
    if has_slab:  # a disk that is away is no bad place: the slab is gone on with
        assert found == list(range(1, 64))
        assert stats["slabs"] == 1
    else:
        assert found[30:] == list(range(31, 64))
        assert all("cannot be read" in gone for gone in found[:30])
    assert is_alive(mounted)


def test_a_ring_that_was_removed_is_not_made_again_by_itself(tmp_path: Path) -> None:
    """Its directory gone, the hub says so and keeps what it can in memory, until a person restarts it."""
    with Child(tmp_path / "disk" / "ring", known=tmp_path / "known") as child:
        child.record(range(1, 15), size=500_000)
        child.wait_for("settled")
        for path in (tmp_path / "disk" / "ring").iterdir():
            path.unlink()
        (tmp_path / "disk" / "ring").rmdir()
        child.record(range(15, 41), size=500_000)
        child.wait_for("error", saying="cannot be used: No such file")
        assert not (tmp_path / "disk" / "ring").exists()
        child.tell("close")  # does not wait for a disk that is away
        child.record(range(1, 4), run=2)
        child.wait_for("error", saying="cannot be used")
        (tmp_path / "known").unlink()
        child.wait_for("settled")
        assert child.ask("sequences") == [1, 2, 3]


def test_closing_while_the_disk_is_away_ends_at_once(mounted: Child, tmp_path: Path) -> None:
    """What waits is lost with the process; the next start finds what was committed."""
    mount(mounted, tmp_path / "disk")
    mounted.record(range(1, 4))
    mounted.wait_for("settled")
    with FailingCalls(mounted.pid, WRITES):
        mounted.record(range(4, 7))
        mounted.wait_for("error")
        mounted.tell("close")
    assert mounted.ask("sequences") == [1, 2, 3]
    assert is_alive(mounted)


def test_the_memory_of_an_outage_is_given_back(child: Child) -> None:
    """Small pieces do not take the memory of full batches, and what they took is free afterwards."""
    child.record(range(1, 4))
    child.wait_for("settled")
    with FailingCalls(child.pid, WRITES, "ENOSPC"):
        child.record(range(4, 404), size=3000, commit_every=1)  # 400 commits, far more than there are batches
        stats = child.wait_for("error")
        assert (stats["last_error"], stats["dropped_chunks"]) == ("No space left on device", 0)
        child.record(range(404, 421), size=500_000)
    child.wait_for("settled")
    assert child.ask("sequences") == list(range(1, 421))
    until(lambda: child.ask("memory_bytes") < 8 * MIB)
