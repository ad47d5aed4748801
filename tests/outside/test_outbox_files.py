"""The outbox: a file is there whole and synced, or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import UnavailableError
from agent.outside.outbox_files import OutboxFiles
from agent.ports import Outbox, OutboxFullError
from tests.simulators.failing_disk import OWN_MOUNTS, need_own_mounts
from tests.simulators.full_disk import full_disk

Append = Callable[[bytes], object]


def fill_with(*pieces: bytes) -> Callable[[Append], int]:
    """Make a `fill` that appends these pieces and returns how many they were."""

    def fill(append: Append) -> int:
        for piece in pieces:
            append(piece)
        return len(pieces)

    return fill


def test_a_file_is_whole_and_private(tmp_path: Path) -> None:
    """What `fill` returns comes back; the file is the agent's alone, and so is the folder."""
    outbox: Outbox = OutboxFiles(tmp_path / "outbox")
    assert outbox.write("a.mp4.age", fill_with(b"one", b"two")) == 2
    assert outbox.path("a.mp4.age").read_bytes() == b"onetwo"
    assert outbox.path("a.mp4.age").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700
    assert outbox.names() == {"a.mp4.age"}
    outbox.discard("a.mp4.age")
    outbox.discard("a.mp4.age")
    assert outbox.names() == frozenset()


def test_a_file_does_not_exist_before_it_is_finished(tmp_path: Path) -> None:
    """Nobody can send half a part: the name appears with the last byte."""
    outbox = OutboxFiles(tmp_path)

    def fill(append: Append) -> None:
        append(b"half")
        assert not outbox.path("a").exists()
        assert not outbox.names()

    outbox.write("a", fill)
    assert outbox.path("a").read_bytes() == b"half"


def test_a_disk_that_fails_is_said_to_be_away(tmp_path: Path) -> None:
    """Its mount is gone, or it lets nothing be removed: the job waits for it, as for every other disk."""
    outbox = OutboxFiles(tmp_path / "outbox")
    outbox.path("a").mkdir()  # which cannot be unlinked
    with pytest.raises(UnavailableError, match="cannot be removed"):
        outbox.discard("a")
    (tmp_path / "outbox").rename(tmp_path / "gone")
    for ask in (lambda: outbox.room(is_live=True), outbox.names, outbox.bytes_used):
        with pytest.raises(UnavailableError, match="cannot be read"):
            ask()


def test_a_fill_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The cutter's own error comes through, and the outbox is as before."""
    outbox = OutboxFiles(tmp_path)

    def fill(append: Append) -> None:
        append(b"half")
        raise UnavailableError("the child died")

    with pytest.raises(UnavailableError, match="the child died"):
        outbox.write("a", fill)
    assert not list(tmp_path.iterdir())


def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    """After a power cut only whole files are there."""
    OutboxFiles(tmp_path).write("whole", fill_with(b"x"))
    (tmp_path / "half.unfinished").write_bytes(b"half")
    assert OutboxFiles(tmp_path).names() == {"whole"}


def test_the_outbox_is_bounded(tmp_path: Path) -> None:
    """More than it may hold waits in the ring; as soon as a part has gone, there is room."""
    outbox = OutboxFiles(tmp_path, bytes_max=100)
    outbox.write("a", fill_with(bytes(60)))
    with pytest.raises(OutboxFullError, match="100 bytes"):
        outbox.write("b", fill_with(bytes(30), bytes(11)))
    assert outbox.names() == {"a"}
    outbox.write("b", fill_with(bytes(40)))
    outbox.discard("a")
    outbox.write("c", fill_with(bytes(60)))
    assert outbox.names() == {"b", "c"}


def test_a_full_disk_is_a_full_outbox(tmp_path: Path) -> None:
    """The disk's own no is told in the same words, and leaves nothing."""
    outbox = OutboxFiles(tmp_path)
    with full_disk(1000), pytest.raises(OutboxFullError, match="cannot be written"):
        outbox.write("a", fill_with(bytes(100_000)))
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_sealed_again_replaces_the_one_that_was_never_named(tmp_path: Path) -> None:
    """A crash between the file and the journal leaves a file that nobody knows: the next try takes its place."""
    outbox = OutboxFiles(tmp_path)
    outbox.write("a", fill_with(b"first"))
    outbox.write("a", fill_with(b"second"))
    assert outbox.path("a").read_bytes() == b"second"


def test_a_part_that_is_still_being_sealed_elsewhere_is_left_alone(tmp_path: Path) -> None:
    """A job that begins anew while its old child still cuts waits; the old one ends as it would have."""
    outbox = OutboxFiles(tmp_path)

    def fill(append: Append) -> None:
        append(b"old")
        with pytest.raises(OutboxFullError, match="exists"):
            outbox.write("a", fill_with(b"new"))

    outbox.write("a", fill)
    assert outbox.path("a").read_bytes() == b"old"


def test_a_file_that_goes_while_the_outbox_is_measured_is_no_failure(tmp_path: Path) -> None:
    """The courier removes a part in the moment in which the next one is sealed (here: a name without a file)."""
    outbox = OutboxFiles(tmp_path)
    (tmp_path / "gone").symlink_to("nowhere")
    assert outbox.write("a", fill_with(b"x")) == 1


def test_some_room_is_kept_for_what_is_happening_now(tmp_path: Path) -> None:
    """An eighth, unless the disk has less; what is being written counts."""
    outbox = OutboxFiles(tmp_path, bytes_max=800)
    assert (outbox.room(is_live=True), outbox.room(is_live=False)) == (800, 700)
    outbox.write("a", fill_with(bytes(650)))
    assert (outbox.room(is_live=True), outbox.room(is_live=False)) == (150, 50)
    (tmp_path / "b.unfinished").write_bytes(bytes(100))
    assert (outbox.room(is_live=True), outbox.room(is_live=False)) == (50, -50)
    assert OutboxFiles(tmp_path, bytes_max=2**62).room(is_live=True) < 2**62


def test_a_small_disk_keeps_room_for_the_past_too(tmp_path: Path) -> None:
    """With little left of its disk an outbox keeps an eighth of that for now, not an eighth of its own limit."""
    need_own_mounts()
    told = "from pathlib import Path; from agent.outside.outbox_files import OutboxFiles; import sys"
    told += "; outbox = OutboxFiles(Path(sys.argv[1]), 2 * 1024**3)"
    told += "; print(outbox.room(is_live=True), outbox.room(is_live=False))"
    script = 'mount -t tmpfs -o size=72m disk "$1" && exec "$2" -c "$3" "$1"'
    command = [*OWN_MOUNTS, "sh", "-c", script, "sh", str(tmp_path), sys.executable, told]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    live, past = map(int, done.stdout.split())
    assert (live, past) == (40 * 1024**2, 35 * 1024**2)  # without what the disk keeps for journal and audit log
